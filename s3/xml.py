"""Reading and writing the XML of S3.

Here: a small tree parser for request bodies and the few functions that print answers.
Not here: what any document means (s3.shapes).

Promise: a request body with a DTD, an entity of its own, more than 2 MiB or more than ten levels
is `MalformedXML` before anything is built from it. What is printed is well formed for every key
that XML can carry at all: control characters leave as character references, never raw.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NoReturn
from xml.parsers import expat

from core.errors import MalformedXML

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
MAX_BYTES = 2 * 1024 * 1024
MAX_DEPTH = 10
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'

_SPECIAL = re.compile('[&<>"\x00-\x1f\x7f-\x9f\u2028\ud800-\udfff\ufffe\uffff]')
_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}


def escape(text: str) -> str:
    """Return `text` as XML character data."""
    if _SPECIAL.search(text) is None:
        return text
    return _SPECIAL.sub(_reference, text)


def _reference(found: re.Match[str]) -> str:
    character = found.group()
    return _NAMED.get(character) or f"&#x{ord(character):X};"


def element(name: str, value: str | int | bool | None) -> str:
    """Print one element holding text; None prints nothing at all."""
    if value is None:
        return ""
    if value is True or value is False:
        return f"<{name}>{'true' if value else 'false'}</{name}>"
    if isinstance(value, int):
        return f"<{name}>{value}</{name}>"
    return f"<{name}>{escape(value)}</{name}>" if value else f"<{name}></{name}>"


def document(root: str, inside: str | Iterable[str]) -> bytes:
    """Print a whole answer: declaration, root in the S3 namespace, already printed children."""
    body = inside if isinstance(inside, str) else "".join(inside)
    return f'{HEAD}<{root} xmlns="{NAMESPACE}">{body}</{root}>'.encode()


def timestamp(moment: datetime) -> str:
    """Print a time the way S3 documents do: milliseconds and Z."""
    return f"{moment.astimezone(UTC).isoformat(timespec='milliseconds')[:23]}Z"


def stamp(text: str) -> str:
    """Print a time given as text in UTC, `2026-01-31 12:00:00` with or without a fraction."""
    if len(text) == 19:
        return f"{text[:10]}T{text[11:]}.000Z"
    return f"{text[:10]}T{text[11:23]:0<12}Z"


class Node:
    """One element of a request body, without its namespace."""

    __slots__ = ("attributes", "children", "name", "text")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name = name
        self.attributes = attributes
        self.text = ""
        self.children: list[Node] = []

    def all(self, name: str) -> "list[Node]":
        """Return the children called `name`, in order."""
        return [child for child in self.children if child.name == name]

    def child(self, name: str) -> "Node | None":
        """Return the only child called `name`, None when there is none."""
        found = self.all(name)
        if len(found) > 1:
            raise MalformedXML()
        return found[0] if found else None

    def value(self, name: str) -> str | None:
        """Return the text of the only child called `name`, None when there is none."""
        node = self.child(name)
        if node is None:
            return None
        if node.children:
            raise MalformedXML()
        return node.text

    def required(self, name: str) -> str:
        """Return the text of the child called `name`, which has to be there."""
        text = self.value(name)
        if text is None:
            raise MalformedXML()
        return text

    def only(self, *names: str) -> None:
        """Refuse children of any other name."""
        if any(child.name not in names for child in self.children):
            raise MalformedXML()


def parse(body: bytes, root: str) -> Node:
    """Read a request body whose root element has to be `root`."""
    if len(body) > MAX_BYTES:
        raise MalformedXML()
    tree = _Builder().build(body)
    if tree.name != root:
        raise MalformedXML()
    return tree


class _Builder:
    """Turns expat's events into nodes, refusing what a request may not hold."""

    def __init__(self) -> None:
        self.stack: list[Node] = []
        self.texts: list[list[str]] = []
        self.root: Node | None = None

    def build(self, body: bytes) -> Node:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = _refuse
        parser.EntityDeclHandler = _refuse
        parser.ExternalEntityRefHandler = _refuse
        try:
            parser.Parse(body, True)
        except (expat.ExpatError, ValueError, LookupError) as error:
            raise MalformedXML() from error
        if self.root is None:
            raise MalformedXML()
        return self.root

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self.stack) >= MAX_DEPTH:
            raise MalformedXML()
        node = Node(name.rpartition(":")[2], attributes)
        if self.stack:
            self.stack[-1].children.append(node)
        else:
            self.root = node
        self.stack.append(node)
        self.texts.append([])

    def _end(self, name: str) -> None:
        node = self.stack.pop()
        pieces = self.texts.pop()
        if node.children:
            # Text between elements is layout; a document with words there means something else.
            if "".join(pieces).strip():
                raise MalformedXML()
        else:
            node.text = "".join(pieces)

    def _characters(self, text: str) -> None:
        if self.texts:
            self.texts[-1].append(text)


def _refuse(*_: object) -> NoReturn:
    raise MalformedXML()

"""Management commands of the form `manage.py NOUN VERB`: neat tables, or JSON with `--json`.

Promise: what cannot be done ends in one clear sentence on standard error and a non-zero exit; JSON
output is one document, its keys are an interface.
"""

from __future__ import annotations

import dataclasses
import json
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from core.errors import StoreError

# Whom the audit trail names for what a command does.
ACTOR = "command line"

Options = Mapping[str, Any]
Answer = Mapping[str, Any] | Sequence[Any] | str | None
Verb = Callable[[Options], Answer]


class NounCommand(BaseCommand):
    """A command whose first argument is a verb; subclasses declare the verbs."""

    requires_system_checks: list[str] = []

    def verbs(self) -> None:
        """Declare each verb with `self.verb(...)`."""
        raise NotImplementedError

    def verb(self, name: str, does: Verb, says: str) -> ArgumentParser:
        """Declare one verb; add its arguments to the parser returned."""
        parser: ArgumentParser = self._verbs.add_parser(name, help=says, description=says)
        parser.add_argument("--json", action="store_true", help="Print one JSON document.")
        parser.set_defaults(does=does)
        return parser

    def add_arguments(self, parser: Any) -> None:
        self._verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
        self.verbs()

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            answer = options["does"](options)
        except StoreError as why:
            raise CommandError(why.message) from None
        except OperationalError as why:
            raise CommandError(f"The database cannot be used: {_first_line(why)}") from None
        self.stdout.write(to_json(answer) if options["json"] else to_text(answer))


def to_json(answer: Answer) -> str:
    """One document: an object, or a list of objects."""
    if isinstance(answer, str) or answer is None:
        answer = {"message": answer or "done"}
    return json.dumps(_plain(answer), indent=2, default=_value)


def to_text(answer: Answer) -> str:
    """A sentence, lines `name  value`, or a table with a heading."""
    if answer is None or isinstance(answer, str):
        return answer or "Done."
    shown = _plain(answer)
    if isinstance(shown, Mapping):
        width = max((len(name) for name in shown), default=0)
        return "\n".join(
            f"{_title(name):<{width}}  {_cell(value)}" for name, value in shown.items()
        )
    return table([dict(row) for row in shown])


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows under a heading, columns as wide as their widest cell; numbers to the right."""
    if not rows:
        return "None."
    names = list(rows[0])
    cells = [[_cell(row.get(name)) for name in names] for row in rows]
    titles = [_title(name).upper() for name in names]
    widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
    right = [all(isinstance(row.get(name), int | float | None) for row in rows) for name in names]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in [titles, *cells]
    )


def _plain(answer: Any) -> Any:
    if dataclasses.is_dataclass(answer) and not isinstance(answer, type):
        return {one.name: getattr(answer, one.name) for one in dataclasses.fields(answer)}
    if isinstance(answer, list | tuple):
        return [_plain(one) for one in answer]
    return answer


def _value(value: object) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    return _plain(value) if dataclasses.is_dataclass(value) else str(value)


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_cell(inner)}" for name, inner in value.items())
    return str(value).replace("\n", " ")


def _title(name: str) -> str:
    return name.replace("_", " ")


def _first_line(why: Exception) -> str:
    return str(why).strip().splitlines()[0] if str(why).strip() else type(why).__name__

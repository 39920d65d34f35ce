"""Request targets that hold bytes beyond ASCII, which the grammar wants escaped.

Here: such a target escaped for the parser, beside what was sent. Not here: when that is done
(s3.connection), whether the bytes are a name (s3.target), what was signed (core.sigv4).

Promise: nothing else of a request is touched, so the parser judges all of its framing; a target
keeps its end, since neither blanks nor control characters are part of one here.
"""

from __future__ import annotations

import re

_START = re.compile(rb"(?:\r?\n)*[A-Z]+ (/[^\x00-\x20\x7f]*)")
_RAW = re.compile(rb"[\x80-\xff]")


def begun(text: bytes, known: int) -> tuple[bytes, int, int] | None:
    """Of a request that begins with `text`: its beginning up to the end of the target, escaped;
    and where in `text` the target begins and ends.

    None when this is no such target, or none of its raw bytes lies beyond the first `known`.
    """
    found = _START.match(text)
    if found is None or text[known : found.end()].isascii():
        return None
    return _RAW.sub(_escape, found[0]), found.start(1), found.end(1)


def _escape(byte: re.Match[bytes]) -> bytes:
    return b"%%%02X" % byte[0][0]

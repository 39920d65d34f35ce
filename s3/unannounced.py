"""Bodies whose length nobody announced (`Transfer-Encoding: chunked`): read to the end first.

Where bytes go depends on how many there are, so such a body is held until its end is known: in
memory up to a mebibyte, beyond that in a file without a name, which vanishes with the process.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import IO

from core.errors import EntityTooLarge
from core.streams import PIECE, Body, Whole


async def announced(body: Body, *, limit: int, directory: Path) -> Body:
    """The same bytes with their length; `EntityTooLarge` beyond `limit`."""
    held: list[bytes] = []
    size = 0
    file: IO[bytes] | None = None
    loop = asyncio.get_running_loop()
    try:
        while piece := await body.read():
            size += len(piece)
            if size > limit:
                raise EntityTooLarge(max_size_allowed=limit)
            held.append(piece)
            if size > PIECE:
                if file is None:
                    file = await loop.run_in_executor(None, _nameless, directory)
                await loop.run_in_executor(None, file.writelines, held)
                held = []
        if file is None:
            return Whole(b"".join(held), body.trailer)
        await loop.run_in_executor(None, file.seek, 0)
    except BaseException:
        if file is not None:
            file.close()
        raise
    return Spooled(file, size, body.trailer)


class Spooled:
    """A body read back from a file without a name."""

    __slots__ = ("_file", "length", "trailer")

    def __init__(self, file: IO[bytes], length: int, trailer: dict[str, str]) -> None:
        self._file = file
        self.length: int | None = length
        self.trailer = trailer

    async def read(self) -> bytes:
        if self._file.closed:
            return b""
        loop = asyncio.get_running_loop()
        piece = await loop.run_in_executor(None, self._file.read, PIECE)
        if not piece:
            self._file.close()
        return piece


def _nameless(directory: Path) -> IO[bytes]:
    directory.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=directory)

"""The access log's way to whoever reads it, slowly or not at all."""

from __future__ import annotations

import asyncio
import fcntl
import os
import tempfile
import threading
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import IO, Any, cast

import orjson
import pytest

from s3.access_log import WAITING_BYTES, AccessLog
from s3.wire import Call

PATIENCE_S = 120.0
# Lines that are handed over together, and more of them than a pipe holds.
BATCH = 512
MANY = 4 * BATCH


class Pipe:
    """A pipe whose reader reads when it is told to."""

    def __init__(self) -> None:
        self.reads, self.writes = os.pipe()
        fcntl.fcntl(self.writes, fcntl.F_SETPIPE_SZ, 4096)
        self._text = b""

    def lines(self, count: int) -> list[dict[str, Any]]:
        """The next so many lines."""
        pieces, found = [self._text], self._text.count(b"\n")
        while found < count:
            pieces.append(os.read(self.reads, 1 << 16))
            found += pieces[-1].count(b"\n")
        *lines, self._text = b"".join(pieces).split(b"\n", count)
        return [orjson.loads(line) for line in lines]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    os.close(made.reads)  # which also ends whoever still writes


@pytest.fixture
def file() -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as opened:
        yield opened


def note(log: AccessLog, numbers: Iterable[int], agent: str = "") -> None:
    """Add a request for each number; its path is the number."""
    for number in numbers:
        call = SimpleNamespace(
            method="GET",
            raw_path=b"/%d" % number,
            query={},
            operation=SimpleNamespace(name="GetObject"),
            bytes_in=0,
            bytes_out=0,
            request_id=str(number),
            caller=None,
            peer="",
            headers={"user-agent": agent},
        )
        log.add(cast(Call, call), 200, 0.001, None)


def numbers_of(lines: list[dict[str, Any]]) -> list[int]:
    return [int(line["path"][1:]) for line in lines]


async def test_at_the_end_everything_is_written(file: IO[bytes]) -> None:
    log = AccessLog(file.fileno())
    note(log, range(BATCH + 3))

    log.write()

    text = os.pread(file.fileno(), 1 << 20, 0)
    assert numbers_of([orjson.loads(line) for line in text.splitlines()]) == [*range(BATCH + 3)]


def test_requests_go_on_while_nobody_reads_the_log(pipe: Pipe) -> None:
    log = AccessLog(pipe.writes)

    async def noted() -> None:
        note(log, range(MANY))

    requests = threading.Thread(target=asyncio.run, args=(noted(),), daemon=True)
    requests.start()
    requests.join(PATIENCE_S)

    assert not requests.is_alive()
    assert numbers_of(pipe.lines(MANY)) == [*range(MANY)]


async def test_what_is_dropped_is_counted_and_said(pipe: Pipe) -> None:
    log = AccessLog(pipe.writes)

    note(log, range(MANY), agent="x" * (WAITING_BYTES // BATCH))
    kept = pipe.lines(BATCH)
    log.write()  # once this is back, the thread has nothing left to do
    note(log, [MANY])
    log.write()
    gap, after = pipe.lines(2)

    assert numbers_of(kept) == [*range(BATCH)]
    assert (gap["level"], gap["lines"]) == ("warning", MANY - BATCH)
    assert numbers_of([after]) == [MANY]


async def test_lines_that_could_not_be_written_are_counted_too(file: IO[bytes]) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    log = AccessLog(writes)

    note(log, range(BATCH))
    log.write()
    os.dup2(file.fileno(), writes)
    note(log, [BATCH])
    log.write()

    text = os.pread(file.fileno(), 1 << 20, 0)
    gap, after = [orjson.loads(line) for line in text.splitlines()]
    assert gap["lines"] == BATCH
    assert numbers_of([after]) == [BATCH]
    os.close(writes)

"""An append-only ledger of what clients did, kept outside the store under test.

Each operation writes a line before it is sent and one when its outcome is known. An operation
without a second line, or whose outcome is `unknown`, may or may not have happened, once. The
ledger never reads the store; `judgement` replays it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["put", "delete", "get"]
Outcome = Literal["ok", "refused", "unknown"]

# Reading "the key is not there" is a value like any other.
ABSENT = "absent"
NEVER_ENDED = 1 << 62
_SYNC_EVERY = 256


@dataclass(frozen=True, slots=True)
class Entry:
    """One operation: a put or delete, or a get with the value it saw."""

    number: int
    kind: Kind
    key: str
    value: str
    start: int
    end: int
    outcome: Outcome
    version: str | None = None


class Ledger:
    """Writes the lines; one process, any number of tasks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._next = sum(1 for _ in path.open()) if path.exists() else 0
        self._unsynced = 0

    def begin(self, kind: Kind, key: str, value: str) -> int:
        """Note that the operation is about to be sent; its number."""
        self._next += 1
        self._write({"n": self._next, "kind": kind, "key": key, "value": value, "start": _tick()})
        return self._next

    def end(
        self, number: int, outcome: Outcome, *, version: str | None = None, value: str | None = None
    ) -> None:
        line: dict[str, object] = {"n": number, "outcome": outcome, "end": _tick()}
        if version is not None:
            line["version"] = version
        if value is not None:
            line["value"] = value
        self._write(line)

    def sync(self) -> None:
        os.fsync(self._fd)
        self._unsynced = 0

    def close(self) -> None:
        self.sync()
        os.close(self._fd)

    def _write(self, line: dict[str, object]) -> None:
        os.write(self._fd, (json.dumps(line) + "\n").encode())
        self._unsynced += 1
        if self._unsynced >= _SYNC_EVERY:
            self.sync()


def read(path: Path) -> Iterator[Entry]:
    """Every operation of the ledger, in the order it was begun."""
    begun: dict[int, dict[str, object]] = {}
    with path.open() as lines:
        for text in lines:
            try:
                line = json.loads(text)
            except ValueError:
                continue  # the last line of a campaign that was itself killed
            begun.setdefault(line["n"], {}).update(line)
    for number, line in begun.items():
        if "kind" not in line:
            continue
        outcome = line.get("outcome", "unknown")
        yield Entry(
            number=number,
            kind=line["kind"],  # type: ignore[arg-type]
            key=str(line["key"]),
            value=str(line["value"]),
            start=int(str(line["start"])),
            # What is not known to have ended may still happen.
            end=int(str(line["end"])) if outcome != "unknown" else NEVER_ENDED,
            outcome=outcome,  # type: ignore[arg-type]
            version=line.get("version"),  # type: ignore[arg-type]
        )


def _tick() -> int:
    return time.monotonic_ns()

"""Which files of the journal make the newest history that can be told without a gap.

Here: choosing the snapshot and the segments, reading their entries once each and in order. Not
here: what entries mean.

The newest complete snapshot counts, and the segments of its lineage that reach beyond it. Each says
what it follows, so a hole cannot hide; copies are read until one verifies to its last byte.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from core.errors import BadFormat, ShardCorrupt
from objstore_site.rebuild.directories import Directory
from storage_nodes.journal_format import (
    FOOTER_SIZE,
    HEADER_SIZE,
    Entry,
    JournalFooter,
    JournalHeader,
    Place,
    decode,
    parse_footer,
    parse_header,
)
from storage_nodes.shard_name import JournalName

DAMAGED = (ShardCorrupt, BadFormat, OSError)


@dataclass(frozen=True, slots=True)
class File:
    """A file with its copies."""

    name: JournalName
    header: JournalHeader
    footer: JournalFooter
    copies: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Visible:
    """Which transactions a snapshot saw; PostgreSQL writes it `xmin:xmax:xip,xip`."""

    xmin: int
    xmax: int
    running: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Visible:
        low, high, running = text.split(":")
        return cls(int(low), int(high), frozenset(map(int, filter(None, running.split(",")))))

    def sees(self, xid: int) -> bool:
        return xid < self.xmin or (xid < self.xmax and xid not in self.running)


@dataclass(slots=True)
class History:
    """A snapshot and what followed it. `gaps` are told, never passed over in silence."""

    snapshot: File
    segments: list[File]
    gaps: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    newest_number: int = 0
    # Filled by reading.
    about: dict[str, object] = field(default_factory=dict)

    def snapshot_rows(self) -> Iterator[tuple[str, bytes]]:
        """Table and row (as its entry's JSON) of everything the snapshot holds."""
        for entry in _entries(self.snapshot):
            loaded = orjson.loads(entry.payload)
            if loaded["kind"] == "snapshot":
                self.about = loaded["body"]
            else:
                yield loaded["kind"], entry.payload

    def changes(self) -> Iterator[Entry]:
        """Every change the snapshot did not see, once, in order; after `snapshot_rows`."""
        visible = Visible.parse(str(self.about["visible"]))
        at = self.snapshot.header.after
        for file in self.segments:
            for entry in _entries(file):
                place = Place(entry.xid, entry.id)
                if place <= at:
                    continue
                at = place
                if not visible.sees(entry.xid):
                    yield entry


def find(directories: Sequence[Directory]) -> History | None:
    """The newest history these drives tell; None when there is no snapshot at all."""
    files, damaged, newest = _files(directories)
    chosen = _newest_snapshot(files, damaged)
    if chosen is None:
        return None
    relevant = [
        file
        for file in files
        if file.name.kind == "jrn"
        and file.header.lineage == chosen.header.lineage
        and file.footer.last > chosen.header.after
    ]
    segments = [whole for file in relevant if (whole := _whole(file, damaged)) is not None]
    # Of rivals that follow the same place the longest first: the others add nothing.
    segments.sort(key=lambda f: (f.header.after, tuple(-n for n in f.footer.last)))
    history = History(chosen, segments, damaged=damaged, newest_number=newest)
    at = chosen.header.after
    for file in segments:
        if file.header.after > at:
            history.gaps.append(
                f"between change {at.xid}/{at.id} and {file.header.after.xid}/"
                f"{file.header.after.id}, before file {file.name}"
            )
        at = max(at, file.footer.last)
    readable = {file.name.number for file in segments}
    for text in damaged:
        name = JournalName.parse(text)
        if name.number > chosen.name.number and name.number not in readable:
            history.gaps.append(f"file {text} does not verify on any drive")
    return history


def _files(directories: Sequence[Directory]) -> tuple[list[File], list[str], int]:
    """Complete files, the names of those that are not, and the largest number."""
    paths: dict[JournalName, list[Path]] = {}
    for directory in directories:
        for name in directory.journal():
            paths.setdefault(name, []).append(directory.file(name))
    files, damaged = [], []
    for name, copies in paths.items():
        good = [(path, ends) for path in copies if (ends := _ends(path, name)) is not None]
        if good:
            header, footer = good[0][1]
            files.append(File(name, header, footer, tuple(path for path, _ in good)))
        else:
            damaged.append(str(name))
    return files, sorted(damaged), max((name.number for name in paths), default=0)


def _newest_snapshot(files: Sequence[File], damaged: list[str]) -> File | None:
    snapshots = sorted((f for f in files if f.name.kind == "snap"), key=lambda f: f.name)
    for file in reversed(snapshots):
        if (whole := _whole(file, damaged)) is not None:
            return whole
    return None


def _whole(file: File, damaged: list[str]) -> File | None:
    """The file with the first of its copies that verifies to the last byte."""
    for path in file.copies:
        if _verifies(path):
            return File(file.name, file.header, file.footer, (path,))
    damaged.append(str(file.name))
    return None


def _verifies(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            for _ in decode(os.fstat(file.fileno()).st_size, file.read):
                pass
    except DAMAGED:
        return False
    return True


def _ends(path: Path, name: JournalName) -> tuple[JournalHeader, JournalFooter] | None:
    """Header and footer, when they verify and are those of this name."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            header = parse_header(file.read(HEADER_SIZE))
            file.seek(max(0, size - FOOTER_SIZE))
            footer = parse_footer(file.read(), header.kind, size)
            if (header.kind, header.number) != (name.kind, name.number):
                return None
    except DAMAGED:
        return None
    return header, footer


def _entries(file: File) -> Iterator[Entry]:
    """From the first copy. It is read a second time, and verified a second time."""
    path = file.copies[0]
    with path.open("rb") as opened:
        yield from decode(os.fstat(opened.fileno()).st_size, opened.read)

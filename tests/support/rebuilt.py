"""A database that is copied to drives in memory, and an empty one to rebuild it in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from core import config as configuration
from objstore_site.rebuild.rebuilding import rebuild
from objstore_site.rebuild.report import Report
from storage_nodes.shard_name import JournalName
from tests.support import session
from tests.support.drives import MemoryStorage, installed
from tests.support.journals import begin, copy_changes
from tests.support.namespace import Namespace, namespace
from tests.support.rebuilding import Story, configure, fold_usage, register, spill, take_snapshot
from tests.support.tables import rows


class Source:
    """A database that is copied to drives in memory, and an empty one to rebuild it in."""

    def __init__(self, url: str, target: str, storage: MemoryStorage, below: Path) -> None:
        self.url = url
        self.target = target
        self.storage = storage
        self.below = below
        self._runner = asyncio.Runner()
        self._opened: list[Any] = []

    def story(self, seed: int, *versionings: str, steps: int = 25) -> None:
        """Things that happen in a bucket of its own, whose versioning changes on the way. After
        the second kind of versioning a snapshot is taken.
        """
        space = self.bucket("")
        limits = replace(space.store.config.limits, part_min_bytes=1)
        space.store.config = replace(space.store.config, limits=limits)
        story = Story(space, seed)
        for number, versioning in enumerate(versionings):
            if versioning:
                self.do(space, "set_versioning", versioning)
            self._runner.run(story.tell(steps))
            configure(seed)
            (take_snapshot if number == 1 else copy_changes)()

    def rebuild(self, *, without: tuple[int, ...] = (), accept_gaps: bool = False) -> Report:
        """What the drives alone tell, without some of them."""
        paths = spill(self.storage, self.below / str(len(list(self.below.glob("*")))))
        given = [path for number, path in paths.items() if number not in without]
        return rebuild(self.target, given, accept_gaps=accept_gaps)

    def journal(self, kind: str = "jrn") -> list[JournalName]:
        found = {
            name
            for store in self.storage.everything.values()
            for name in store.shards
            if isinstance(name, JournalName) and name.kind == kind
        }
        return sorted(found)

    def forget(self, name: JournalName) -> None:
        """No drive has that file."""
        for store in self.storage.everything.values():
            store.shards.pop(name, None)

    def bucket(self, versioning: str) -> Namespace:
        opened = namespace(versioning)
        self._opened.append(opened)
        return self._runner.run(opened.__aenter__())

    def do(self, space: Namespace, verb: str, *given: object) -> Any:
        """One verb of a namespace."""
        return self._runner.run(getattr(space, verb)(*given))

    def close(self) -> None:
        for opened in self._opened:
            self._runner.run(opened.__aexit__(None, None, None))
        self._runner.close()

    def holders(self) -> list[int]:
        return [n for n, store in self.storage.everything.items() if store.shards]

    def check(self) -> None:
        """Row for row."""
        fold_usage()
        before, after = rows(self.url), rows(self.target)
        for table in before:
            assert after[table] == before[table], table


@contextmanager
def source_and_target(blocker: session.Blocker, below: Path) -> Iterator[Source]:
    """Django and the workers use the source; its history has begun."""
    run = session.current()
    with run.fresh_database(blocker) as target, run.fresh_database(blocker) as url:
        with (
            installed() as storage,
            configuration.override(nodes={"key_file": below / "node.key"}),
        ):
            register(storage)
            begin()
            made = Source(url, target, storage, below / "drives")
            try:
                yield made
            finally:
                made.close()

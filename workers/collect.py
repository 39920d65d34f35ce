"""Removes what nothing names any more: dead segments, replaced layouts, what lost attempts left.

A round looks for segments no extent names and buries them, trashes the files of retired rows
whose grace is over, unlinks old trash. Now and then (`drive:N`) a drive's files are compared with
the rows: what no intent announced is retired as well, for the next round.

Deleting is the last step of everything: the decision is made under the row's lock, then the files
go to trash, then the row says so, and only a day later are they unlinked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from core import clock
from core.config import config
from core.errors import StoreError
from core.failpoints import declare
from core.names import made_at
from jobs import statements
from jobs.catalogue import COLLECT, REPAIR
from jobs.enqueue import enqueue
from jobs.step import NotYet, Step
from objects import rewrite
from storage_nodes import garbage, layouts, orphans
from storage_nodes.layouts import RetiredRow
from storage_nodes.policy import policy
from storage_nodes.shard_name import ShardName
from workers.context import Context
from workers.registry import handles
from workers.storage import Storage, run, storage

DRIVE = "drive:"
BATCH = 100
PAGE = 1000
# A round ends after so long, whatever is left: others wait for the worker, and the next comes soon.
ROUND_S = 10.0
# Files nobody announced are left alone until their segment is this old.
ORPHAN_AGE = timedelta(hours=24)
SCAN_EVERY = timedelta(hours=6)
# A row whose drive cannot be asked, or whose successor is not whole, is looked at again then.
AGAIN_AFTER_S = 60.0
# Under pressure trash goes earlier, though not before whoever still reads it has finished.
LEAST_IN_TRASH_S = 60.0

CLAIMED = declare(
    "collect.claimed", point="C13", doc="a retired row may be cleared, nothing trashed"
)

# Segments looked at for extents in one round; the next goes on behind them.
PAGES = 20
# A segment sealed this long ago whose coding nobody owes is owed it again.
FORGOTTEN_S = 300.0

LAST_ROUND = """
    SELECT cursor #>> '{}' FROM job_done
     WHERE family = %(family)s AND subject = '' AND outcome = 'done'
     ORDER BY finished DESC LIMIT 1
"""
SCANNED = "SELECT max(finished) FROM job_done WHERE family = %(family)s AND subject = %(subject)s"


@handles(COLLECT)
def collect(subject: str, cursor: Any, context: Context) -> Iterator[Step]:
    """One round; or one drive's files compared with the rows."""
    here = storage()
    if subject.startswith(DRIVE):
        yield from _scan(int(subject.removeprefix(DRIVE)), cursor, here)
        return
    done, seen = 0, cursor or _seen_last_round()
    for part in (_abandoned(), _unnamed(seen), _trash(here), _empty(here)):
        for now_seen in part:
            done, seen = done + 1, now_seen or seen
            yield Step(done=done, cursor=seen)
    layouts.forget(config().jobs.trash_s, PAGE)
    layouts.owe_forgotten_encodes(FORGOTTEN_S, BATCH)
    _owe_scans(here)


def _seen_last_round() -> str:
    """How far the last round came in looking for segments nobody names."""
    found = statements.rows(LAST_ROUND, family=COLLECT.name)
    return str(found[0][0]) if found and found[0][0] else str(UUID(int=0))


def _abandoned() -> Iterator[str | None]:
    while layouts.bury_abandoned(BATCH, config().jobs.grace_s):
        yield None


def _unnamed(seen: str) -> Iterator[str | None]:
    """Bury what nobody names among the next pages of segments, from the beginning after the end."""
    after = UUID(seen)
    for _ in range(PAGES):
        last, candidates = rewrite.unnamed(after, PAGE)
        for segment_id in candidates:
            rewrite.bury(segment_id, config().jobs.grace_s)
            yield None
        after = last or UUID(int=0)
        yield str(after)
        if last is None:
            return


def _trash(here: Storage) -> Iterator[str | None]:
    after, until = 0, clock.monotonic() + ROUND_S
    while rows := layouts.retired_due(BATCH, after):
        for row in rows:
            if clock.monotonic() > until:
                return
            after = row.id
            if _successor_is_whole(row, here):
                _clear(row, here)
            else:
                layouts.put_off(row, AGAIN_AFTER_S)
            yield None


def _clear(row: RetiredRow, here: Storage) -> None:
    claimed = layouts.claim_retired(row)
    drives = [0 if here.is_removed(drive) else drive for drive in claimed]
    CLAIMED.hit()
    if run(garbage.trash(row, drives, here.stores)):
        layouts.trashed(row)
    else:
        layouts.put_off(row, AGAIN_AFTER_S)
    _notice(row, drives)


def _notice(row: RetiredRow, drives: Sequence[int]) -> None:
    """Of a worker that was held up: another has cleared these drives before, and a repair has used
    one of them since. What is live has to come back out of the trash.
    """
    now = layouts.segment(row.segment)
    if now is None or now.epoch != row.epoch or now.state == "dead":
        return
    for index, (cleared, live) in enumerate(zip(drives, now.drives, strict=False)):
        if cleared and cleared == live:
            layouts.noticed(now, index, "missing")


def _successor_is_whole(row: RetiredRow, here: Storage) -> bool:
    """What replaced this layout, a later one or a gathered segment, needs it no more; what that
    lacks is owed to repair.
    """
    now = layouts.successor(row.segment)
    if now is None or now.state == "dead":
        return True
    if now.id == row.segment and now.epoch <= row.epoch:
        return True
    width = policy(now.policy).width if now.layout == "coded" else len(now.drives)
    found = run(garbage.present(now, here.stores))
    if found < width:
        enqueue(REPAIR, now.id, priority=found - policy(now.policy).needed)
    return found >= max(policy(now.policy).needed + 1, width - 1)


def _empty(here: Storage) -> Iterator[str | None]:
    jobs = config().jobs
    for store in here.stores.values():
        try:
            run(
                garbage.empty(
                    store,
                    clock.now(),
                    keep_s=jobs.trash_s,
                    least_s=min(LEAST_IN_TRASH_S, jobs.trash_s),
                    fraction=jobs.trash_fraction,
                )
            )
        except (StoreError, OSError):
            continue  # its turn comes when it is back
        yield None


def _owe_scans(here: Storage) -> None:
    for drive in sorted(here.stores):
        subject = f"{DRIVE}{drive}"
        last = statements.rows(SCANNED, family=COLLECT.name, subject=subject)[0][0]
        if last is None or clock.now() - last > SCAN_EVERY:
            enqueue(COLLECT, subject)


def _scan(drive: int, cursor: Any, here: Storage) -> Iterator[Step]:
    done, after = cursor or [0, None]
    store = here.stores.get(drive)
    if store is None:
        return
    try:
        while page := run(garbage.page_of_names(store, ShardName.parse(after) if after else None)):
            aged = [file for file in page if clock.now() - made_at(file[0]) > ORPHAN_AGE]
            orphans.retire(drive, aged)
            done, after = done + len(page), str(ShardName(*page[-1]))
            yield Step(done=done, cursor=[done, after])
    except (StoreError, OSError) as why:
        raise NotYet(f"the drive cannot be asked: {why}", after_s=AGAIN_AFTER_S) from why

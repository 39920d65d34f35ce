"""What is observed of nodes and drives, and what follows from it."""

import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from core import clock
from core import config as configuration
from core.config import config
from core.database import Lanes
from storage_nodes.health import NODE_PATIENCE, Health, run
from storage_nodes.shard_name import ShardName
from tests.support.nodes import RunningNode, eventually, make_known, running_node, wait_until

pytestmark = pytest.mark.cluster
GONE_AFTER_S = 1000.0
Rows = psycopg.Connection[tuple[object, ...]]


class ShiftedClock:
    """The machine's clock, with a monotonic time that can be moved on."""

    def __init__(self) -> None:
        self.shift_s = 0.0

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic() + self.shift_s


@pytest.fixture(scope="module")
def shared() -> Iterator[RunningNode]:
    with running_node(drives=2) as node:
        yield node


@pytest.fixture
def own() -> Iterator[RunningNode]:
    with running_node(drives=2) as node:
        yield node


@pytest.fixture
def moment() -> Iterator[ShiftedClock]:
    shifted = ShiftedClock()
    with clock.use(shifted):
        yield shifted


@asynccontextmanager
async def watching(node: RunningNode, rows: Rows) -> AsyncIterator[Health]:
    """An observer of a registered node."""
    make_known(rows, node)
    with configuration.override(nodes={"gone_after_s": GONE_AFTER_S}):
        lanes = Lanes(config().database, misc=1)
        health = Health(lanes, config(), node.key)
        yield health
        await health.close()
        await lanes.close()


def states(rows: Rows) -> list[object]:
    return [state for (state,) in rows.execute("select state from drive order by path")]


def drive_ids(rows: Rows) -> list[int]:
    return [int(str(one)) for (one,) in rows.execute("select id from drive order by path")]


@asynccontextmanager
async def drive_away(node: RunningNode, number: int = 0) -> AsyncIterator[Path]:
    """A drive's directory is elsewhere, and its node has noticed."""
    away = node.home / f"away-{number}"
    node.paths[number].rename(away)
    await told(node, number, "gone")
    try:
        yield away
    finally:
        if away.exists():
            await bring_back(node, away, number)


async def bring_back(node: RunningNode, away: Path, number: int = 0) -> None:
    away.rename(node.paths[number])
    await told(node, number, "serving")


async def told(node: RunningNode, number: int, state: str) -> None:
    """Wait until the node says so itself."""
    http = node.http_node()

    async def says() -> str:
        found = await http.drives(node.name)
        return str(found["drives"][number]["state"])

    await eventually(says, state)
    await http.close()


async def test_what_a_node_says_is_written_down(shared: RunningNode, rows: Rows) -> None:
    async with watching(shared, rows) as health:
        rows.execute("update node set state = 'down', host = '', last_seen = null")
        rows.execute("update drive set size_bytes = 0, free_bytes = 0, device = null")
        await health.round()

    assert rows.execute(
        "select state, host <> '', last_seen > now() - interval '1 hour' from node"
    ).fetchall() == [("up", True, True)]
    assert (
        rows.execute(
            "select state, size_bytes > 0, free_bytes > 0, device is not null from drive"
        ).fetchall()
        == [("active", True, True, True)] * 2
    )


async def test_a_drive_is_gone_once_its_identity_was_missing_long_enough(
    shared: RunningNode, moment: ShiftedClock, rows: Rows
) -> None:
    async with watching(shared, rows) as health, drive_away(shared):
        await health.round()
        moment.shift_s += GONE_AFTER_S - 500
        await health.round()
        assert states(rows) == ["active", "active"]

        moment.shift_s += 500
        await health.round()
        assert states(rows) == ["gone", "active"]


async def test_a_drive_that_was_back_meanwhile_starts_over(
    shared: RunningNode, moment: ShiftedClock, rows: Rows
) -> None:
    async with watching(shared, rows) as health:
        async with drive_away(shared):
            await health.round()
        await health.round()
        moment.shift_s += GONE_AFTER_S
        async with drive_away(shared):
            await health.round()
            moment.shift_s += GONE_AFTER_S - 500
            await health.round()

    assert states(rows) == ["active", "active"]


async def test_an_observer_that_starts_late_condemns_nothing(
    shared: RunningNode, rows: Rows
) -> None:
    async with watching(shared, rows) as health, drive_away(shared):
        rows.execute("update drive set last_seen = now() - interval '1 year'")
        await health.round()

        assert states(rows) == ["active", "active"]


@pytest.mark.parametrize(("draining", "state"), [(False, "active"), (True, "draining")])
async def test_a_drive_that_returns_is_what_it_was(
    shared: RunningNode,
    rows: Rows,
    draining: bool,
    state: str,
) -> None:
    async with watching(shared, rows) as health:
        rows.execute(
            "update drive set state = 'gone', gone_since = now(), draining = %s", (draining,)
        )
        await health.round()

    assert states(rows) == [state, state]
    assert rows.execute("select count(gone_since) from drive").fetchone() == (0,)


async def test_a_removed_drive_stays_removed(shared: RunningNode, rows: Rows) -> None:
    async with watching(shared, rows) as health:
        rows.execute("update drive set state = 'removed'")
        await health.round()

    assert states(rows) == ["removed", "removed"]


async def test_a_fenced_drive_is_shown_with_its_reason(own: RunningNode, rows: Rows) -> None:
    store = own.http()
    await store.report_error(ShardName(UUID(int=1), 1, 0), 5)
    async with watching(own, rows) as health:
        await told(own, 0, "fenced")
        await health.round()
        assert states(rows) == ["fenced", "active"]
        [(reason,)] = rows.execute("select reason from drive where state = 'fenced'").fetchall()
        assert "EIO" in str(reason)

        await store.clear_fence()
        await told(own, 0, "serving")
        await health.round()
        assert states(rows) == ["active", "active"]
    await store.close()


async def test_a_silent_node_is_down_and_keeps_its_drives_for_long(
    own: RunningNode, moment: ShiftedClock, rows: Rows
) -> None:
    async with watching(own, rows) as health:
        await health.round()
        own.kill()
        for _ in range(3):
            await health.round()
        assert rows.execute("select state from node").fetchall() == [("down",)]

        moment.shift_s += GONE_AFTER_S * 2
        await health.round()
        assert states(rows) == ["active", "active"]

        moment.shift_s += GONE_AFTER_S * NODE_PATIENCE
        await health.round()
        assert states(rows) == ["gone", "gone"]


async def test_a_node_that_answers_again_is_up(own: RunningNode, rows: Rows) -> None:
    async with watching(own, rows) as health:
        rows.execute("update node set state = 'down'")
        await health.round()

    assert rows.execute("select state from node").fetchall() == [("up",)]


async def test_what_a_gone_drive_held_is_owed_least_redundant_first(
    shared: RunningNode, moment: ShiftedClock, rows: Rows
) -> None:
    async with watching(shared, rows) as health:
        lost, kept = drive_ids(rows)
        segment(rows, 1, "ec-2-1", "coded", [lost, kept, kept + 100])
        segment(rows, 2, "ec-2-1", "coded", [kept, kept + 100, kept + 101])
        segment(rows, 3, "rep-3", "replicated", [lost, kept, kept + 100])
        segment(rows, 4, "ec-2-1", "coded", [lost, kept, kept + 100], state="dead")
        segment(rows, 5, "rep-3", "replicated", [lost, kept, kept + 100])
        rows.execute(
            "insert into segment_shard (segment_id, epoch, index, state)"
            " values (%s, 1, 1, 'corrupt')",
            (UUID(int=5),),
        )
        async with drive_away(shared):
            await health.round()
            moment.shift_s += GONE_AFTER_S
            await health.round()

    assert rows.execute(
        "select subject, priority from job where family = 'repair' order by subject"
    ).fetchall() == [
        (str(UUID(int=1)), 0),
        (str(UUID(int=3)), 1),
        (str(UUID(int=5)), 0),
    ]


async def test_repairs_are_owed_in_batches_to_the_last_segment(
    shared: RunningNode, rows: Rows
) -> None:
    async with watching(shared, rows):
        lost, _ = drive_ids(rows)
        for number in range(1, 8):
            segment(rows, number, "rep-3", "replicated", [lost, 998, 999])
        rows.execute("update drive set state = 'gone' where id = %s", (lost,))

    after, turns = UUID(int=0), 0
    while after is not None:
        [(after,)] = rows.execute("select owe_repairs(%s, 3)", (after,)).fetchall()
        turns += 1
    assert turns == 4
    assert rows.execute("select count(*) from job").fetchone() == (7,)


def segment(
    rows: Rows,
    number: int,
    policy: str,
    layout: str,
    drives: list[int],
    state: str | None = None,
) -> None:
    state = state or ("stored" if layout == "coded" else "sealed")
    rows.execute(
        "insert into segment (id, storage_policy, layout, state, drives, cell_size)"
        " values (%s, %s, %s, %s, %s, 4096)",
        (UUID(int=number), policy, layout, state, drives),
    )


def test_the_loop_survives_what_goes_wrong_and_ends_when_told(
    shared: RunningNode, rows: Rows, tmp_path: Path
) -> None:
    make_known(rows, shared)
    rows.execute("update drive set state = 'gone'")
    rows.execute("alter table node rename to elsewhere")
    key_file = tmp_path / "node.key"
    stop = threading.Event()
    with configuration.override(nodes={"key_file": key_file, "poll_s": 0.05}):
        loop = threading.Thread(target=run, args=(stop,))
        loop.start()
        # First there is no key, then no table, then a store.
        key_file.write_text((shared.home / "keys" / "node.key").read_text())
        rows.execute("alter table elsewhere rename to node")
        wait_until(lambda: states(rows) == ["active", "active"])
        stop.set()
        loop.join(60)

    assert not loop.is_alive()

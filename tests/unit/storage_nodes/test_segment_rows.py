"""The SQL of segments: who may put bytes where, and what follows when that ends."""

from collections.abc import AsyncIterator
from uuid import UUID

import psycopg
import pytest

from core.config import Config
from core.database import Lanes
from core.names import new_id
from storage_nodes.segment_rows import SegmentRows

NOBODY = UUID(int=1)


class Bench:
    def __init__(self, url: str) -> None:
        settings = Config.from_env({"DATABASE_URL": url}).database
        self.lanes = Lanes(settings)
        self.rows = SegmentRows(self.lanes, self.lanes, owner="me", lease_s=30)
        self.other = SegmentRows(self.lanes, self.lanes, owner="somebody else", lease_s=30)

    async def pack(self, *drives: int, policy: str = "ec-6-3") -> UUID:
        segment_id = new_id()
        await self.rows.open_pack(segment_id, policy, drives or (1, 2, 3))
        return segment_id

    async def own(self, *drives: int) -> UUID:
        segment_id = new_id()
        await self.rows.open_own(segment_id, "ec-2-1", drives or (1, 2, 3), 131072)
        return segment_id

    async def ask(self, sql: str, *params: object) -> list[tuple[object, ...]]:
        return await self.lanes.fetch("misc", sql, params)

    async def admit(self, *asked: tuple[UUID, int, str]) -> object:
        ids, epochs, kinds = zip(*asked, strict=True)
        rows = await self.ask(
            "SELECT segments_admit(%s, %s::int[], %s)", list(ids), list(epochs), list(kinds)
        )
        return rows[0][0]

    async def referable(self, *ids: UUID) -> object:
        return (await self.ask("SELECT segments_referable(%s)", list(ids)))[0][0]

    async def committed(self, *ids: UUID) -> None:
        await self.ask("SELECT segments_stored(%s)", list(ids))

    async def state(self, segment_id: UUID) -> object:
        return (await self.ask("SELECT state FROM segment WHERE id = %s", segment_id))[0][0]

    async def owed(self, segment_id: UUID) -> list[object]:
        rows = await self.ask(
            "SELECT family FROM job WHERE subject = %s ORDER BY family", str(segment_id)
        )
        return [family for (family,) in rows]

    async def broken(self, segment_id: UUID) -> list[tuple[object, ...]]:
        return await self.ask(
            "SELECT index, state FROM segment_shard WHERE segment_id = %s ORDER BY index",
            segment_id,
        )


@pytest.fixture
async def bench(module_database: str) -> AsyncIterator[Bench]:
    made = Bench(module_database)
    yield made
    await made.lanes.close()


async def test_an_open_pack_admits_bytes_of_its_epoch(bench: Bench) -> None:
    pack = await bench.pack()

    assert await bench.admit((pack, 1, "open"), (pack, 2, "open"), (pack, 1, "writing")) == [
        True,
        False,
        False,
    ]


async def test_answers_come_in_the_order_of_the_questions(bench: Bench) -> None:
    first, second = await bench.pack(), await bench.pack()
    await bench.rows.seal(first, 1, 4096, [4096] * 3)

    asked = [(second, 1, "open"), (first, 1, "open"), (NOBODY, 1, "open"), (second, 1, "open")]

    assert await bench.admit(*asked) == [True, False, False, True]


async def test_a_sealed_pack_admits_nothing_but_may_be_referred_to(bench: Bench) -> None:
    pack = await bench.pack()

    assert await bench.rows.seal(pack, 1, 4096, [4096] * 3)

    assert await bench.admit((pack, 1, "open")) == [False]
    assert await bench.referable(pack) == [True]
    assert await bench.state(pack) == "sealed"


async def test_sealing_owes_encoding(bench: Bench) -> None:
    pack = await bench.pack()

    await bench.rows.seal(pack, 1, 4096, [4096] * 3)

    assert await bench.owed(pack) == ["encode"]
    assert await bench.broken(pack) == []


async def test_a_policy_of_copies_is_never_owed_encoding(bench: Bench) -> None:
    pack = await bench.pack(policy="rep-3")

    await bench.rows.seal(pack, 1, 4096, [4096] * 3)

    assert await bench.owed(pack) == []


async def test_a_copy_closed_early_is_owed_a_repair(bench: Bench) -> None:
    pack = await bench.pack()

    await bench.rows.seal(pack, 1, 8192, [8192, 4096, 8192])

    assert await bench.broken(pack) == [(1, "missing")]
    assert await bench.owed(pack) == ["encode", "repair"]


async def test_only_the_owner_seals_and_only_once(bench: Bench) -> None:
    pack = await bench.pack()

    assert not await bench.other.seal(pack, 1, 4096, [4096] * 3)
    assert await bench.rows.seal(pack, 1, 4096, [4096] * 3)
    assert not await bench.rows.seal(pack, 1, 4096, [4096] * 3)


async def test_a_pack_nothing_was_put_into_is_dead(bench: Bench) -> None:
    pack = await bench.pack()

    await bench.rows.seal(pack, 1, 0, [0] * 3)

    assert await bench.state(pack) == "dead"
    assert await bench.owed(pack) == []
    assert await bench.referable(pack) == [False]


async def test_the_seal_job_finds_the_size_in_the_extents(
    bench: Bench, module_database: str
) -> None:
    """Inside one transaction: the extents' versions are never made, the keys are deferred."""
    pack = await bench.pack()
    async with await psycopg.AsyncConnection.connect(module_database) as job:
        for place in (0, 8192):
            await job.execute(
                'INSERT INTO extent (version_id, position, segment_id, "offset", record_size, skip,'
                " length) VALUES (%s, 0, %s, %s, 70000, 0, 70000)",
                (new_id(), pack, place),
            )
        await job.execute("SELECT segment_seal(%s, 1, NULL, NULL, NULL)", (pack,))
        found = await job.execute("SELECT state, size FROM segment WHERE id = %s", (pack,))
        assert await found.fetchone() == ("sealed", 8192 + 64 + 70000 + 8)
        await job.rollback()


async def test_the_seal_job_finds_a_segment_without_extents_dead(bench: Bench) -> None:
    pack = await bench.pack()
    await bench.rows.renew(pack, 8192, [8192] * 3)

    await bench.ask("SELECT segment_seal(%s, 1, NULL, NULL, NULL)", pack)

    assert await bench.state(pack) == "dead"


async def test_renewing_moves_the_lease_and_records_lengths(bench: Bench) -> None:
    pack = await bench.pack()
    await bench.ask("UPDATE segment SET lease_until = now() WHERE id = %s", pack)

    assert await bench.rows.renew(pack, 8192, [8192, 8192, 4096])

    found = await bench.ask(
        "SELECT lease_until > now() + interval '20 s', size, confirmed FROM segment WHERE id = %s",
        pack,
    )
    assert found == [(True, 8192, [8192, 8192, 4096])]


async def test_nobody_renews_what_is_not_theirs(bench: Bench) -> None:
    pack = await bench.pack()

    assert not await bench.other.renew(pack)
    await bench.rows.seal(pack, 1, 4096, [4096] * 3)
    assert not await bench.rows.renew(pack)


async def test_a_committed_upload_is_stored(bench: Bench) -> None:
    own = await bench.own()
    assert await bench.rows.finish_own(own, size=500, drives=(1, 2, 3), confirmed=None)
    assert await bench.admit((own, 1, "writing")) == [True]

    await bench.committed(own)

    assert await bench.state(own) == "stored"
    assert await bench.owed(own) == []
    assert await bench.referable(own) == [True]


async def test_shards_missing_at_the_commit_are_owed_before_everything_else(bench: Bench) -> None:
    own = await bench.own()
    await bench.rows.finish_own(own, size=500, drives=(1, 0, 3), confirmed=None)

    await bench.committed(own)

    assert await bench.broken(own) == [(1, "missing")]
    assert await bench.owed(own) == ["repair"]


async def test_a_staged_upload_is_sealed_and_owed_encoding(bench: Bench) -> None:
    own = new_id()
    await bench.rows.open_own(own, "ec-6-3", (1, 2, 3), None)
    await bench.rows.finish_own(own, size=4096, drives=(1, 2, 3), confirmed=(4096,) * 3)

    await bench.committed(own)

    assert await bench.state(own) == "sealed"
    assert await bench.owed(own) == ["encode"]


async def test_an_upload_that_was_abandoned_is_dead(bench: Bench) -> None:
    own = await bench.own()

    await bench.other.abandon([own])
    assert await bench.state(own) == "writing"
    await bench.rows.abandon([own])

    assert await bench.state(own) == "dead"
    assert await bench.admit((own, 1, "writing")) == [False]
    assert not await bench.rows.finish_own(own, size=1, drives=(1, 2, 3), confirmed=None)


async def test_what_is_being_written_cannot_be_referred_to(bench: Bench) -> None:
    assert await bench.referable(await bench.own(), NOBODY) == [False, False]


async def test_damage_is_noted_once_and_a_repair_owed(bench: Bench) -> None:
    own = await bench.own()
    await bench.rows.finish_own(own, size=500, drives=(4, 5, 6), confirmed=None)
    await bench.committed(own)

    await bench.rows.noticed(own, 1, 2, "missing")
    await bench.rows.noticed(own, 1, 2, "corrupt")

    assert await bench.broken(own) == [(2, "corrupt")]
    assert await bench.owed(own) == ["repair"]


async def test_damage_to_a_layout_that_has_moved_on_is_not_noted(bench: Bench) -> None:
    pack = await bench.pack()

    await bench.rows.noticed(pack, 1, 0, "corrupt")
    await bench.rows.seal(pack, 1, 4096, [4096] * 3)
    await bench.rows.noticed(pack, 7, 0, "corrupt")

    assert await bench.broken(pack) == []


async def test_a_fresh_location_is_what_the_row_says(bench: Bench) -> None:
    pack = await bench.pack(4, 5, 6)

    found = await bench.rows.whereabouts(pack)

    assert found is not None
    assert (found.layout, found.state, found.epoch, list(found.drives)) == (
        "replicated",
        "open",
        1,
        [4, 5, 6],
    )
    assert await bench.rows.whereabouts(NOBODY) is None


async def test_sealing_waits_for_a_commit_that_was_admitted(
    bench: Bench, module_database: str
) -> None:
    """The fence: whoever admitted bytes commits before the state can flip, whoever comes later is
    refused.
    """
    pack = await bench.pack()
    async with await psycopg.AsyncConnection.connect(module_database) as commit:
        await commit.execute("SELECT segments_admit(%s, '{1}'::int[], '{open}')", [[pack]])

        with pytest.raises(psycopg.errors.LockNotAvailable):
            await bench.ask(
                "SELECT set_config('lock_timeout', '50ms', true),"
                " segment_seal(%s, 1, 'me', 4096, '{4096,4096,4096}')",
                pack,
            )
        await commit.commit()

    assert await bench.rows.seal(pack, 1, 4096, [4096] * 3)


async def test_two_commits_of_one_pack_do_not_wait_for_each_other(
    bench: Bench, module_database: str
) -> None:
    pack = await bench.pack()
    async with await psycopg.AsyncConnection.connect(module_database) as commit:
        await commit.execute("SELECT segments_admit(%s, '{1}'::int[], '{open}')", [[pack]])

        assert await bench.admit((pack, 1, "open")) == [True]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE segment SET state = 'lost' WHERE id = %s",
        "UPDATE segment SET layout = 'coded', state = 'sealed' WHERE id = %s",
        "UPDATE segment SET drives = '{}' WHERE id = %s",
        "UPDATE segment SET confirmed = '{1}' WHERE id = %s",
        "UPDATE segment SET owner = NULL WHERE id = %s",
        "UPDATE segment SET epoch = 0 WHERE id = %s",
        "UPDATE segment SET size = -1 WHERE id = %s",
    ],
)
async def test_a_row_that_makes_no_sense_is_refused(bench: Bench, sql: str) -> None:
    pack = await bench.pack()

    with pytest.raises(psycopg.errors.CheckViolation):
        await bench.ask(sql, pack)

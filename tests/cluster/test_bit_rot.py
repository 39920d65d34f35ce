"""Files rot on the drives of a live store: no wrong byte is served, all of it is found and mended.
With a fourth shard of nine lost there is an error until one is back, and nothing is removed.

One store; each test has objects of its own and looks at nothing else. Objects that lose shards are
not read before: a file that is open is read whatever becomes of its name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from benchmarks.client import Answer, Connection, Fault, Signer
from tests.support.at_rest import Segment
from tests.support.bit_rot import OF_CODED, OF_COPIES, Rot
from tests.support.local_store import SMALL, LocalStore, running_store, wait_for
from tests.support.rot_judgement import judge

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

LOST = (0, 2, 5, 7)


@pytest.fixture(scope="module")
def store() -> Iterator[LocalStore]:
    with running_store(SMALL) as made:
        yield made


class Loss:
    """Shards of segments taken away, and kept elsewhere."""

    def __init__(self, rot: Rot, segments: Sequence[Segment]) -> None:
        self.rot = rot
        self._segments = segments
        self._kept = rot.store.home / f"kept-{segments[0].id}"
        self._kept.mkdir()
        for segment in segments:
            for index in LOST:
                rot.path(segment, index).rename(self._place(segment, index))

    def bring_back(self, *indexes: int) -> None:
        """As when their drives come back."""
        for segment in self._segments:
            for index in indexes:
                self._place(segment, index).rename(self.rot.path(segment, index))

    def state(self) -> tuple[object, ...]:
        """Everything that might have been removed: rows, and the files that are left."""
        ids = [segment.id for segment in self._segments]
        return (
            self.rot.sql("SELECT * FROM extent WHERE segment_id = ANY (%s) ORDER BY id", ids),
            self.rot.sql(
                "SELECT id, state, layout, epoch, drives, size FROM segment WHERE id = ANY (%s)"
                " ORDER BY id",
                ids,
            ),
            [
                self.rot.path(segment, index).read_bytes()
                for segment in self._segments
                for index in range(9)
                if index not in LOST
            ],
        )

    def attempts(self) -> int:
        """Repairs of these segments that found too few shards, and wait."""
        return len(
            self.rot.sql(
                "SELECT 1 FROM job WHERE family = 'repair' AND state = 'ready'"
                " AND subject = ANY (%s) AND last_error LIKE 'Too few shards%%'",
                [str(segment.id) for segment in self._segments],
            )
        )

    def _place(self, segment: Segment, index: int) -> Path:
        return self._kept / f"{segment.id}.{index}"


def ask(store: LocalStore, method: str, path: str) -> Answer:
    """The answer, whatever its status; a `Fault` when it breaks off."""
    signer = Signer(store.access)

    async def asked() -> Answer:
        connection = Connection(signer.host, signer.port)
        try:
            return await connection.ask(signer.head(method, path), is_head=method == "HEAD")
        finally:
            connection.close()

    return asyncio.run(asked())


def test_rot_in_coded_segments_is_met_found_and_mended(store: LocalStore) -> None:
    rot = Rot(store, seed=1)
    rot.put("rot-coded", [600_000, 800_000, 1_000_000, 1_600_000, 5_000_000])
    rot.put("rot-packed", [1, 5_000, 70_000, 200_000, 400_000])
    rot.rest("stored")

    judge(rot, lambda: rot.hurt(OF_CODED))


def test_rot_in_copies_is_found_and_mended_and_no_wrong_byte_is_served(store: LocalStore) -> None:
    rot = Rot(store, seed=2)
    with rot.paused("encode"):
        for policy in ("ec-6-3", "ec-4-2", "rep-3", "rep-4", "rep-5"):
            rot.put(f"rot-{policy}", [1, 5_000, 70_000, 200_000], policy)
        rot.put("rot-staged", [600_000], "rep-3")
        rot.rest("sealed")

        judge(rot, lambda: rot.hurt(OF_COPIES))


def test_with_four_shards_lost_nothing_is_wrong_or_removed_and_one_back_is_enough(
    store: LocalStore,
) -> None:
    rot = Rot(store, seed=3)
    rot.put("fourth", [100, 200_000, 700_000, 1_500_000])
    rot.rest("stored")
    loss = Loss(rot, rot.segments)
    before = loss.state()

    answers = [ask(store, "GET", path) for path in rot.bodies]
    head = ask(store, "HEAD", "/fourth/3")
    wait_for(
        lambda: loss.attempts() == len(rot.segments), "repairs to be tried", tail=store.log_tail
    )
    status, found = rot.found()

    assert [(answer.status, answer.headers["content-type"]) for answer in answers] == [
        (503, "application/xml")
    ] * 4
    assert all(b"<Code>ServiceUnavailable</Code>" in answer.body for answer in answers)
    assert (head.status, head.headers["content-length"]) == (200, "1500000")
    assert status == 3
    assert set(found) == {
        (segment.id, index, segment.drives[index]) for segment in rot.segments for index in LOST
    }
    assert set(found.values()) == {"missing"}
    assert ask(store, "HEAD", "/fourth/3").headers["x-objstore-durability"] == "coded-5"
    rounds = "SELECT count(*) FROM job_done WHERE family = 'collect' AND outcome = 'done'"
    done = rot.sql(rounds)[0][0]

    def have_run() -> bool:
        rot.sql("SELECT owe('collect', '')")
        return rot.sql(rounds)[0][0] >= done + 2

    wait_for(have_run, "two rounds of collect", tail=store.log_tail)
    assert loss.state() == before

    loss.bring_back(LOST[1])
    rot.wait_until_mended()

    assert rot.changed() == []
    assert rot.read_all() == []
    assert set(rot.found()[1].values()) <= {"orphan"}


def test_a_body_whose_end_is_lost_breaks_off_and_never_ends_well(store: LocalStore) -> None:
    rot = Rot(store, seed=4)
    rot.put("middle", [9_000_000])
    rot.rest("stored")
    loss = Loss(rot, rot.segments[-1:])

    with pytest.raises((Fault, ConnectionError)):
        answer = ask(store, "GET", "/middle/0")
        pytest.fail(f"{answer.status} with {len(answer.body)} bytes")

    loss.bring_back(*LOST)
    assert rot.read_all() == []

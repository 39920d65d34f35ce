"""Telling what reads noticed: once, and again when it was not heard."""

from uuid import UUID

from core.errors import DatabaseUnavailable
from storage_nodes.damage import QUIET_S, SLOW_S, Damage
from tests.support.clock import FakeClock

SEGMENT = UUID(int=5)


class Rows:
    """Remembers what it was told; deaf while `is_down`."""

    def __init__(self) -> None:
        self.told: list[tuple[int, str]] = []
        self.is_down = False

    async def noticed(self, segment_id: UUID, epoch: int, index: int, state: str) -> None:
        if self.is_down:
            raise DatabaseUnavailable
        self.told.append((index, state))


async def test_damage_is_told_once(time: FakeClock) -> None:
    rows = Rows()
    damage = Damage(rows)

    for _ in range(3):
        damage.noticed(SEGMENT, 1, 4, "corrupt")
    await damage.close()

    assert rows.told == [(4, "corrupt")]


async def test_damage_that_stays_is_told_again_after_a_while(time: FakeClock) -> None:
    rows = Rows()
    damage = Damage(rows)
    damage.noticed(SEGMENT, 1, 4, "corrupt")
    time.advance(QUIET_S)

    damage.noticed(SEGMENT, 1, 4, "corrupt")
    await damage.close()

    assert rows.told == [(4, "corrupt")] * 2


async def test_damage_nobody_heard_of_is_told_at_the_next_read(time: FakeClock) -> None:
    rows = Rows()
    damage = Damage(rows)
    rows.is_down = True
    damage.noticed(SEGMENT, 1, 4, "missing")
    await damage.close()
    rows.is_down = False

    damage.noticed(SEGMENT, 1, 4, "missing")
    await damage.close()

    assert rows.told == [(4, "missing")]


async def test_a_slow_shard_is_passed_over_without_telling(time: FakeClock) -> None:
    rows = Rows()
    damage = Damage(rows)

    damage.pass_over(SEGMENT, 1, 4, for_s=SLOW_S)

    assert damage.is_known(SEGMENT, 1, 4)
    assert not damage.is_known(SEGMENT, 2, 4)
    time.advance(SLOW_S)
    assert not damage.is_known(SEGMENT, 1, 4)
    await damage.close()
    assert rows.told == []

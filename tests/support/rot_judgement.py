"""What must come of rot: no wrong byte is served, reads meet it, `cluster verify` finds exactly it,
and all of it is mended byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from tests.support.bit_rot import Rot
from tests.support.local_store import wait_for
from tests.support.resting import WITHIN_S


def judge(rot: Rot, hurt: Callable[[], None]) -> None:
    """Hurt the objects while nothing is repaired: no wrong byte is served, reads meet what lies in
    their way, a verification finds exactly what was done. Then all of it is mended.
    """
    with rot.paused("repair"):
        hurt()
        met = _met_by_reads(rot)
        status, found = rot.found()
        assert status == 3
        assert found == _expected(rot), _difference(found, _expected(rot))
        assert met <= {(segment, index) for segment, index, _ in found}
        assert rot.read_all() == []
    rot.wait_until_mended()
    assert rot.changed() == []
    assert rot.read_all() == []
    _, found = rot.found()
    assert set(found.values()) <= {"orphan"}, found


def _met_by_reads(rot: Rot) -> set[tuple[UUID, int]]:
    """Read everything until all that reads must meet is noted; what was noted by then."""
    due = {(harm.segment, harm.index) for harm in rot.harms if harm.is_met}

    def are_met() -> bool:
        wrong = rot.read_all()
        assert not wrong, f"wrong bytes were served: {wrong}"
        return due <= rot.noticed()

    wait_for(are_met, "reads to meet the damage", within_s=WITHIN_S, tail=rot.tail)
    return rot.noticed()


def _expected(rot: Rot) -> dict[tuple[UUID, int, int], str]:
    return {(harm.segment, harm.index, harm.drive): harm.finding for harm in rot.harms}


def _difference(found: dict[Any, str], expected: dict[Any, str]) -> str:
    more, less = found.items() - expected.items(), expected.items() - found.items()
    return f"found only: {more}, not found: {less}"

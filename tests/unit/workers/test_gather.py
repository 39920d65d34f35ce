"""Gathering: small sealed segments are coded together."""

from __future__ import annotations

import pytest

from core import failpoints
from core.errors import FailpointRaised
from jobs.step import NotYet
from storage_nodes import layouts
from tests.support.coded import payload_of
from tests.support.drives import SealedPack, forget, located
from tests.support.work import perform, rounds_of
from workers import collect, encode


def test_small_segments_are_gathered_into_one(drives):
    packs = [SealedPack(drives, [100, 4096], seed=n) for n in range(4)]
    gone = next(iter(packs[1].payloads))
    forget(gone)

    perform(encode.encode, packs[0].id)

    kept = {v: p for pack in packs for v, p in pack.payloads.items() if v != gone}
    assert {v: payload_of(drives, v) for v in kept} == kept
    assert len({located(v)[0] for v in kept}) == 1
    assert {layouts.segment(pack.id).state for pack in packs} == {"dead"}


def test_all_but_the_oldest_small_segment_stand_back(drives):
    packs = [SealedPack(drives, [100], seed=n) for n in range(2)]

    with pytest.raises(NotYet):
        perform(encode.encode, packs[1].id)

    perform(encode.encode, packs[0].id)
    perform(encode.encode, packs[1].id)
    assert {layouts.segment(pack.id).state for pack in packs} == {"dead"}


def test_a_small_segment_no_copy_of_which_is_whole_holds_up_no_other(drives):
    packs = [SealedPack(drives, [100, 4096], seed=n) for n in range(3)]
    for copy in range(3):
        packs[1].spoil(drives, copy)

    perform(encode.encode, packs[0].id)

    assert [layouts.segment(pack.id).state for pack in packs] == ["dead", "sealed", "dead"]
    kept = {v: p for pack in (packs[0], packs[2]) for v, p in pack.payloads.items()}
    assert {v: payload_of(drives, v) for v in kept} == kept


@pytest.mark.parametrize("point", ["gather.verified", "gather.moving"])
def test_a_lost_gathering_leaves_its_sources_and_is_collected(drives, point):
    packs = [SealedPack(drives, [100, 4096], seed=n) for n in range(3)]
    failpoints.arm(f"{point}=raise")
    with pytest.raises(FailpointRaised):
        perform(encode.encode, packs[0].id)
    failpoints.arm("")
    assert {layouts.segment(pack.id).state for pack in packs} == {"sealed"}

    perform(encode.encode, packs[0].id)
    rounds_of(collect.collect, 2)

    kept = {v: p for pack in packs for v, p in pack.payloads.items()}
    assert {v: payload_of(drives, v) for v in kept} == kept
    assert len(drives.files()) == 9

"""Encoding: sealed copies become shards, and stay copies until those are proven."""

from __future__ import annotations

import pytest

from core import failpoints
from core.errors import FailpointRaised
from jobs.catalogue import ENCODE
from jobs.enqueue import enqueue
from jobs.models import Job
from jobs.step import NotYet
from objects import rewrite
from storage_nodes import layouts
from tests.support.coded import payload_of
from tests.support.drives import SealedPack, ask, big, forget, located
from tests.support.work import perform, rounds_of
from workers import collect, encode
from workers.runner import Pace, run_job


def test_an_encoded_segment_keeps_every_object_and_loses_its_copies_later(drives):
    pack = big(drives)

    perform(encode.encode, pack.id)

    assert layouts.segment(pack.id).layout == "coded"
    assert {v: payload_of(drives, v) for v in pack.payloads} == pack.payloads
    assert (1, f"{pack.id.hex}.1.0") in drives.files()
    rounds_of(collect.collect, 2)
    assert {name.split(".")[1] for _, name in drives.files()} == {
        str(layouts.segment(pack.id).epoch)
    }


def test_encoding_twice_is_the_same_as_once(drives):
    pack = big(drives)
    perform(encode.encode, pack.id)
    first = layouts.segment(pack.id)

    perform(encode.encode, pack.id)

    assert layouts.segment(pack.id) == first


def test_an_encoding_that_outlasts_its_time_slice_is_not_thrown_away(drives):
    pack = big(drives)
    enqueue(ENCODE, pack.id)
    one = Job.objects.get(family=ENCODE.name, key=str(pack.id)).id

    assert run_job(one, Pace(save_every_s=1e9, slice_s=0.0)) == "done"

    assert layouts.segment(pack.id).layout == "coded"


def test_encoding_survives_one_damaged_copy(drives):
    pack = big(drives)
    pack.spoil(drives, 0)

    perform(encode.encode, pack.id)

    assert {v: payload_of(drives, v) for v in pack.payloads} == pack.payloads


def test_a_segment_that_cannot_be_read_stays_as_it_is(drives):
    pack = big(drives)
    for copy in range(3):
        pack.spoil(drives, copy)

    with pytest.raises(NotYet):
        perform(encode.encode, pack.id)

    assert layouts.segment(pack.id).state == "sealed"


def test_with_too_few_drives_encoding_waits(drives):
    pack = big(drives)
    drives.hide(9, 10, 11, 12)

    with pytest.raises(NotYet):
        perform(encode.encode, pack.id)

    assert layouts.segment(pack.id).state == "sealed"


@pytest.mark.parametrize(
    "point", ["encode.some-shards", "encode.all-shards", "encode.verified", "encode.swapping"]
)
def test_a_lost_attempt_leaves_the_copies_and_its_files_are_collected(drives, point):
    pack = big(drives)
    failpoints.arm(f"{point}=raise")
    with pytest.raises(FailpointRaised):
        perform(encode.encode, pack.id)
    failpoints.arm("")
    assert layouts.segment(pack.id).layout == "replicated"

    perform(encode.encode, pack.id)
    rounds_of(collect.collect, 2)

    row = layouts.segment(pack.id)
    assert drives.files() == {
        (drive, f"{pack.id.hex}.{row.epoch}.{index}") for index, drive in enumerate(row.drives)
    }
    assert {v: payload_of(drives, v) for v in pack.payloads} == pack.payloads


@pytest.mark.parametrize("which", [0, -1], ids=["the first", "the last"])
def test_an_extent_that_came_to_name_a_record_that_was_not_coded_stops_the_swap(drives, which):
    pack = big(drives)
    named = list(pack.payloads)[which]
    _, offset, length = located(named)
    forget(named)
    coded = rewrite.named(pack.id).records
    failpoints.arm("encode.verified=raise")
    with pytest.raises(FailpointRaised):
        perform(encode.encode, pack.id)
    failpoints.arm("")
    row = layouts.segment(pack.id)
    epoch = layouts.begin_layout(row, list(range(1, 10)))
    ask(
        'INSERT INTO extent (version_id, position, segment_id, "offset", record_size, skip, length)'
        " VALUES (%s, 0, %s, %s, %s, 0, %s) RETURNING id",
        named,
        pack.id,
        offset,
        length,
        length,
    )

    swapped = rewrite.swap_encoded(
        row,
        epoch=epoch,
        drives=list(range(1, 10)),
        cell_size=65536,
        size=row.size,
        records=coded,
        grace_s=0,
    )

    assert not swapped
    assert layouts.segment(pack.id).layout == "replicated"


@pytest.mark.parametrize("lengths", [[100], [200_000]], ids=["small", "large"])
def test_a_segment_that_cannot_be_read_waits_to_be_coded(drives, lengths):
    pack = SealedPack(drives, lengths)
    drives.hide(*pack.drives)

    with pytest.raises(NotYet):
        perform(encode.encode, pack.id)

    assert layouts.segment(pack.id).state == "sealed"
    drives.show(*pack.drives)
    perform(encode.encode, pack.id)
    assert {v: payload_of(drives, v) for v in pack.payloads} == pack.payloads

"""Sealing: an open segment whose writer is gone takes no more bytes."""

from __future__ import annotations

from core.names import new_id
from storage_nodes import layouts
from tests.support.drives import ask
from tests.support.work import perform
from workers import seal


def test_an_open_segment_is_sealed_once_its_lease_has_run_out(drives):
    segment = new_id()
    ask(
        "INSERT INTO segment (id, storage_policy, layout, state, epoch, owner, lease_until, drives)"
        " VALUES (%s, 'ec-6-3', 'replicated', 'open', 1, 'x', now() - interval '1s', '{1,2,3}')"
        " RETURNING id",
        segment,
    )

    ask(
        'INSERT INTO extent (version_id, position, segment_id, "offset", record_size, skip, length)'
        " VALUES (%s, 0, %s, 0, 10, 0, 10) RETURNING id",
        new_id(),
        segment,
    )

    perform(seal.seal)

    assert layouts.segment(segment).state == "sealed"
    assert ask("SELECT subject FROM job WHERE family = 'encode'") == [(str(segment),)]

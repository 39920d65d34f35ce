"""What jobs do to segments is counted where gateways count it."""

from __future__ import annotations

from core import metrics
from storage_nodes import layouts
from tests.support.coded import coded
from tests.support.drives import ask, big
from tests.support.work import perform
from workers import encode, seal


def test_a_segment_whose_owner_vanished_is_sealed_once(drives):
    pack = big(drives)
    ask(
        "UPDATE segment SET state = 'open', owner = 'x', lease_until = now() - interval '1s'"
        " WHERE id = %s RETURNING id",
        pack.id,
    )
    before = metrics.segments_sealed.value(("lease",))

    perform(seal.seal)
    layouts.seal(pack.id, 1)

    assert layouts.segment(pack.id).state == "sealed"
    assert metrics.segments_sealed.value(("lease",)) - before == 1


def test_damage_that_a_job_met_is_counted_unless_the_segment_moved(drives):
    pack = big(drives)
    row = layouts.segment(pack.id)
    perform(encode.encode, pack.id)
    assert coded(layouts.segment(pack.id)).epoch != row.epoch
    before = metrics.shards_noticed.value(("corrupt",))

    assert layouts.noticed(layouts.segment(pack.id), 2, "corrupt")
    assert not layouts.noticed(row, 2, "corrupt")

    assert metrics.shards_noticed.value(("corrupt",)) - before == 1

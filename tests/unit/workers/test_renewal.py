"""Leases are renewed while their handlers are busy."""

from __future__ import annotations

import pytest

from core import clock
from core.errors import LeaseLost
from jobs.lease import Lease
from tests.support.nodes import wait_until
from tests.support.work import age, family, owe
from workers.renewal import Renewals

pytestmark = pytest.mark.usefixtures("database")


def test_a_held_lease_is_renewed_from_the_background():
    with family("held") as held:
        lease = Lease.claim(owe(held))
        assert lease is not None
        # As if two thirds of its time had passed.
        lease.valid_until = before = clock.monotonic() + held.lease_s / 4
        renewals = Renewals()

        with renewals.hold(lease):
            wait_until(lambda: lease.valid_until > before)
        renewals.join()

        lease.check()


def test_a_lease_another_took_over_is_found_lost():
    with family("held") as held:
        lease = Lease.claim(owe(held))
        assert lease is not None
        age("lease_until", lease.job_id, 1)
        assert Lease.claim(lease.job_id) is not None
        lease.valid_until = clock.monotonic() + held.lease_s / 4
        renewals = Renewals()

        with renewals.hold(lease):
            wait_until(lambda: lease.lost)
        renewals.join()

        with pytest.raises(LeaseLost):
            lease.check()


def test_a_holder_that_could_not_renew_in_time_counts_itself_out():
    with family("held") as held:
        lease = Lease.claim(owe(held))
        assert lease is not None

        lease.valid_until = clock.monotonic()

        with pytest.raises(LeaseLost):
            lease.check()


def test_nobody_is_let_in_before_the_holder_counted_itself_out():
    with family("held", lease_s=1000.0) as held:
        one = owe(held)
        asked = clock.monotonic()

        lease = Lease.claim(one)

        # Counted from before the question: the database began to count later.
        assert lease is not None
        assert lease.valid_until - held.lease_s >= asked
        assert Lease.claim(one) is None

"""The table of errors."""

from __future__ import annotations

import pytest

from core import errors
from core.errors import StoreError

TABLE = sorted(StoreError.table.values(), key=lambda error: error.code)


@pytest.mark.parametrize("error", TABLE, ids=lambda error: error.code)
def test_an_error_has_a_status_and_a_sentence(error: type[StoreError]) -> None:
    assert 300 <= error.status < 600
    assert error.says


@pytest.mark.parametrize("error", TABLE, ids=lambda error: error.code)
def test_what_an_error_is_seen_as_is_in_the_table(error: type[StoreError]) -> None:
    assert error().public.code in StoreError.table
    assert error().public.seen_as is None


def test_details_become_elements() -> None:
    raised = errors.InvalidRange(range_requested="0-1", actual_object_size=1, ETag="x")

    assert raised.details == {"RangeRequested": "0-1", "ActualObjectSize": 1, "ETag": "x"}


def test_a_message_of_its_own_replaces_the_sentence() -> None:
    assert errors.InvalidArgument("Part number must be at least 1.").message == (
        "Part number must be at least 1."
    )


def test_an_unknown_outcome_is_a_503_for_strangers() -> None:
    assert errors.UnknownOutcome().public is errors.ServiceUnavailable

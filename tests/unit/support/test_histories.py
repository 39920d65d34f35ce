"""The judgement of a history finds what is wrong with it, and nothing else."""

from __future__ import annotations

from tests.support.histories import MARKER, UNNAMED, disorder, violations
from tests.support.ledger import NEVER_ENDED, Entry


def put(number: int, value: str, start: int, end: int, version: str | None = None) -> Entry:
    return Entry(number, "put", "key", value, start, end, "ok", version)


def get(number: int, value: str, start: int, end: int) -> Entry:
    return Entry(number, "get", "key", value, start, end, "ok")


def lost_delete(number: int, start: int) -> Entry:
    return Entry(number, "delete", "key", f"{UNNAMED}{number}", start, NEVER_ENDED, "unknown")


def test_a_marker_nobody_was_told_of_is_that_of_a_delete_without_answer() -> None:
    history = [put(1, "a", 0, 1), lost_delete(2, 2), get(3, f"{MARKER}m", 3, 4)]

    assert violations(history) == []


def test_a_marker_read_before_any_delete_began_is_a_violation() -> None:
    history = [put(1, "a", 0, 1), get(3, f"{MARKER}m", 3, 4), lost_delete(2, 5)]

    assert violations(history) != []


def test_two_markers_need_two_deletes() -> None:
    reads = [get(3, f"{MARKER}m", 3, 4), get(4, f"{MARKER}n", 5, 6)]

    assert violations([put(1, "a", 0, 1), lost_delete(2, 2), *reads]) != []
    assert violations([put(1, "a", 0, 1), lost_delete(2, 2), lost_delete(5, 2), *reads]) == []


def test_the_old_value_back_after_a_marker_is_a_violation() -> None:
    reads = [get(3, f"{MARKER}m", 3, 4), get(4, "a", 5, 6)]

    assert violations([put(1, "a", 0, 1), lost_delete(2, 2), *reads]) != []


def test_an_acknowledged_version_that_is_not_listed_is_found() -> None:
    assert disorder([put(1, "a", 0, 1, "v1")], {"key": []}) != []


def test_versions_against_the_order_of_their_writes_are_found() -> None:
    entries = [put(1, "a", 0, 1, "v1"), put(2, "b", 2, 3, "v2")]

    assert disorder(entries, {"key": ["v2", "v1"]}) == []
    assert disorder(entries, {"key": ["v1", "v2"]}) != []


def test_versions_of_overlapping_writes_may_lie_in_either_order() -> None:
    entries = [put(1, "a", 0, 3, "v1"), put(2, "b", 2, 4, "v2")]

    assert disorder(entries, {"key": ["v1", "v2"]}) == []

"""When a version ceased to be the newest, told from what came and went."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from objstore_site.rebuild.succession import Came, Went, superseded


def at(second: int) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second)


def came(number: int, *, is_null: bool = False) -> Came:
    return Came(UUID(int=number), is_null, at(number), None, False)


def known(number: int, superseded_at: int | None) -> Came:
    when = None if superseded_at is None else at(superseded_at)
    return Came(UUID(int=number), False, at(number), when, True)


def went(number: int) -> Went:
    return Went(UUID(int=number))


def told(*story: Came | Went) -> dict[int, int | None]:
    return {
        version.int: None if when is None else int((when - at(0)).total_seconds())
        for version, when in superseded(story).items()
    }


def test_each_version_is_superseded_by_the_next() -> None:
    assert told(came(1), came(2), came(3)) == {1: 2, 2: 3, 3: None}


def test_the_one_below_rises_when_the_newest_goes() -> None:
    assert told(came(1), came(2), went(2)) == {1: None}


def test_what_rose_is_superseded_again_by_what_comes_later() -> None:
    assert told(came(1), came(2), went(2), came(5)) == {1: 5, 5: None}


def test_removing_one_in_the_middle_changes_no_other() -> None:
    assert told(came(1), came(2), came(3), went(2)) == {1: 2, 3: None}


def test_what_rises_is_the_newest_that_is_left() -> None:
    assert told(came(1), came(2), came(3), went(2), went(3)) == {1: None}


def test_a_null_version_replaces_the_null_version_without_touching_what_is_below() -> None:
    assert told(came(1), came(2, is_null=True), came(3, is_null=True)) == {1: 2, 3: None}


def test_a_null_version_takes_the_older_null_version_from_below() -> None:
    assert told(came(1, is_null=True), came(2), came(3, is_null=True)) == {2: 3, 3: None}


def test_what_a_snapshot_knew_stays_until_something_happens() -> None:
    assert told(known(1, 2), known(2, None)) == {1: 2, 2: None}
    assert told(known(1, 2), known(2, None), came(7)) == {1: 2, 2: 7, 7: None}
    assert told(known(1, 2), known(2, None), went(2), came(8)) == {1: 8, 8: None}

"""The oracle itself: what it must find, and what it must let pass."""

from __future__ import annotations

from tests.support.judgement import judge
from tests.support.ledger import ABSENT, NEVER_ENDED, Entry, Kind, Ledger, Outcome, read


def op(
    number: int,
    kind: Kind,
    value: str,
    start: int,
    end: int,
    outcome: Outcome = "ok",
    key: str = "k",
) -> Entry:
    return Entry(
        number=number,
        kind=kind,
        key=key,
        value=value,
        start=start,
        end=NEVER_ENDED if outcome == "unknown" else end,
        outcome=outcome,
    )


def test_an_acknowledged_put_that_reads_absent_is_lost():
    found = judge([op(1, "put", "a", 1, 2)], {"k": ABSENT})

    assert len(found.lost) == 1


def test_a_value_nobody_wrote_is_wrong():
    found = judge([op(1, "put", "a", 1, 2)], {"k": "b"})

    assert len(found.wrong) == 1


def test_an_overwritten_value_that_comes_back_is_resurrected():
    found = judge([op(1, "put", "a", 1, 2), op(2, "put", "b", 3, 4)], {"k": "a"})

    assert len(found.resurrected) == 1


def test_a_deleted_value_that_comes_back_is_resurrected():
    found = judge([op(1, "put", "a", 1, 2), op(2, "delete", ABSENT, 3, 4)], {"k": "a"})

    assert len(found.resurrected) == 1


def test_an_unknown_put_may_have_happened_or_not():
    entries = [op(1, "put", "a", 1, 2), op(2, "put", "b", 3, 4, "unknown")]

    assert judge(entries, {"k": "a"}).clean
    assert judge(entries, {"k": "b"}).clean


def test_of_overlapping_puts_either_may_be_last():
    entries = [op(1, "put", "a", 1, 5), op(2, "put", "b", 2, 4)]

    assert judge(entries, {"k": "a"}).clean
    assert judge(entries, {"k": "b"}).clean


def test_a_refused_put_never_happened():
    found = judge([op(1, "put", "a", 1, 2), op(2, "put", "b", 3, 4, "refused")], {"k": "b"})

    assert not found.clean


def test_a_read_before_any_write_may_see_nothing():
    assert judge([op(1, "get", ABSENT, 1, 2), op(2, "put", "a", 3, 4)], {"k": "a"}).clean


def test_a_read_after_an_acknowledged_put_must_see_it():
    entries = [op(1, "put", "a", 1, 2), op(2, "get", ABSENT, 3, 4), op(3, "put", "b", 5, 6)]

    assert len(judge(entries, {"k": "b"}).lost) == 1


def test_a_key_that_cannot_be_read_is_unexplained():
    assert len(judge([op(1, "put", "a", 1, 2)], {"k": "unreadable"}).unexplained) == 1


def test_an_acknowledged_version_that_is_gone_is_lost():
    entry = Entry(
        number=1, kind="put", key="k", value="a", start=1, end=2, outcome="ok", version="v1"
    )

    assert len(judge([entry], {"k": "a"}, versions={}).lost) == 1


def test_an_operation_without_an_end_is_unknown(tmp_path):
    ledger = Ledger(tmp_path / "ledger")
    first = ledger.begin("put", "k", "a")
    ledger.end(first, "ok", version="v")
    ledger.begin("put", "k", "b")
    ledger.close()

    entries = list(read(tmp_path / "ledger"))

    assert [(e.value, e.outcome, e.version) for e in entries] == [
        ("a", "ok", "v"),
        ("b", "unknown", None),
    ]

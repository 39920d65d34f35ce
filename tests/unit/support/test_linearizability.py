"""The linearizability rule agrees with trying every order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.ledger import Entry
from tests.support.linearizability import (
    NEVER,
    Operation,
    is_linearizable_by_search,
    operations,
    violation,
)

VALUES = ["a", "b", "c", "d"]


@st.composite
def histories(draw: st.DrawFn) -> list[Operation]:
    """Up to four writes and five reads over distinct ticks, after that of the initial value."""
    written = draw(st.lists(st.sampled_from(VALUES), unique=True, max_size=4))
    reads = draw(st.lists(st.sampled_from([*VALUES, "initial"]), max_size=5))
    count = len(written) + len(reads)
    ticks = draw(st.permutations(range(2 * count)))
    spans = [sorted(ticks[2 * i : 2 * i + 2]) for i in range(count)]
    history = [Operation(True, "initial", -1, -1)]
    for value, (start, end) in zip(written, spans, strict=False):
        history.append(Operation(True, value, start, NEVER if draw(st.booleans()) else end))
    for value, (start, end) in zip(reads, spans[len(written) :], strict=True):
        history.append(Operation(False, value, start, end))
    return history


@settings(max_examples=1500, deadline=None)
@given(histories())
def test_the_rule_and_the_search_agree(history: list[Operation]) -> None:
    assert (violation(history) is None) == is_linearizable_by_search(history)


def test_a_stale_read_after_an_acknowledged_write_is_a_violation() -> None:
    history = [
        Operation(True, "old", 0, 1),
        Operation(True, "new", 2, 3),
        Operation(False, "old", 4, 5),
    ]

    assert violation(history) is not None


def test_an_unknown_write_may_take_effect_late_or_never() -> None:
    late = [
        Operation(True, "initial", -1, -1),
        Operation(True, "new", 0, NEVER),
        Operation(False, "initial", 5, 6),
        Operation(False, "new", 7, 8),
    ]

    assert violation(late) is None
    assert violation(late[:3]) is None


def test_an_unknown_write_cannot_be_undone() -> None:
    history = [
        Operation(True, "initial", -1, -1),
        Operation(True, "new", 0, NEVER),
        Operation(False, "new", 5, 6),
        Operation(False, "initial", 7, 8),
    ]

    assert violation(history) is not None


def test_refused_operations_and_failed_reads_leave_no_trace() -> None:
    entries = [
        Entry(1, "put", "k", "a", 0, 1, "refused"),
        Entry(2, "get", "k", "", 2, 3, "unknown"),
        Entry(3, "put", "k", "b", 4, 5, "ok"),
    ]

    (history,) = operations(entries).values()

    assert [op.value for op in history] == ["absent", "b"]

"""Range headers and range arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidRange
from core.ranges import ByteRange, content_range, parse_range

sizes = st.integers(1, 10_000)


@given(size=sizes, first=st.integers(0, 20_000), last=st.integers(0, 20_000))
def test_first_and_last_cut_like_python_slices(size: int, first: int, last: int) -> None:
    content = bytes(size)

    if first >= size and last >= first:
        with pytest.raises(InvalidRange):
            parse_range(f"bytes={first}-{last}", size)
    elif last < first:
        assert parse_range(f"bytes={first}-{last}", size) is None
    else:
        found = parse_range(f"bytes={first}-{last}", size)
        assert found is not None
        assert len(content[first : last + 1]) == len(found)


@given(size=sizes, count=st.integers(1, 20_000))
def test_a_suffix_is_the_end(size: int, count: int) -> None:
    assert parse_range(f"bytes=-{count}", size) == ByteRange(max(0, size - count), size)


def test_an_open_range_reaches_the_end() -> None:
    assert parse_range("bytes=3-", 10) == ByteRange(3, 10)


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=-0"])
def test_what_lies_outside_is_not_satisfiable(header: str) -> None:
    with pytest.raises(InvalidRange) as caught:
        parse_range(header, 10)

    assert ("Content-Range", "bytes */10") in caught.value.headers


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=-1", "bytes=0-0"])
def test_no_range_of_an_empty_object_is_satisfiable(header: str) -> None:
    with pytest.raises(InvalidRange):
        parse_range(header, 0)


@pytest.mark.parametrize(
    "header",
    [None, "", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1-2,4-5", "lines=1-2", "bytes=5-2",
     "bytes=+1-2", "bytes=1-2-3", "bytes=²-3"],
)  # fmt: skip
def test_what_is_no_single_range_is_ignored(header: str | None) -> None:
    assert parse_range(header, 10) is None


@pytest.mark.parametrize("digits", [20, 21, 30, 5000])
def test_an_end_of_any_length_is_beyond_the_object(digits: int) -> None:
    assert parse_range("bytes=3-" + "9" * digits, 10) == ByteRange(3, 10)
    assert parse_range("bytes=-" + "9" * digits, 10) == ByteRange(0, 10)


@pytest.mark.parametrize("digits", [20, 21, 5000])
def test_a_start_of_any_length_is_beyond_the_object(digits: int) -> None:
    with pytest.raises(InvalidRange):
        parse_range("bytes=" + "9" * digits + "-", 10)


def test_zeros_before_a_number_do_not_count() -> None:
    zeros = "0" * 5000
    assert parse_range(f"bytes={zeros}2-{zeros}5", 10) == ByteRange(2, 6)
    assert parse_range(f"bytes={zeros}5-{zeros}2", 10) is None
    with pytest.raises(InvalidRange):
        parse_range(f"bytes=-{zeros}", 10)


@given(st.text(max_size=40), st.integers(0, 100))
def test_no_header_makes_the_parser_stumble(text: str, size: int) -> None:
    try:
        found = parse_range("bytes=" + text, size)
    except InvalidRange:
        return

    assert found is None or 0 <= found.start < found.stop <= size


def test_the_wire_form_is_inclusive() -> None:
    assert content_range(ByteRange(0, 10), 100) == "bytes 0-9/100"

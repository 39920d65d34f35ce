"""Entity tags, HTTP dates and the precedence of conditions."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import NotModified, PreconditionFailed
from s3.conditions import (
    http_date,
    judge_read,
    judge_source,
    names,
    parse_http_date,
    still_applies,
)

MODIFIED = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
NOW = MODIFIED + timedelta(days=10)
BEFORE, AFTER = (http_date(MODIFIED + timedelta(days=days)) for days in (-1, 1))
SAME = http_date(MODIFIED)
FUTURE = http_date(NOW + timedelta(days=1))


def read(**headers: str) -> None:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    judge_read(sent, etag="abc", last_modified=MODIFIED, now=NOW, repeated=())


@pytest.mark.parametrize(
    "headers",
    [
        {"if_match": '"abc"'},
        {"if_match": "abc"},
        {"if_match": 'W/"abc"'},
        {"if_match": '"x", "abc"'},
        {"if_match": "*"},
        {"if_none_match": '"x"'},
        {"if_modified_since": BEFORE},
        {"if_modified_since": FUTURE},
        {"if_modified_since": "no date"},
        {"if_unmodified_since": SAME},
        {"if_unmodified_since": "no date"},
        {"if_match": '"abc"', "if_unmodified_since": BEFORE},
        {"if_none_match": '"x"', "if_modified_since": AFTER},
    ],
)
def test_a_read_passes(headers: dict[str, str]) -> None:
    read(**headers)


@pytest.mark.parametrize(
    "headers", [{"if_match": '"x"'}, {"if_match": ""}, {"if_unmodified_since": BEFORE}]
)
def test_a_read_fails(headers: dict[str, str]) -> None:
    with pytest.raises(PreconditionFailed):
        read(**headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"if_none_match": '"abc"'},
        {"if_none_match": "*"},
        {"if_modified_since": SAME},
        {"if_modified_since": AFTER},
        {"if_none_match": '"abc"', "if_modified_since": BEFORE},
    ],
)
def test_a_read_is_not_modified(headers: dict[str, str]) -> None:
    with pytest.raises(NotModified):
        read(**headers)


@pytest.mark.parametrize("name", ["if-none-match", "if-modified-since"])
def test_a_copy_never_hears_not_modified(name: str) -> None:
    value = {"if-none-match": '"abc"', "if-modified-since": SAME}[name]

    with pytest.raises(PreconditionFailed):
        judge_source({f"x-amz-copy-source-{name}": value}, etag="abc", last_modified=MODIFIED)


@given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2200, 1, 1)))
def test_a_printed_date_is_read_back(moment: datetime) -> None:
    whole = moment.replace(microsecond=0, tzinfo=UTC)

    assert parse_http_date(http_date(whole)) == whole


@given(st.text(max_size=60))
def test_any_text_is_a_date_or_none(text: str) -> None:
    moment = parse_http_date(text)

    assert moment is None or moment.tzinfo is not None


@given(st.text(max_size=60))
def test_any_text_names_a_tag_or_does_not(text: str) -> None:
    assert names(text, "abc") in (True, False)


@pytest.mark.parametrize(
    ("if_range", "applies"),
    [('"abc"', True), ('"x"', False), ('W/"abc"', False), (SAME, True), (BEFORE, False)],
)
def test_a_range_applies_to_the_state_it_names(if_range: str, applies: bool) -> None:
    assert still_applies(if_range, etag="abc", last_modified=MODIFIED) == applies

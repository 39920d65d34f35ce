"""How the source of a copy is named."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidArgument, KeyTooLongError
from s3.handlers.copying import Source, parse_source

KEYS = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=50
)


@given(KEYS)
def test_any_key_is_found_again(key: str) -> None:
    text = f"bucket/{quote(key, safe='/')}"

    assert parse_source(text) == Source(bucket="bucket", key=key, version_id=None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bucket/a", ("a", None)),
        ("/bucket/a", ("a", None)),
        ("/bucket//a", ("/a", None)),
        ("bucket%2Fa", ("a", None)),
        ("bucket/a?versionId=null", ("a", "null")),
        ("bucket/a%3FversionId=b", ("a?versionId=b", None)),
        ("bucket/a%3Fb?versionId=c", ("a?b", "c")),
        ("bucket/a%2525", ("a%25", None)),
        ("bucket/a+b", ("a b", None)),
        ("bucket/a%2Bb", ("a+b", None)),
        ("bucket/\xc3\xa9", ("é", None)),
    ],
)
def test_a_source_is_cut_then_decoded(text: str, expected: tuple[str, str | None]) -> None:
    source = parse_source(text)

    assert (source.bucket, source.key, source.version_id) == ("bucket", *expected)


@pytest.mark.parametrize(
    "text",
    ["", "/", "bucket", "bucket/", "/bucket", "//key", "UPPER/a", "bucket/%ff", "bucket/a?x=1",
     "bucket/a?versionId=", "bucket/%00"],
)  # fmt: skip
def test_a_malformed_source_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_source(text)


def test_a_key_too_long_is_said_to_be() -> None:
    with pytest.raises(KeyTooLongError):
        parse_source("bucket/" + "a" * 1025)

"""Paths, hosts and queries, parsed once."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import (
    AuthorizationQueryParametersError,
    InvalidArgument,
    InvalidBucketName,
    InvalidURI,
    StoreError,
)
from s3.target import Hosts, decode, parse_query, split_path

HOSTS = Hosts(("localhost", "s3.localhost", "store.example"))

keys = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=60
)


@pytest.mark.parametrize(
    ("host", "bucket"),
    [
        ("127.0.0.1:9000", None),
        ("localhost:9000", None),
        ("localhost", None),
        ("s3.localhost", None),
        ("s3.localhost:9000", None),
        ("bucket.localhost:9000", "bucket"),
        ("bucket.s3.localhost", "bucket"),
        ("a.b.store.example", "a.b"),
        ("BUCKET.localhost", "bucket"),
        ("my_bucket.localhost", "my_bucket"),
        (".localhost", ""),
        ("elsewhere.example", None),
        ("[::1]:9000", None),
        ("", None),
    ],
)
def test_a_host_names_a_bucket_or_none(host: str, bucket: str | None) -> None:
    assert HOSTS.bucket(host) == bucket


@pytest.mark.parametrize("bucket", ["my_bucket", "a", "a..b", "xn--x", "health", ""])
def test_a_host_whose_bucket_no_bucket_may_be_is_refused_and_not_read_as_a_path(
    bucket: str,
) -> None:
    with pytest.raises(InvalidBucketName):
        split_path(b"/photos/cat.jpg", bucket)


@given(key=keys)
def test_every_key_round_trips_through_a_path(key: str) -> None:
    raw = f"/bucket/{quote(key, safe='/-_.~')}".encode()

    assert split_path(raw, None) == ("bucket", key)


@given(key=keys)
def test_every_key_round_trips_through_a_virtual_host(key: str) -> None:
    raw = f"/{quote(key, safe='/-_.~')}".encode()

    assert split_path(raw, "bucket") == ("bucket", key)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"/", (None, None)),
        (b"/bucket", ("bucket", None)),
        (b"/bucket/", ("bucket", None)),
        (b"/bucket//", ("bucket", "/")),
        (b"/bucket/../x", ("bucket", "../x")),
        (b"/bucket/a%2Fb", ("bucket", "a/b")),
        (b"/bucket/a+b", ("bucket", "a+b")),
        (b"/bucket/a%2525", ("bucket", "a%25")),
    ],
)
def test_a_path_is_split_and_never_normalised(
    raw: bytes, expected: tuple[str | None, str | None]
) -> None:
    assert split_path(raw, None) == expected


@given(raw=st.binary(max_size=80))
def test_no_path_makes_the_parser_stumble(raw: bytes) -> None:
    try:
        split_path(b"/" + raw, None)
    except StoreError:
        return


@pytest.mark.parametrize("raw", [b"%", b"a%", b"%4", b"%zz", b"%4g", b"\xff", b"%FF", b"%C3%28"])
def test_what_does_not_decode_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidURI):
        decode(raw)


def test_a_plus_in_a_query_is_a_space() -> None:
    assert parse_query(b"prefix=a+b%2Bc") == {"prefix": "a b+c"}


def test_a_parameter_may_come_twice_with_one_value() -> None:
    assert parse_query(b"a=1&a=1&uploads&&") == {"a": "1", "uploads": ""}


def test_a_parameter_with_two_values_is_refused_because_their_order_is_not_signed() -> None:
    with pytest.raises(InvalidArgument):
        parse_query(b"versionId=1&versionId=2")


def test_a_repeated_signature_parameter_is_refused() -> None:
    with pytest.raises(AuthorizationQueryParametersError):
        parse_query(b"X-Amz-Expires=1&X-Amz-Expires=2")

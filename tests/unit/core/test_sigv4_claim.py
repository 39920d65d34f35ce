"""What a request says of its signature: forms of headers and queries, and times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import sigv4_claim
from core.errors import AuthorizationHeaderMalformed, AuthorizationQueryParametersError
from s3.target import parse_query
from tests.support.signatures import NOW, SIGNER


@pytest.mark.parametrize(
    "header",
    [
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=a/20260131/us-east-1/s3/aws4_request",
        "AWS4-HMAC-SHA256 Credential=a/b,SignedHeaders=host,Signature=" + "0" * 64,
        "AWS4-HMAC-SHA256 Credential=a/2026013/us-east-1/s3/aws4_request,SignedHeaders=host,"
        "Signature=" + "0" * 64,
        "AWS4-HMAC-SHA256 Credential=a/20260131/us-east-1/s3/aws4_request,SignedHeaders=host,"
        "Signature=" + "0" * 63,
        "AWS4-HMAC-SHA256 Credential=a/20260131/us-east-1/s3/aws4_request,SignedHeaders=host,"
        "Signature=" + "G" * 64,
        "AWS4-HMAC-SHA256 Credential=a/20260131/us-east-1/s3/aws4_request,"
        "Credential=b/20260131/us-east-1/s3/aws4_request,SignedHeaders=host,Signature=" + "0" * 64,
    ],
)
def test_a_malformed_authorization_header_is_refused(header: str) -> None:
    with pytest.raises(AuthorizationHeaderMalformed):
        sigv4_claim.parse_authorization(header)


def test_what_is_remembered_of_a_header_says_nothing_of_the_next_one() -> None:
    head = "AWS4-HMAC-SHA256 Credential=a/20260131/us-east-1/s3/aws4_request,SignedHeaders=host;x,"
    first = sigv4_claim.parse_authorization(f"{head}Signature={'0' * 64}")

    second = sigv4_claim.parse_authorization(f"{head}Signature={'f' * 64}")

    told = [
        (one.access_key, one.scope, one.signed_headers, one.signature) for one in (first, second)
    ]
    scope = "20260131/us-east-1/s3/aws4_request"
    assert told == [("a", scope, "host;x", "0" * 64), ("a", scope, "host;x", "f" * 64)]
    for signature in ("F" * 64, "0" * 63, "0" * 65, "0" * 64 + ",Signature=" + "0" * 64):
        with pytest.raises(AuthorizationHeaderMalformed):
            sigv4_claim.parse_authorization(f"{head}Signature={signature}")


def test_long_headers_of_strangers_are_not_kept_in_memory() -> None:
    names = "host;" + "x" * 8192
    scope = "a/20260131/us-east-1/s3/aws4_request"
    header = f"AWS4-HMAC-SHA256 Credential={scope},SignedHeaders={names},Signature={'0' * 64}"
    for _ in range(2):
        assert sigv4_claim.parse_authorization(header).signed_headers == names
    assert max(map(len, sigv4_claim._heads), default=0) < len(names)


@given(st.text(max_size=200))
def test_no_authorization_header_makes_the_parser_stumble(text: str) -> None:
    try:
        sigv4_claim.parse_authorization(sigv4_claim.ALGORITHM + text)
    except AuthorizationHeaderMalformed:
        return


@pytest.mark.parametrize("name", sigv4_claim.QUERY_FIELDS)
def test_a_missing_query_parameter_is_refused(name: str) -> None:
    url = SIGNER.presign("GET", "http://h/b/k", expires_s=60, now=NOW)
    query = parse_query(url.partition("?")[2].encode())
    del query[name]

    with pytest.raises(AuthorizationQueryParametersError):
        sigv4_claim.parse_query(query)


def test_a_time_is_read_as_utc() -> None:
    assert sigv4_claim.parse_timestamp("20260131T120000Z") == int(NOW.timestamp())


@pytest.mark.parametrize(
    "text",
    ["", "20260131", "20260131T120000", "20261331T120000Z", "20260230T120000Z", "19500101T000000Z",
     "20260131T250000Z", "2026013xT120000Z", "²0260131T120000Z"],
)  # fmt: skip
def test_what_is_no_time_is_none(text: str) -> None:
    assert sigv4_claim.parse_timestamp(text) is None


def test_a_date_header_is_understood_too() -> None:
    assert sigv4_claim.timestamp_of_date("Sat, 31 Jan 2026 12:00:00 GMT") == "20260131T120000Z"


@pytest.mark.parametrize("text", ["", "yesterday", "Tue, 01 Jan 1950 00:00:00 GMT"])
def test_a_date_header_that_is_none_is_none(text: str) -> None:
    assert sigv4_claim.timestamp_of_date(text) is None

"""Signature Version 4 against Amazon's published examples, botocore as a second opinion, and
mutants.
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from core import sigv4, sigv4_claim
from core.checksums import EMPTY_SHA256
from core.errors import (
    AuthorizationHeaderMalformed,
    AuthorizationQueryParametersError,
    SignatureDoesNotMatch,
)
from core.sigv4_client import Signer
from s3.target import parse_query

ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
HOST = "examplebucket.s3.amazonaws.com"
DATE = "20130524T000000Z"

keys = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=30
)
values = st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), max_size=20)


def check(
    method: str,
    path: bytes,
    query: bytes,
    headers: dict[str, str],
    payload_hash: str,
    *,
    secret: str = SECRET,
) -> None:
    """Verify as the gate does, from what is on the wire."""
    claim = sigv4_claim.parse_authorization(headers["authorization"])
    claim.timestamp = headers["x-amz-date"]
    sigv4.verify(
        claim,
        secret,
        method=method,
        raw_path=path,
        raw_query=query,
        headers=headers,
        payload_hash=payload_hash,
    )


def published(
    method: str,
    path: str,
    query: str,
    headers: dict[str, str],
    payload_hash: str,
    signature: str,
) -> None:
    sent = {"host": HOST, "x-amz-date": DATE, "x-amz-content-sha256": payload_hash, **headers}
    sent["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20130524/us-east-1/s3/aws4_request,"
        f"SignedHeaders={';'.join(sorted(sent))},Signature={signature}"
    )
    check(method, path.encode(), query.encode(), sent, payload_hash)


def test_the_published_get_of_an_object_verifies() -> None:
    published(
        "GET",
        "/test.txt",
        "",
        {"range": "bytes=0-9"},
        EMPTY_SHA256,
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    )


def test_the_published_put_of_an_object_verifies() -> None:
    published(
        "PUT",
        "/test%24file.text",
        "",
        {
            "date": "Fri, 24 May 2013 00:00:00 GMT",
            "x-amz-storage-class": "REDUCED_REDUNDANCY",
        },
        "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    )


def test_the_published_get_of_a_subresource_verifies() -> None:
    published(
        "GET",
        "/",
        "lifecycle",
        {},
        EMPTY_SHA256,
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    )


def test_the_published_listing_verifies() -> None:
    published(
        "GET",
        "/",
        "max-keys=2&prefix=J",
        {},
        EMPTY_SHA256,
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    )


def test_the_published_presigned_url_verifies() -> None:
    raw = (
        b"X-Amz-Algorithm=AWS4-HMAC-SHA256"
        b"&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        b"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        b"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )
    claim = sigv4_claim.parse_query(parse_query(raw))

    sigv4.verify(
        claim,
        SECRET,
        method="GET",
        raw_path=b"/test.txt",
        raw_query=raw,
        headers={"host": HOST},
        payload_hash=sigv4.UNSIGNED,
    )

    assert claim.expires_s == 86400


def test_the_published_chunk_signatures_follow_from_their_seed() -> None:
    key = sigv4.signing_key(SECRET, "20130524", "us-east-1")
    chain = sigv4.ChunkChain(
        key,
        DATE,
        "20130524/us-east-1/s3/aws4_request",
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
    )
    digest = sigv4.sha256

    assert [
        chain.chunk(digest(b"a" * 65536).hexdigest()),
        chain.chunk(digest(b"a" * 1024).hexdigest()),
        chain.chunk(EMPTY_SHA256),
    ] == [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ]


def test_the_published_trailer_signature_follows_from_its_chunks() -> None:
    chain = sigv4.ChunkChain(
        sigv4.signing_key(SECRET, "20130524", "us-east-1"),
        DATE,
        "20130524/us-east-1/s3/aws4_request",
        "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
    )
    for chunk in (b"a" * 65536, b"a" * 1024, b""):
        last = chain.chunk(sigv4.sha256(chunk).hexdigest())

    assert last == "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"
    assert chain.trailer(b"x-amz-checksum-crc32c:sOO8/Q==\n") == (
        "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"
    )


@given(key=keys, parameters=st.dictionaries(keys, values, max_size=4), meta=values)
def test_what_botocore_signs_verifies(key: str, parameters: dict[str, str], meta: str) -> None:
    path = "/bucket/" + quote(key, safe="/-_.~")
    query = "&".join(
        f"{quote(n, safe='-_.~')}={quote(v, safe='-_.~')}" for n, v in parameters.items()
    )
    request = AWSRequest(
        method="PUT",
        url=f"http://127.0.0.1:9000{path}" + (f"?{query}" if query else ""),
        headers={"x-amz-meta-note": meta.strip()},
        data=b"payload",
    )
    credentials = Credentials(ACCESS_KEY, SECRET)
    botocore.auth.S3SigV4Auth(credentials, "s3", "us-east-1").add_auth(request)
    sent = {name.lower(): value for name, value in request.headers.items()}
    sent["host"] = "127.0.0.1:9000"

    check("PUT", path.encode(), query.encode(), sent, sent["x-amz-content-sha256"])


@given(key=keys, expires=st.integers(1, 604_800))
def test_what_botocore_presigns_verifies(key: str, expires: int) -> None:
    path = "/bucket/" + quote(key, safe="/-_.~")
    request = AWSRequest(method="GET", url=f"http://127.0.0.1:9000{path}")
    credentials = Credentials(ACCESS_KEY, SECRET)
    botocore.auth.S3SigV4QueryAuth(credentials, "s3", "us-east-1", expires=expires).add_auth(
        request
    )
    raw_query = request.url.partition("?")[2].encode()
    claim = sigv4_claim.parse_query(parse_query(raw_query))

    sigv4.verify(
        claim,
        SECRET,
        method="GET",
        raw_path=path.encode(),
        raw_query=raw_query,
        headers={"host": "127.0.0.1:9000"},
        payload_hash=sigv4.UNSIGNED,
    )

    assert claim.expires_s == expires


SIGNER = Signer(ACCESS_KEY, SECRET)
NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
URL = "http://127.0.0.1:9000/bucket/a%20key%2Fb?list-type=2&prefix=a%2Bb"
SIGNED = SIGNER.headers("PUT", URL, headers={"x-amz-meta-a": "one two"}, now=NOW)
PATH, QUERY = b"/bucket/a%20key%2Fb", b"list-type=2&prefix=a%2Bb"


def test_what_our_signer_signs_verifies() -> None:
    check("PUT", PATH, QUERY, SIGNED, EMPTY_SHA256)


@given(at=st.integers(0, len(PATH) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_of_the_path_is_refused(at: int, bit: int) -> None:
    flipped = bytearray(PATH)
    flipped[at] ^= 1 << bit

    with pytest.raises(SignatureDoesNotMatch):
        check("PUT", bytes(flipped), QUERY, SIGNED, EMPTY_SHA256)


@given(at=st.integers(0, len(QUERY) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_of_the_query_is_refused(at: int, bit: int) -> None:
    flipped = bytearray(QUERY)
    flipped[at] ^= 1 << bit

    with pytest.raises(SignatureDoesNotMatch):
        check("PUT", PATH, bytes(flipped), SIGNED, EMPTY_SHA256)


@given(
    name=st.sampled_from(["host", "x-amz-date", "x-amz-content-sha256", "x-amz-meta-a"]),
    at=st.integers(0, 100),
    other=st.characters(codec="latin-1", exclude_categories=("Cc", "Zs")),
)
def test_a_changed_signed_header_is_refused(name: str, at: int, other: str) -> None:
    value = SIGNED[name]
    at %= len(value)
    changed = value[:at] + other + value[at + 1 :]
    if changed == value:
        return
    sent = {**SIGNED, name: changed}
    payload_hash = sent["x-amz-content-sha256"]

    with pytest.raises(SignatureDoesNotMatch):
        check("PUT", PATH, QUERY, sent, payload_hash)


def test_another_secret_is_refused() -> None:
    with pytest.raises(SignatureDoesNotMatch):
        check("PUT", PATH, QUERY, SIGNED, EMPTY_SHA256, secret=SECRET + "x")


def test_another_method_is_refused() -> None:
    with pytest.raises(SignatureDoesNotMatch):
        check("GET", PATH, QUERY, SIGNED, EMPTY_SHA256)


def test_a_refusal_shows_what_was_signed_here() -> None:
    with pytest.raises(SignatureDoesNotMatch) as caught:
        check("GET", PATH, QUERY, SIGNED, EMPTY_SHA256)

    assert caught.value.details["CanonicalRequest"].startswith("GET\n/bucket/a%20key%2Fb\n")
    assert caught.value.details["StringToSign"].startswith("AWS4-HMAC-SHA256\n20260131T120000Z\n")


def test_a_path_signed_escaped_and_sent_bare_verifies() -> None:
    signed = SIGNER.headers("GET", "http://h/bucket/a%28b%29", now=NOW)

    check("GET", b"/bucket/a(b)", b"", signed, EMPTY_SHA256)


def test_the_order_of_the_query_does_not_matter() -> None:
    check("PUT", PATH, b"prefix=a%2Bb&list-type=2", SIGNED, EMPTY_SHA256)


def test_a_name_without_value_is_signed_with_an_empty_one() -> None:
    assert sigv4.canonical_query(b"uploads&a=1") == b"a=1&uploads="


def test_runs_of_spaces_in_a_header_count_as_one() -> None:
    folded = {**SIGNED, "x-amz-meta-a": " one   two "}

    check("PUT", PATH, QUERY, folded, EMPTY_SHA256)


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

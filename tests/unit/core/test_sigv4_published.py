"""Signature Version 4 against Amazon's published examples, and botocore as a second opinion."""

from __future__ import annotations

from urllib.parse import quote

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from core import sigv4, sigv4_claim
from core.checksums import EMPTY_SHA256
from s3.target import parse_query
from tests.support.signatures import ACCESS_KEY, SECRET, check

HOST = "examplebucket.s3.amazonaws.com"
DATE = "20130524T000000Z"
keys = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=30
)
values = st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), max_size=20)


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

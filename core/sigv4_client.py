"""Signing requests: for our own tools, tests and presigned URLs handed to browsers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

from core import clock, sigv4, sigv4_claim
from core.checksums import EMPTY_SHA256


class Signer:
    """Signs for one access key."""

    def __init__(self, access_key: str, secret_key: str, region: str = "us-east-1") -> None:
        self.access_key = access_key
        self._secret = secret_key
        self._region = region

    def headers(
        self,
        method: str,
        url: str,
        *,
        payload_hash: str = EMPTY_SHA256,
        headers: Mapping[str, str] | None = None,
        now: datetime | None = None,
    ) -> dict[str, str]:
        """The headers to send with a request to `url`, whose path and query are escaped already."""
        parts = urlsplit(url)
        stamp = _stamp(now)
        sent = {name.lower(): value for name, value in (headers or {}).items()}
        sent |= {"host": parts.netloc, "x-amz-date": stamp, "x-amz-content-sha256": payload_hash}
        claim = self._claim(stamp, ";".join(sorted(sent)))
        signature = self._sign(claim, method, parts.path, parts.query, sent, payload_hash)
        sent["authorization"] = (
            f"{sigv4_claim.ALGORITHM} Credential={self.access_key}/{claim.scope},"
            f"SignedHeaders={claim.signed_headers},Signature={signature}"
        )
        return sent

    def presign(
        self,
        method: str,
        url: str,
        *,
        expires_s: int,
        headers: Mapping[str, str] | None = None,
        now: datetime | None = None,
    ) -> str:
        """`url` with a signature in its query; the named headers must be sent with it."""
        parts = urlsplit(url)
        stamp = _stamp(now)
        sent = {name.lower(): value for name, value in (headers or {}).items()}
        sent["host"] = parts.netloc
        claim = self._claim(stamp, ";".join(sorted(sent)))
        fields = {
            "X-Amz-Algorithm": sigv4_claim.ALGORITHM,
            "X-Amz-Credential": f"{self.access_key}/{claim.scope}",
            "X-Amz-Date": stamp,
            "X-Amz-Expires": str(expires_s),
            "X-Amz-SignedHeaders": claim.signed_headers,
        }
        added = "&".join(f"{n}={sigv4.quote(v, keep_slash=False)}" for n, v in fields.items())
        query = f"{parts.query}&{added}" if parts.query else added
        signature = self._sign(claim, method, parts.path, query, sent, sigv4.UNSIGNED)
        return f"{parts.scheme}://{parts.netloc}{parts.path}?{query}&X-Amz-Signature={signature}"

    def chain(self, signed: Mapping[str, str]) -> sigv4.ChunkChain:
        """The chunk signatures that follow a request whose headers `headers()` made."""
        stamp = signed["x-amz-date"]
        claim = self._claim(stamp, "")
        seed = signed["authorization"].rpartition("Signature=")[2]
        return sigv4.ChunkChain(self._key(claim), stamp, claim.scope, seed)

    def _sign(
        self,
        claim: sigv4_claim.Claim,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        payload_hash: str,
    ) -> str:
        canonical = sigv4.canonical_request(
            method=method,
            raw_path=(path or "/").encode(),
            raw_query=query.encode(),
            headers=headers,
            signed_headers=claim.signed_headers,
            payload_hash=payload_hash,
        )
        text = sigv4.string_to_sign(claim.timestamp, claim.scope, canonical)
        return sigv4.sign(self._key(claim), text)

    def _claim(self, stamp: str, signed_headers: str) -> sigv4_claim.Claim:
        return sigv4_claim.Claim(
            access_key=self.access_key,
            day=stamp[:8],
            region=self._region,
            service="s3",
            signed_headers=signed_headers,
            signature="",
            timestamp=stamp,
        )

    def _key(self, claim: sigv4_claim.Claim) -> bytes:
        return sigv4.signing_key(self._secret, claim.day, self._region)


def _stamp(now: datetime | None) -> str:
    return (now or clock.now()).strftime("%Y%m%dT%H%M%SZ")

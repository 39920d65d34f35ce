"""One key pair, a signer with it, and verifying what was signed as the gate does."""

from __future__ import annotations

from datetime import UTC, datetime

from core import sigv4, sigv4_claim
from core.sigv4_client import Signer

ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SIGNER = Signer(ACCESS_KEY, SECRET)
NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


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

"""What one request to a node may do: operation, drive, segment and epoch, for at most a minute.

Form and rules: docs/formats/node-protocol.md §2. Pure; the caller says what time it is.
"""

import hmac
from hashlib import sha256

from core.errors import CapabilityRefused
from storage_nodes.shard_name import FileName

LIFETIME_S = 60
# Clocks of hosts differ a little; more than this is an operator's problem, and refused.
SKEW_S = 5


def issue(secret: bytes, *, operation: str, subject: str, name: FileName | None, now: float) -> str:
    """A capability for one operation on one shard (or, without `name`, on the subject)."""
    claim = f"{_scope(operation, subject, name)}:{int(now) + LIFETIME_S}"
    return f"{claim}:{_mac(secret, claim)}"


def check(
    secret: bytes,
    capability: str,
    *,
    operation: str,
    subject: str,
    name: FileName | None,
    now: float,
) -> None:
    """CapabilityRefused unless `capability` allows exactly this, now."""
    claim, _, mac = capability.rpartition(":")
    if not hmac.compare_digest(_mac(secret, claim).encode(), mac.encode()):
        raise CapabilityRefused("The capability is not signed with this cluster's key.")
    scope, _, expiry = claim.rpartition(":")
    if scope != _scope(operation, subject, name):
        raise CapabilityRefused("The capability is for something else.", operation=operation)
    left = int(expiry) - now
    if left < -SKEW_S:
        raise CapabilityRefused("The capability has expired.")
    if left > LIFETIME_S + SKEW_S:
        raise CapabilityRefused("The capability lasts too long.")


def greeting(secret: bytes, side: str, client_nonce: str, node_nonce: str, drive: str) -> str:
    """What one side of the Unix socket proves that it knows the key with."""
    return _mac(secret, "\n".join((side, node_nonce, client_nonce, drive)))


def _scope(operation: str, subject: str, name: FileName | None) -> str:
    return f"{operation}:{subject}:{name.scope if name else '-:-'}"


def _mac(secret: bytes, claim: str) -> str:
    return hmac.digest(secret, claim.encode(), sha256).hex() if claim else ""

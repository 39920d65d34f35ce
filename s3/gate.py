"""The one authentication gate: nothing reaches a handler but through `Gate.admit`.

Here: which form of signature a request uses, what it must contain, whether it holds; then the
bucket's existence, its expected owner and the right to the operation. Not here: the arithmetic of
signatures (core.sigv4), policies (tenants.access), bodies (s3.framing).

Order of checks: form and clock, the key, the signature, the bucket, the expected owner, the right.
What was decided can be decided again at commit: `found.check`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

from core import clock, metrics, sigv4, sigv4_claim
from core.checksums import EMPTY_SHA256
from core.config import S3
from core.errors import (
    AccessDenied,
    AccountProblem,
    AuthorizationHeaderMalformed,
    AuthorizationQueryParametersError,
    InvalidAccessKeyId,
    InvalidArgument,
    InvalidRequest,
    InvalidToken,
    NoSuchBucket,
    PresignedExpiryOutOfRange,
    RequestTimeTooSkewed,
    StoreError,
)
from objects.found import DATA, HEAD, NONE, Found, Question
from s3 import hoisted
from s3.operations import Operation
from s3.wire import Call
from tenants import access
from tenants.principal import Caller

MAX_EXPIRES_S = 604_800
_WANTS = {"none": NONE, "head": HEAD, "data": DATA}
# These act on a name that need not be anybody's bucket yet.
_CREATES = frozenset({"CreateBucket"})
_NOT_TWICE = frozenset(
    {"authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"}
)
_OWNER = "x-amz-expected-bucket-owner"
_HASH = "x-amz-content-sha256"


class Looks(Protocol):
    """What the gate needs of a store."""

    async def look(self, question: Question) -> Found: ...


class Signature:
    """A signature that holds, and what continues from it."""

    __slots__ = ("claim", "key")

    def __init__(self, claim: sigv4_claim.Claim, key: bytes) -> None:
        self.claim = claim
        self.key = key

    def chain(self) -> sigv4.ChunkChain:
        """The chunk signatures that follow."""
        claim = self.claim
        return sigv4.ChunkChain(self.key, claim.timestamp, claim.scope, claim.signature)


class Gate:
    """Decides about calls. Holds no state of any request."""

    def __init__(self, settings: S3) -> None:
        self._region = settings.region
        self._max_skew_s = settings.max_skew_s

    async def admit(self, call: Call, store: Looks, repeated: frozenset[str]) -> None:
        """Fill in `found`, `caller`, `signature` and `payload_sha256`, or raise what refuses the
        call.

        `repeated` names the headers that came more than once.
        """
        operation = call.operation
        call.signature = call.caller = call.payload_sha256 = None
        if operation.public:
            # Browsers ask by themselves: unsigned, or by the URL that was presigned for a GET.
            return
        try:
            claim, payload_hash = self._claim(call, repeated)
        except StoreError:
            metrics.auth_failure.add()
            raise
        access_key = claim.access_key if claim is not None else None
        version_id = call.query.get("versionId") if call.query else None
        malformed: InvalidArgument | None = None
        want = _WANTS[operation.want]
        try:
            question = Question(access_key, call.bucket, call.key, version_id, want)
        except InvalidArgument as why:
            # Nobody learns of it before it is known who asks, and that the bucket is there.
            malformed, question = why, Question(access_key, call.bucket)
        call.found = found = await store.look(question)
        if claim is not None:
            self._authenticate(call, claim, payload_hash, found.caller)
        judge(operation, call, found)
        if malformed is not None:
            raise malformed
        if claim is not None and claim.is_query:
            hoisted.restore(call)
        found.check = _Recheck(operation, call)

    def _claim(self, call: Call, repeated: frozenset[str]) -> tuple[sigv4_claim.Claim | None, str]:
        """Who says they signed this, checked for form and clock; None when nobody does."""
        headers, query = call.headers, call.query
        authorization = headers.get("authorization", "")
        in_query = bool(query) and any(name in query for name in sigv4_claim.QUERY_FIELDS)
        if not authorization and not in_query:
            if query and "AWSAccessKeyId" in query:
                raise _unsupported()
            return None, ""
        if authorization and in_query:
            raise InvalidArgument(
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "
                "Signature query string parameter or the Authorization header should be specified",
                argument_name="Authorization",
                argument_value=authorization.partition("Signature=")[0],
            )
        if repeated and (twice := sorted(repeated & _NOT_TWICE)):
            raise InvalidArgument(f"{twice[0]} is given more than once.", argument_name=twice[0])
        if "x-amz-security-token" in headers or (query and "X-Amz-Security-Token" in query):
            raise InvalidToken()
        if in_query:
            return self._from_query(call)
        return self._from_header(call, authorization)

    def _from_header(self, call: Call, authorization: str) -> tuple[sigv4_claim.Claim, str]:
        if not authorization.startswith(sigv4_claim.ALGORITHM):
            raise _refused_scheme(authorization)
        claim = sigv4_claim.parse_authorization(authorization)
        headers = call.headers
        given = headers.get("x-amz-date")
        if given is None:
            given = headers.get("date", "")
        stamp = given
        signed_at = sigv4_claim.parse_timestamp(given)
        if signed_at is None:
            stamp = sigv4_claim.timestamp_of_date(given) or ""
            signed_at = sigv4_claim.parse_timestamp(stamp)
        if signed_at is None:
            raise AccessDenied("AWS authentication requires a valid Date or x-amz-date header")
        claim.timestamp = stamp
        self._check_scope(claim, AuthorizationHeaderMalformed)
        if claim.day != stamp[:8]:
            raise AuthorizationHeaderMalformed(
                f"Invalid credential date {claim.day!r}; it is not that of x-amz-date.",
                region=self._region,
            )
        now = clock.timestamp()
        if not -self._max_skew_s <= now - signed_at <= self._max_skew_s:
            raise RequestTimeTooSkewed(
                request_time=given,
                server_time=_iso(now),
                max_allowed_skew_milliseconds=self._max_skew_s * 1000,
            )
        _check_signed_headers(call, claim)
        return claim, self._payload_hash(call, required=True)

    def _from_query(self, call: Call) -> tuple[sigv4_claim.Claim, str]:
        claim = sigv4_claim.parse_query(call.query)
        assert claim.expires_s is not None
        self._check_scope(claim, AuthorizationQueryParametersError)
        if not 1 <= claim.expires_s <= MAX_EXPIRES_S:
            raise PresignedExpiryOutOfRange()
        signed_at = sigv4_claim.parse_timestamp(claim.timestamp)
        assert signed_at is not None
        now = clock.timestamp()
        if now < signed_at - self._max_skew_s:
            raise AccessDenied("Request is not valid yet", server_time=_iso(now))
        if now > signed_at + claim.expires_s:
            raise AccessDenied(
                "Request has expired",
                X_Amz_Expires=claim.expires_s,
                expires=_iso(signed_at + claim.expires_s),
                server_time=_iso(now),
            )
        _check_signed_headers(call, claim)
        return claim, self._payload_hash(call, required=False)

    def _check_scope(self, claim: sigv4_claim.Claim, error: type[StoreError]) -> None:
        if claim.region != self._region:
            raise error(
                f"The authorization is malformed; the region '{claim.region}' is wrong; "
                f"expecting '{self._region}'",
                region=self._region,
            )
        if claim.service != "s3":
            raise error(
                f"The authorization is malformed; incorrect service '{claim.service}'. "
                "This endpoint belongs to 's3'.",
                region=self._region,
            )

    def _payload_hash(self, call: Call, *, required: bool) -> str:
        """What stands for the payload in the canonical request; sets `payload_sha256`."""
        given = call.headers.get(_HASH)
        if given is None and not required:
            given = call.query.get("X-Amz-Content-Sha256", sigv4.UNSIGNED)
        if given is None:
            if call.key is not None or call.method not in ("GET", "HEAD", "DELETE"):
                raise InvalidRequest(f"Missing required header for this request: {_HASH}")
            given = EMPTY_SHA256
        if given in sigv4.CONSTANTS:
            return given
        lowered = given.lower()
        if lowered != EMPTY_SHA256 and not sigv4_claim.is_hex64(lowered):
            raise InvalidArgument(
                f"{_HASH} must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
                "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER "
                "or a valid sha256 value.",
                argument_name=_HASH,
                argument_value=given,
            )
        call.payload_sha256 = lowered
        return given

    def _authenticate(
        self, call: Call, claim: sigv4_claim.Claim, payload_hash: str, caller: Caller | None
    ) -> None:
        """The key exists and made this signature, and may still sign."""
        try:
            if caller is None:
                raise InvalidAccessKeyId(AWSAccessKeyId=claim.access_key)
            key = sigv4.verify(
                claim,
                caller.secret,
                method=call.method,
                raw_path=call.raw_path,
                raw_query=call.raw_query,
                headers=call.headers,
                payload_hash=payload_hash,
            )
            _check_standing(caller)
        except StoreError:
            metrics.auth_failure.add()
            raise
        metrics.auth_success.add()
        call.caller = caller
        call.signature = Signature(claim, key)


def let_go(call: Call) -> None:
    """A call that is over and what was found for it let go of each other.

    Each holds the other for a decision at commit. Left to the collector, the pairs of a second's
    requests stop everything for 50 ms when their turn comes.
    """
    found: Found | None = getattr(call, "found", None)
    if found is not None:
        found.check = None


class _Recheck:
    """Decides about a call once more, with fresh findings."""

    __slots__ = ("_call", "_operation")

    def __init__(self, operation: Operation, call: Call) -> None:
        self._operation = operation
        self._call = call

    def __call__(self, fresh: Found) -> None:
        if self._call.caller is not None:
            if fresh.caller is None:
                raise InvalidAccessKeyId(AWSAccessKeyId=self._call.caller.key_id)
            _check_standing(fresh.caller)
        judge(self._operation, self._call, fresh)


def judge(operation: Operation, call: Call, found: Found) -> None:
    """The bucket is there, belongs to whom the client expects, and the caller may do this to it."""
    bucket = found.bucket
    caller = found.caller if call.signature is not None else None
    if call.bucket is None:
        owner, resource = None, "*"
    else:
        resource = f"arn:aws:s3:::{call.bucket}"
        if call.key is not None:
            resource = f"{resource}/{call.key}"
        if operation.name in _CREATES:
            owner = None  # whose name it is, is for the handler to say
        elif bucket is None:
            raise NoSuchBucket(bucket_name=call.bucket)
        else:
            owner = bucket.tenant_id
            expected = call.headers.get(_OWNER)
            if expected is not None and expected != bucket.account_id:
                raise AccessDenied()
    if operation.action:
        if not access.decide(caller, operation.action, owner, resource).allowed:
            raise AccessDenied()
    elif caller is None or (owner is not None and owner != caller.tenant_id):
        raise AccessDenied()  # each key is judged by the handler; a stranger gets no further


def _check_standing(caller: Caller) -> None:
    if caller.suspended:
        raise AccountProblem()
    if not caller.may_sign(clock.timestamp()):
        raise InvalidAccessKeyId(AWSAccessKeyId=caller.key_id)


def _check_signed_headers(call: Call, claim: sigv4_claim.Claim) -> None:
    """`host` and every `x-amz-*` header must be under the signature."""
    signed = claim.signed_headers.split(";")
    unsigned = [n for n in call.headers if n.startswith("x-amz-") and n not in signed]
    if unsigned or "host" not in signed:
        raise AccessDenied(
            "There were headers present in the request which were not signed",
            HeadersNotSigned=", ".join(unsigned or ["host"]),
        )


def _refused_scheme(authorization: str) -> StoreError:
    if authorization.startswith("AWS ") and ":" not in authorization:
        return InvalidArgument(
            "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature",
            argument_name="Authorization",
            argument_value=authorization,
        )
    return _unsupported()


def _unsupported() -> InvalidRequest:
    return InvalidRequest(
        "The authorization mechanism you have provided is not supported. "
        "Please use AWS4-HMAC-SHA256."
    )


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

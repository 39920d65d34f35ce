"""May this caller do that? The one evaluator of IAM policy documents. Pure.

A document is compiled once and judged many times. An explicit Deny wins, nothing said means no.
It fails closed: a statement with an element this evaluator does not know never allows, and always
denies if it is a Deny. Conditions are such elements until they are evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from core.errors import MalformedPolicyDocument

if TYPE_CHECKING:
    from tenants.principal import Caller

VERSIONS = ("2012-10-17", "2008-10-17")
_KNOWN = frozenset({"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource"})
_Document = Mapping[str, Any]


class Decision(NamedTuple):
    """The answer and, for people, why."""

    allowed: bool
    reason: str


ROOT = Decision(True, "The caller is the root user of the bucket's tenant.")
ALLOWED = Decision(True, "A statement of the user's policy allows it.")
ANONYMOUS = Decision(False, "The request is not signed and nothing is public.")
OTHER_TENANT = Decision(False, "The bucket belongs to another tenant.")
SUSPENDED = Decision(False, "The access key, its user or its tenant is suspended.")
DENIED = Decision(False, "A statement of the user's policy denies it.")
NOT_ALLOWED = Decision(False, "No statement of the user's policy allows it.")

ALLOW_ALL: dict[str, Any] = {
    "Version": VERSIONS[0],
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}

# What the words of `user create --allow` stand for.
GRANTS: dict[str, list[str]] = {
    "read": ["s3:Get*", "s3:List*"],
    "write": [
        "s3:PutObject",
        "s3:PutObjectAcl",
        "s3:PutObjectTagging",
        "s3:PutObjectVersionAcl",
        "s3:PutObjectVersionTagging",
        "s3:DeleteObjectTagging",
        "s3:DeleteObjectVersionTagging",
        "s3:RestoreObject",
        "s3:AbortMultipartUpload",
        "s3:ListMultipartUploadParts",
        "s3:ListBucketMultipartUploads",
    ],
    "delete": ["s3:DeleteObject", "s3:DeleteObjectVersion"],
    "admin": ["s3:*"],
}


class _Statement:
    """One compiled statement."""

    __slots__ = ("action", "denies", "is_known", "not_action", "not_resource", "resource")

    def __init__(self, statement: _Document) -> None:
        self.denies = statement["Effect"] == "Deny"
        self.is_known = _KNOWN.issuperset(statement)
        self.not_action = "NotAction" in statement
        self.not_resource = "NotResource" in statement
        self.action = _pattern(statement, "Action", "NotAction", re.IGNORECASE)
        self.resource = _pattern(statement, "Resource", "NotResource", 0)

    def matches(self, action: str, resource: str) -> bool:
        return (self.action.fullmatch(action) is None) == self.not_action and (
            self.resource.fullmatch(resource) is None
        ) == self.not_resource


class Policy:
    """A compiled policy document."""

    __slots__ = ("_allow", "_deny")

    def __init__(self, statements: Sequence[_Statement]) -> None:
        self._deny = [one for one in statements if one.denies]
        self._allow = [one for one in statements if not one.denies and one.is_known]

    def decide(self, action: str, resource: str) -> Decision:
        """Judge one action on one resource."""
        for statement in self._deny:
            if statement.matches(action, resource):
                return DENIED
        for statement in self._allow:
            if statement.matches(action, resource):
                return ALLOWED
        return NOT_ALLOWED


def compile_policy(document: _Document) -> Policy:
    """Compile a document; `MalformedPolicyDocument` says what is wrong with it."""
    if not isinstance(document, Mapping):
        raise MalformedPolicyDocument("A policy document is a JSON object.")
    if document.get("Version", VERSIONS[1]) not in VERSIONS:
        raise MalformedPolicyDocument("The policy's Version is not known.")
    statements = document.get("Statement")
    if isinstance(statements, Mapping):
        statements = [statements]
    if not isinstance(statements, list):
        raise MalformedPolicyDocument("A policy document has a list of Statements.")
    return Policy([_Statement(_checked(statement)) for statement in statements])


def grant(words: Sequence[str]) -> dict[str, Any]:
    """The policy document for words of GRANTS, on everything the tenant owns."""
    unknown = [word for word in words if word not in GRANTS]
    if unknown or not words:
        raise MalformedPolicyDocument(
            f"Allow one or more of {', '.join(GRANTS)}, not {', '.join(unknown) or 'nothing'}."
        )
    actions = sorted({action for word in words for action in GRANTS[word]})
    return {
        "Version": VERSIONS[0],
        "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}],
    }


def decide(
    caller: Caller | None, action: str, bucket_owner_tenant: UUID | None, resource: str
) -> Decision:
    """May `caller` do `action` (`s3:GetObject`) on `resource` (an ARN, or `*`)?

    `bucket_owner_tenant` is None for what concerns no bucket. A tenant's keys reach only its own
    buckets. Whether the key may sign at all by now is `Caller.may_sign`, asked by the gate.
    """
    if caller is None:
        return ANONYMOUS
    if caller.suspended or not caller.enabled:
        return SUSPENDED
    if bucket_owner_tenant is not None and bucket_owner_tenant != caller.tenant_id:
        return OTHER_TENANT
    if caller.is_root:
        return ROOT
    return caller.policy.decide(action, resource)


def _checked(statement: object) -> _Document:
    if not isinstance(statement, Mapping):
        raise MalformedPolicyDocument("A Statement is a JSON object.")
    if statement.get("Effect") not in ("Allow", "Deny"):
        raise MalformedPolicyDocument("A Statement's Effect is Allow or Deny.")
    for one, other in (("Action", "NotAction"), ("Resource", "NotResource")):
        if (one in statement) == (other in statement):
            raise MalformedPolicyDocument(f"A Statement has either {one} or {other}.")
    return statement


def _pattern(statement: _Document, one: str, other: str, flags: int) -> re.Pattern[str]:
    """A pattern that matches what any of the listed wildcards matches."""
    name = one if one in statement else other
    listed = statement[name]
    wildcards = [listed] if isinstance(listed, str) else listed
    if (
        not isinstance(wildcards, list)
        or not wildcards
        or not all(isinstance(wildcard, str) and wildcard for wildcard in wildcards)
    ):
        raise MalformedPolicyDocument(f"{name} is a string or a list of strings.")
    return re.compile("|".join(map(_wildcard, wildcards)), flags | re.DOTALL)


def _wildcard(text: str) -> str:
    # Runs of stars are one star: the pattern never needs to try the same split twice.
    parts = re.split(r"(\*+|\?)", text)
    return "".join(
        ".*" if part.startswith("*") else "." if part == "?" else re.escape(part) for part in parts
    )

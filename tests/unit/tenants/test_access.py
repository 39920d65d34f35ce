"""The evaluator of policy documents."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import now
from core.errors import MalformedPolicyDocument
from core.names import new_id
from tenants import access
from tenants.access import compile_policy, decide, grant
from tenants.principal import Caller

TENANT, OTHER = new_id(), new_id()
OBJECT = "arn:aws:s3:::photos/2024/cat.jpg"


def statement(**elements: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", **elements}


def allows(*statements: dict[str, Any], action: str = "s3:GetObject", on: str = OBJECT) -> bool:
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    return compile_policy(document).decide(action, on).allowed


def caller(policy: dict[str, Any] | None = None, **fields: Any) -> Caller:
    known: dict[str, Any] = {
        "key_id": "OSKEY",
        "secret": "secret",
        "enabled": True,
        "expires_at": None,
        "user_id": new_id(),
        "user_name": "ann",
        "is_root": policy is None,
        "policy": compile_policy(policy or access.ALLOW_ALL),
        "tenant_id": TENANT,
        "account_id": "123456789012",
        "canonical_id": "c" * 64,
        "display_name": "ann",
        "suspended": False,
    }
    return Caller(**{**known, **fields})


def test_nothing_said_means_no():
    assert not allows()


def test_an_allow_that_matches_allows():
    assert allows(statement())


def test_an_allow_of_another_action_does_not():
    assert not allows(statement(), action="s3:PutObject")


def test_an_explicit_deny_wins_whatever_the_order():
    deny = statement(Effect="Deny", Action="s3:*")

    assert not allows(statement(), deny)
    assert not allows(deny, statement())


@pytest.mark.parametrize(
    ("wildcard", "matches"),
    [
        ("*", True),
        ("s3:*", True),
        ("s3:Get*", True),
        ("s3:GetObjec?", True),
        ("S3:getobject", True),
        ("s3:Get", False),
        ("s3:GetObject?", False),
        ("s3.GetObject", False),
        ("iam:*", False),
    ],
)
def test_wildcards_of_actions(wildcard: str, matches: bool):
    assert allows(statement(Action=wildcard)) is matches


@pytest.mark.parametrize(
    ("wildcard", "matches"),
    [
        ("arn:aws:s3:::photos/*", True),
        ("arn:aws:s3:::photos/2024/*.jpg", True),
        ("arn:aws:s3:::photos/????/cat.jpg", True),
        (["arn:aws:s3:::music/*", "arn:aws:s3:::photos/*"], True),
        ("arn:aws:s3:::photos", False),
        ("arn:aws:s3:::Photos/*", False),
        ("arn:aws:s3:::photo/*", False),
        ("arn:aws:s3:::photos/2024/cat.jpg.bak", False),
    ],
)
def test_wildcards_of_resources(wildcard: Any, matches: bool):
    assert allows(statement(Resource=wildcard)) is matches


def test_a_wildcard_spans_line_ends_in_keys():
    assert allows(statement(Resource="arn:aws:s3:::b/*"), on="arn:aws:s3:::b/a\nb")


def test_not_action_allows_everything_else():
    only_others = {"Effect": "Allow", "NotAction": "s3:Delete*", "Resource": "*"}

    assert allows(only_others)
    assert not allows(only_others, action="s3:DeleteObject")


def test_not_resource_denies_everything_else():
    deny = {"Effect": "Deny", "Action": "*", "NotResource": "arn:aws:s3:::photos/*"}

    assert allows(statement(), deny)
    assert not allows(statement(), deny, on="arn:aws:s3:::music/a")


def test_an_allow_under_an_unknown_condition_does_not_allow():
    assert not allows(statement(Condition={"MoonPhase": {"aws:Moon": "full"}}))


def test_a_deny_under_an_unknown_condition_denies():
    deny = statement(Effect="Deny", Condition={"MoonPhase": {"aws:Moon": "full"}})

    assert not allows(statement(), deny)


def test_an_allow_with_an_unknown_element_does_not_allow():
    assert not allows(statement(Principal="*"))


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"Version": "1999-01-01", "Statement": []},
        {"Statement": "all"},
        {"Statement": ["all"]},
        {"Statement": [{"Action": "*", "Resource": "*"}]},
        {"Statement": [{"Effect": "Maybe", "Action": "*", "Resource": "*"}]},
        {"Statement": [{"Effect": "Allow", "Resource": "*"}]},
        {"Statement": [{"Effect": "Allow", "Action": "*"}]},
        {"Statement": [{"Effect": "Allow", "Action": [], "Resource": "*"}]},
        {"Statement": [{"Effect": "Allow", "Action": [1], "Resource": "*"}]},
        {"Statement": [{"Effect": "Allow", "Action": "*", "NotAction": "*", "Resource": "*"}]},
    ],
)
def test_a_malformed_document_is_refused(document: Any):
    with pytest.raises(MalformedPolicyDocument):
        compile_policy(document)


def test_a_single_statement_needs_no_list():
    assert compile_policy({"Statement": statement()}).decide("s3:GetObject", OBJECT).allowed


@given(st.text(max_size=40))
def test_a_resource_without_wildcards_matches_itself_alone(text: str):
    plain = text.replace("*", "").replace("?", "") or "x"

    assert allows(statement(Resource=plain), on=plain)
    assert not allows(statement(Resource=plain), on=plain + "x")


@given(st.text("ab*?", min_size=1, max_size=12), st.text("ab", max_size=12))
def test_wildcards_match_as_defined(wildcard: str, text: str):
    assert allows(statement(Resource=wildcard), on=text) is _matches(wildcard, text)


def _matches(wildcard: str, text: str) -> bool:
    if not wildcard:
        return not text
    if wildcard[0] == "*":
        return any(_matches(wildcard[1:], text[at:]) for at in range(len(text) + 1))
    return bool(text) and wildcard[0] in ("?", text[0]) and _matches(wildcard[1:], text[1:])


@pytest.mark.parametrize(
    ("words", "action", "allowed"),
    [
        (["read"], "s3:GetObject", True),
        (["read"], "s3:ListBucket", True),
        (["read"], "s3:PutObject", False),
        (["write"], "s3:PutObject", True),
        (["write"], "s3:AbortMultipartUpload", True),
        (["write"], "s3:GetObject", False),
        (["write"], "s3:PutBucketPolicy", False),
        (["write"], "s3:PutObjectRetention", False),
        (["delete"], "s3:DeleteObjectVersion", True),
        (["delete"], "s3:DeleteBucket", False),
        (["read", "write"], "s3:PutObject", True),
        (["admin"], "s3:DeleteBucket", True),
    ],
)
def test_words_of_allow(words: list[str], action: str, allowed: bool):
    assert compile_policy(grant(words)).decide(action, OBJECT).allowed is allowed


@pytest.mark.parametrize("words", [[], ["everything"], ["read", "fly"]])
def test_unknown_words_are_refused(words: list[str]):
    with pytest.raises(MalformedPolicyDocument):
        grant(words)


def test_root_may_do_everything_with_its_own_buckets():
    assert decide(caller(), "s3:DeleteBucket", TENANT, OBJECT).allowed


def test_nobody_reaches_another_tenants_bucket():
    assert decide(caller(), "s3:GetObject", OTHER, OBJECT) == access.OTHER_TENANT
    assert decide(caller(grant(["admin"])), "s3:GetObject", OTHER, OBJECT) == access.OTHER_TENANT


def test_the_unsigned_are_refused():
    assert decide(None, "s3:GetObject", TENANT, OBJECT) == access.ANONYMOUS


@pytest.mark.parametrize("fields", [{"suspended": True}, {"enabled": False}])
def test_the_suspended_are_refused_root_or_not(fields: dict[str, Any]):
    assert decide(caller(**fields), "s3:GetObject", TENANT, OBJECT) == access.SUSPENDED


def test_a_user_may_do_what_its_policy_says():
    reader = caller(grant(["read"]))

    assert decide(reader, "s3:GetObject", TENANT, OBJECT).allowed
    assert not decide(reader, "s3:PutObject", TENANT, OBJECT).allowed


def test_an_expired_key_may_not_sign():
    moment = now()

    assert not caller(expires_at=moment).may_sign(moment.timestamp())
    assert caller().may_sign(moment.timestamp())


def test_a_caller_never_shows_its_secret():
    assert "secret" not in repr(caller(secret="secret"))

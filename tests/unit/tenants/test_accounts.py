"""Tenants, users and their keys as rows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from core import clock
from core.errors import EntityAlreadyExists, NoSuchEntity, ValidationError
from jobs.models import Change
from tenants import accounts, credentials
from tenants.keyring import keyring
from tenants.models import AccessKey, AccountUser, Audit, Tenant

pytestmark = pytest.mark.django_db


def test_a_new_tenant_has_a_root_user_and_a_working_key():
    made = accounts.create_tenant("acme", "ops@acme.example", "test")

    key = AccessKey.objects.get(pk=made.access_key)
    assert key.user.is_root
    assert key.user.tenant.name == "acme"
    assert keyring().open(key.secret, key.id) == made.secret


def test_ids_of_a_tenant_have_the_form_clients_expect():
    made = accounts.create_tenant("acme")

    assert made.tenant.account_id.isdigit()
    assert len(made.tenant.account_id) == 12
    assert len(made.tenant.canonical_id) == 64


def test_a_given_key_is_used():
    made = accounts.create_tenant("acme", access_key="mykey", secret_key="mysecret1")

    assert (made.access_key, made.secret) == ("mykey", "mysecret1")


def test_a_tenants_name_is_taken_once():
    accounts.create_tenant("acme")

    with pytest.raises(EntityAlreadyExists, match="already a tenant 'acme'"):
        accounts.create_tenant("acme")


def test_an_email_is_used_once():
    accounts.create_tenant("acme", "a@b.c")

    with pytest.raises(EntityAlreadyExists, match=r"already uses a@b\.c"):
        accounts.create_tenant("other", "a@b.c")


def test_a_key_id_is_used_once_and_a_refused_tenant_leaves_nothing():
    accounts.create_tenant("acme", access_key="mykey")

    with pytest.raises(EntityAlreadyExists, match="access key mykey"):
        accounts.create_tenant("other", access_key="mykey")

    assert not Tenant.objects.filter(name="other").exists()


@pytest.mark.parametrize("name", ["", " a", "a/b", "a" * 65, "ä"])
def test_odd_names_are_refused(name: str):
    with pytest.raises(ValidationError):
        accounts.create_tenant(name)


@pytest.mark.parametrize("key", ["a:b", "a/b", "ab", "a b c"])
def test_key_ids_that_would_confuse_a_credential_are_refused(key: str):
    with pytest.raises(ValidationError):
        accounts.create_tenant("acme", access_key=key)


def test_a_short_secret_is_refused():
    with pytest.raises(ValidationError, match="8 to 128"):
        accounts.create_tenant("acme", secret_key="short")


def test_a_second_root_is_refused_by_the_database():
    made = accounts.create_tenant("acme")

    with pytest.raises(IntegrityError), transaction.atomic():
        AccountUser.objects.create(tenant_id=made.tenant.id, name="root2", is_root=True, policy={})


def test_a_tenant_is_found_by_name_and_by_account_id():
    made = accounts.create_tenant("acme")

    assert accounts.find_tenant("acme").id == made.tenant.id
    assert accounts.find_tenant(made.tenant.account_id).id == made.tenant.id
    with pytest.raises(NoSuchEntity):
        accounts.find_tenant("nobody")


def test_users_have_the_policy_they_were_made_with():
    accounts.create_tenant("acme")

    user, key = accounts.create_user("acme", "ann", ["read", "delete"])

    policy = AccountUser.objects.get(pk=user.id).policy
    assert "s3:DeleteObject" in policy["Statement"][0]["Action"]
    assert AccessKey.objects.get(pk=key.access_key).user_id == user.id


def test_a_users_name_is_taken_once_per_tenant():
    accounts.create_tenant("acme")
    accounts.create_tenant("other")
    accounts.create_user("acme", "ann", ["read"])

    with pytest.raises(EntityAlreadyExists):
        accounts.create_user("acme", "ann", ["read"])
    accounts.create_user("other", "ann", ["read"])


def test_rotation_disables_the_old_key_and_issues_another_to_the_same_user():
    made = accounts.create_tenant("acme")

    issued = credentials.rotate(made.access_key, now=clock.now())

    assert not AccessKey.objects.get(pk=made.access_key).enabled
    assert AccessKey.objects.get(pk=issued.access_key).user_id == made.user.id


def test_rotation_can_leave_the_old_key_some_time():
    made = accounts.create_tenant("acme")
    moment = clock.now()

    credentials.rotate(made.access_key, now=moment, keep_s=60)

    old = AccessKey.objects.get(pk=made.access_key)
    assert (old.enabled, old.expires_at) == (True, moment + timedelta(seconds=60))


def test_rotation_never_lengthens_a_keys_life():
    made = accounts.create_tenant("acme")
    moment = clock.now()
    AccessKey.objects.filter(pk=made.access_key).update(expires_at=moment)

    credentials.rotate(made.access_key, now=moment, keep_s=60)

    assert AccessKey.objects.get(pk=made.access_key).expires_at == moment


def test_a_deleted_key_is_gone():
    made = accounts.create_tenant("acme")

    credentials.delete(made.access_key)

    with pytest.raises(NoSuchEntity):
        credentials.find_key(made.access_key)


def revision(model: type, key: object) -> int:
    return model.objects.values_list("revision", flat=True).get(pk=key)


def test_any_change_of_configuration_raises_its_revision():
    made = accounts.create_tenant("acme")
    before = revision(Tenant, made.tenant.id)

    Tenant.objects.filter(pk=made.tenant.id).update(suspended=True)

    assert revision(Tenant, made.tenant.id) > before > 0


def test_a_key_made_anew_never_repeats_a_revision():
    made = accounts.create_tenant("acme", access_key="mykey")
    before = revision(AccessKey, "mykey")
    credentials.delete("mykey")

    credentials.add_key(accounts.find_user("acme"), key_id="mykey")

    assert made.access_key == "mykey"
    assert revision(AccessKey, "mykey") > before


def test_configuration_enters_the_journal_with_its_secrets_sealed():
    made = accounts.create_tenant("acme")

    bodies = [change.body for change in Change.objects.filter(kind="configuration")]

    assert {body["table"] for body in bodies} == {"tenant", "account_user", "access_key"}
    assert made.secret not in str(bodies)


def test_deletion_enters_the_journal():
    made = accounts.create_tenant("acme")

    credentials.delete(made.access_key)

    last = Change.objects.filter(kind="configuration").order_by("-id")[0].body
    assert (last["operation"], last["row"]["id"]) == ("delete", made.access_key)


def test_management_actions_are_audited():
    accounts.create_tenant("acme", actor="someone")
    accounts.suspend("acme", "someone")

    assert list(Audit.objects.order_by("id").values_list("actor", "action")) == [
        ("someone", "tenant.create"),
        ("someone", "tenant.suspend"),
    ]


def test_a_key_is_ensured_once_and_given_a_new_secret_only_where_one_is_asked_for():
    root = accounts.find_user(accounts.create_tenant("acme").tenant.name)

    made = credentials.ensure(root, "me", key_id="mykey", secret="first-secret")
    again = credentials.ensure(root, "me", key_id="mykey")
    changed = credentials.ensure(root, "me", key_id="mykey", secret="second-secret")

    assert (made.secret_key, again.secret_key) == ("first-secret", "first-secret")
    assert changed.secret_key == "second-secret"
    kept = AccessKey.objects.get(pk="mykey")
    assert keyring().open(bytes(kept.secret), kept.id) == "second-secret"
    told = Audit.objects.filter(actor="me", subject="mykey").order_by("id")
    assert [entry.action for entry in told] == ["key.create", "key.replace_secret"]


def test_a_key_of_somebody_else_is_not_given_away():
    accounts.create_tenant("acme", access_key="mykey")
    other = accounts.find_user(accounts.create_tenant("other").tenant.name)

    with pytest.raises(EntityAlreadyExists):
        credentials.ensure(other, key_id="mykey", secret="other-secret")

    assert credentials.find_key("mykey").user.tenant.name == "acme"

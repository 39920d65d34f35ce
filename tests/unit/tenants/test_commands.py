"""`manage.py tenant|user|key`."""

from __future__ import annotations

import pytest
from django.core.management import CommandError

from tenants.models import AccessKey, Tenant
from tests.support.commands import run, run_json

pytestmark = pytest.mark.django_db


def test_tenant_create_tells_everything_a_client_needs():
    made = run_json("tenant", "create", "acme", "--email", "a@b.c")

    assert set(made) >= {
        "account_id", "canonical_id", "display_name", "email", "access_key", "secret_key",
    }  # fmt: skip
    assert made["email"] == "a@b.c"
    assert made["display_name"] == "acme"


def test_tenant_create_for_people_is_lines():
    lines = run("tenant", "create", "acme").splitlines()

    assert lines[0].split() == ["name", "acme"]
    assert any(line.startswith("secret key") for line in lines)


def test_tenant_create_twice_is_one_clear_sentence():
    run("tenant", "create", "acme")

    with pytest.raises(CommandError) as refused:
        run("tenant", "create", "acme")

    assert str(refused.value) == "There is already a tenant 'acme'."


def test_tenant_suspend_and_resume():
    run("tenant", "create", "acme")

    assert run_json("tenant", "suspend", "acme")["suspended"]
    assert Tenant.objects.get(name="acme").suspended
    assert not run_json("tenant", "resume", "acme")["suspended"]


def test_tenant_list_is_a_table():
    run("tenant", "create", "acme")

    heading, line = run("tenant", "list").splitlines()

    assert heading.startswith("NAME")
    assert line.split()[0] == "acme"


def test_user_create_gives_a_key_with_a_policy():
    run("tenant", "create", "acme")

    made = run_json("user", "create", "ann", "--tenant", "acme", "--allow", "read,write")

    assert made["allow"] == ["read", "write"]
    assert AccessKey.objects.get(pk=made["access_key"]).user.name == "ann"


def test_user_create_with_an_unknown_word_is_an_error():
    run("tenant", "create", "acme")

    with pytest.raises(CommandError, match="not fly"):
        run("user", "create", "ann", "--tenant", "acme", "--allow", "fly")


def test_users_are_listed_by_tenant():
    run("tenant", "create", "acme")
    run("tenant", "create", "other")

    assert [user["tenant"] for user in run_json("user", "list", "--tenant", "acme")] == ["acme"]


def test_key_life_cycle():
    run("tenant", "create", "acme")
    key = run_json("key", "create", "--tenant", "acme")["access_key"]

    assert not run_json("key", "disable", key)["enabled"]
    assert run_json("key", "enable", key)["enabled"]
    successor = run_json("key", "rotate", key)["access_key"]
    run("key", "delete", key)

    listed = {one["access_key"]: one["enabled"] for one in run_json("key", "list")}
    assert key not in listed
    assert listed[successor]


def test_key_list_never_shows_a_secret():
    made = run_json("tenant", "create", "acme")

    assert made["secret_key"] not in run("key", "list", "--json")


def test_a_key_of_an_unknown_user_is_an_error():
    run("tenant", "create", "acme")

    with pytest.raises(CommandError, match="acme has no user 'bob'"):
        run("key", "create", "--tenant", "acme", "--user", "bob")

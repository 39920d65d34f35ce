"""The master key: made once, never silently replaced."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from core.config import override
from core.errors import BadFormat, ConfigurationError
from tenants import accounts
from tenants.keyring import keyring
from tenants.models import AccessKey

pytestmark = pytest.mark.django_db


@pytest.fixture
def key_file(tmp_path: Path):
    file = tmp_path / "keys" / "master.key"
    with override(crypto={"master_key_file": file}):
        yield file


def test_the_first_start_makes_a_key_only_its_owner_can_read(key_file: Path):
    keyring().prepare()

    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert len(bytes.fromhex(key_file.read_text())) == 32


def test_the_key_is_made_once(key_file: Path):
    keyring().prepare()
    first = key_file.read_text()

    keyring().prepare()

    assert key_file.read_text() == first


def test_a_lost_key_is_not_replaced_while_secrets_are_sealed_under_it(key_file: Path):
    accounts.create_tenant("acme")
    key_file.unlink()

    with pytest.raises(ConfigurationError, match="put it back"):
        keyring().prepare()
    with pytest.raises(ConfigurationError, match="put it back"):
        accounts.create_tenant("other")

    assert not key_file.exists()


def test_opening_without_the_key_file_is_refused(key_file: Path):
    made = accounts.create_tenant("acme")
    sealed = AccessKey.objects.get(pk=made.access_key).secret
    key_file.unlink()

    with pytest.raises(ConfigurationError, match="missing"):
        keyring().open(sealed, made.access_key)


def test_another_key_is_found_out_at_start(key_file: Path, tmp_path: Path):
    accounts.create_tenant("acme")
    other = tmp_path / "other.key"
    other.write_text("ab" * 32)

    with override(crypto={"master_key_file": other}):
        with pytest.raises(ConfigurationError, match="not the master key"):
            keyring().prepare()


def test_a_secret_opens_for_its_own_key_id_only(key_file: Path):
    sealed = keyring().seal("s3cret", "mine")

    assert keyring().open(sealed, "mine") == "s3cret"
    with pytest.raises(BadFormat):
        keyring().open(sealed, "yours")

"""Sealing secrets, and the files keys live in."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core import crypto
from core.config import override
from core.errors import BadFormat, ConfigurationError


@pytest.fixture(autouse=True)
def key(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "keys" / "master.key"
    with override(crypto={"master_key_file": path}):
        yield path


def test_a_sealed_secret_opens() -> None:
    assert crypto.open_sealed(crypto.seal(b"secret", "key"), "key") == b"secret"


def test_sealing_twice_gives_two_values() -> None:
    assert crypto.seal(b"secret", "key") != crypto.seal(b"secret", "key")


def test_another_purpose_does_not_open() -> None:
    with pytest.raises(BadFormat):
        crypto.open_sealed(crypto.seal(b"secret", "key"), "other")


@pytest.mark.parametrize("at", [0, 1, 12, 13, 20, -1])
def test_an_altered_value_does_not_open(at: int) -> None:
    altered = bytearray(crypto.seal(b"secret", "key"))
    altered[at] ^= 1

    with pytest.raises(BadFormat):
        crypto.open_sealed(bytes(altered), "key")


def test_another_master_key_does_not_open(tmp_path: Path) -> None:
    sealed = crypto.seal(b"secret", "key")

    with override(crypto={"master_key_file": tmp_path / "another.key"}), pytest.raises(BadFormat):
        crypto.open_sealed(sealed, "key")


def test_a_key_file_is_its_owners_alone(key: Path) -> None:
    crypto.key_file(key)

    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_key_file_is_made_once(key: Path) -> None:
    assert crypto.key_file(key) == crypto.key_file(key)


def test_of_many_makers_one_wins(key: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = set(threads.map(lambda _: crypto.key_file(key), range(16)))

    assert len(made) == 1
    assert [path.name for path in key.parent.iterdir()] == ["master.key"]


def test_a_damaged_key_file_is_refused(key: Path) -> None:
    key.parent.mkdir()
    key.write_text("not hex")

    with pytest.raises(ConfigurationError):
        crypto.key_file(key)

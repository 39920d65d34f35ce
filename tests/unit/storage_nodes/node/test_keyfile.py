"""The node's key: made once, shown to nobody, and when it cannot be used, said so."""

import os
import stat
from pathlib import Path

import pytest

from core.errors import ConfigurationError
from storage_nodes.node import keyfile


def test_the_key_is_made_once_and_for_nobody_elses_eyes(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "node.key"
    made = keyfile.load_or_create(path)

    assert keyfile.load_or_create(path) == made
    assert keyfile.load(path) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["node.key"]


def test_the_key_is_not_shown_by_accident(tmp_path: Path) -> None:
    key = keyfile.load_or_create(tmp_path / "node.key")

    assert key.secret.hex() not in repr(key)
    assert "secret" not in repr(key)


@pytest.mark.parametrize("text", ["", "{}", '{"cluster": "x", "key": "00"}'])
def test_a_damaged_key_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "node.key").write_text(text)
    with pytest.raises(ConfigurationError, match="is damaged"):
        keyfile.load(tmp_path / "node.key")


def test_a_missing_key_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no node key"):
        keyfile.load(tmp_path / "node.key")

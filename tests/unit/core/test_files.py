"""Small secret files: whole, durable, their owner's alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.files import create_durably, replace_durably


@pytest.mark.parametrize("write", [create_durably, replace_durably])
def test_a_file_is_its_owners_alone_and_leaves_no_draft(tmp_path: Path, write) -> None:
    write(tmp_path / "key", "secret\n")

    assert (tmp_path / "key").read_text() == "secret\n"
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["key"]


def test_what_is_there_is_not_made_again_but_replaced_when_asked_to(tmp_path: Path) -> None:
    create_durably(tmp_path / "key", "first")
    create_durably(tmp_path / "key", "second")
    assert (tmp_path / "key").read_text() == "first"

    replace_durably(tmp_path / "key", "third")
    assert (tmp_path / "key").read_text() == "third"


def test_a_text_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    create_durably(tmp_path / "key", "first")

    with pytest.raises(UnicodeEncodeError):
        replace_durably(tmp_path / "key", "\udc80")

    assert (tmp_path / "key").read_text() == "first"
    assert os.listdir(tmp_path) == ["key"]

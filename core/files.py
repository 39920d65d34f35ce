"""Small files of secrets and settings, written so that a crash leaves the old one or the new one.

Both are readable by their owner alone from the first byte, durable under their name when the call
returns, and never half there.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def create_durably(path: Path, text: str) -> None:
    """The file is there with this text, unless it was there before: of rival makers one wins."""
    draft = _draft(path, text)
    try:
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        os.unlink(draft)
    _sync_folder(path)


def replace_durably(path: Path, text: str) -> None:
    """The file has this text, whatever it had before."""
    draft = _draft(path, text)
    try:
        draft.replace(path)
    except BaseException:
        draft.unlink()
        raise
    _sync_folder(path)


def _draft(path: Path, text: str) -> Path:
    # mkstemp makes it with mode 0600.
    fd, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(fd, "w") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
    except BaseException:
        os.unlink(draft)
        raise
    return Path(draft)


def _sync_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

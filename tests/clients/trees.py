"""Files and trees of files to send, and the proof that they came back."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

_PIECE_BYTES = 1 << 20
_NAMES = ("plain", "with space", "ünïcödé", "plus+and&amp", "dot.dot..x", "50%")


def make_tree(root: Path, files: int, *, seed: int = 1, most_bytes: int = 20_000) -> Path:
    """A tree of files with names and sizes of every kind; some are empty."""
    numbers = random.Random(seed)
    for number in range(files):
        folder = root / f"folder {number % 7}" / f"{number % 13}"
        folder.mkdir(parents=True, exist_ok=True)
        size = 0 if number % 50 == 0 else numbers.randrange(1, most_bytes)
        name = f"{numbers.choice(_NAMES)}-{number}.bin"
        (folder / name).write_bytes(numbers.randbytes(size))
    return root


def make_file(path: Path, size: int, *, seed: int = 1) -> Path:
    """A file of that size, written piece by piece."""
    numbers = random.Random(seed)
    with path.open("wb") as out:
        while size:
            piece = numbers.randbytes(min(size, _PIECE_BYTES))
            out.write(piece)
            size -= len(piece)
    return path


def digests(root: Path) -> dict[str, str]:
    """Every file of a tree, by its relative path."""
    return {str(path.relative_to(root)): digest(path) for path in root.rglob("*") if path.is_file()}


def digest(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()

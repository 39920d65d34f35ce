"""One shared byte: this Celery worker is to end, so running jobs stop after their present step.

The parent is told to end, its pool processes do the work: they inherit the byte across the fork.
"""

from __future__ import annotations

import mmap

_byte = mmap.mmap(-1, 1)


def request() -> None:
    """Ask every job of this process and its children to stop after its present step."""
    _byte[0] = 1


def is_requested() -> bool:
    return _byte[0] == 1


def withdraw() -> None:
    """Forget the request (tests)."""
    _byte[0] = 0

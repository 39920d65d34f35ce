"""What a handler says between two units of work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jobs.catalogue import LONGEST_WAIT_S


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One unit is done and may be forgotten: work resumes after it, from `cursor`.

    Without a cursor it resumes from the beginning; a full time slice does not end the run there.
    """

    done: int
    total: int | None = None
    cursor: Any = None


class NotYet(Exception):
    """The work cannot be done now and that is nobody's fault: look again in `after_s` seconds.

    It costs no attempt; `reason` is shown to operators. At most `LONGEST_WAIT_S` seconds.
    """

    def __init__(self, reason: str, *, after_s: float) -> None:
        assert after_s <= LONGEST_WAIT_S, after_s
        super().__init__(reason)
        self.reason = reason
        self.after_s = after_s


class GiveUp(Exception):
    """No further attempt can help: the job fails at once, with this as its last error."""

"""Which function does a family's work.

A handler is a generator function: `(subject, cursor, context) -> Iterator[Step]`. It may run twice,
also at once, or stop after any step; it resumes from the cursor of the last saved step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from jobs.catalogue import Family
from jobs.step import Step
from workers.context import Context

Handler = Callable[[str, Any, Context], Iterator[Step]]

HANDLERS: dict[str, Handler] = {}


def handles(family: Family) -> Callable[[Handler], Handler]:
    """Declare the decorated generator function as the work of `family`."""

    def register(handler: Handler) -> Handler:
        assert family.name not in HANDLERS, family.name
        HANDLERS[family.name] = handler
        return handler

    return register

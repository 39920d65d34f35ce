"""When each version of a key ceased to be the newest. Pure.

The journal says what came and what went; `superseded_at` follows from their order. Only where a
version went that had others below it does this need the whole story of the key; the SQL of rebuild
does the plain cases.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Came:
    """A version was made, or was there when the snapshot was taken (`known`)."""

    id: UUID
    is_null: bool
    last_modified: datetime
    superseded_at: datetime | None
    known: bool


@dataclass(frozen=True, slots=True)
class Went:
    """A version was removed for good."""

    id: UUID


def superseded(story: Iterable[Came | Went]) -> dict[UUID, datetime | None]:
    """For every version still there: when it ceased to be the newest, None for the newest.

    The story of one key, in the order of seq.
    """
    below: list[Came] = []
    since: dict[UUID, datetime | None] = {}
    gone: set[UUID] = set()

    def newest() -> Came | None:
        while below and below[-1].id in gone:
            below.pop()
        return below[-1] if below else None

    for event in story:
        top = newest()
        if isinstance(event, Went):
            gone.add(event.id)
            if top is not None and top.id == event.id and (risen := newest()) is not None:
                since[risen.id] = None
            continue
        if event.known:
            since[event.id] = event.superseded_at
        else:
            if event.is_null:
                gone.update(each.id for each in below if each.is_null)
            if top is not None and top.id not in gone:
                since[top.id] = event.last_modified
            since[event.id] = None
        below.append(event)
    return {each.id: since[each.id] for each in below if each.id not in gone}

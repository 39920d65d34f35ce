"""What of a version's bytes is known to be on stable storage: the weakest of its segments.

Promise: it claims only what is recorded. An acknowledged copy the owner has not written down yet
counts as the two that every acknowledgement needs.
"""

from __future__ import annotations

from collections.abc import Sequence

from objects.found import Found, Place
from storage_nodes.policy import policy


def of(found: Found) -> str:
    """`replicated-2`, `replicated-3`, `coded-N` (N: shards present); `metadata` without bytes."""
    return of_places([] if found.version is None else found.version.places)


def of_places(places: Sequence[Place]) -> str:
    """The same for extents that make one body."""
    if not places:
        return "metadata"
    place = places[0] if len(places) == 1 else min(places, key=_losses_survived)
    return f"{place.located.layout}-{_present(place)}"


def _losses_survived(place: Place) -> int:
    needed = policy(place.located.policy).needed if place.located.layout == "coded" else 1
    return _present(place) - needed


def _present(place: Place) -> int:
    located = place.located
    lost = place.lost or ()
    if located.layout == "coded":
        if not lost and 0 not in located.drives:
            return len(located.drives)
        return sum(1 for index, drive in enumerate(located.drives) if drive and index not in lost)
    end = located.offset + (located.record_size or located.length)
    recorded = 0
    for index, length in enumerate(located.confirmed or ()):
        if length >= end and located.drives[index] and index not in lost:
            recorded += 1
    return recorded if lost else max(recorded, policy(located.policy).copies_fast)

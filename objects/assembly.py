"""Is this list of parts an object? Pure.

Here: the judgement of a Complete's list against the parts that were sent, ETag and checksum of the
whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol
from uuid import UUID

from core import checksums
from core.errors import BadDigest, EntityTooLarge, EntityTooSmall, InvalidPart, InvalidPartOrder
from objects.queries import Part, Upload

MAX_OBJECT_BYTES = 5 << 40


class ListedPart(Protocol):
    """One part as a Complete names it. `checksums`: algorithm to value, of those it gives."""

    @property
    def number(self) -> int: ...

    @property
    def etag(self) -> str: ...

    @property
    def checksums(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class Assembled:
    """What the listed parts make."""

    size: int
    etag: str
    checksum: dict[str, str] | None
    parts: list[tuple[int, int, str | None]]  # number, size, checksum
    part_ids: list[UUID]
    listed: list[list[int | str]]


def listed(parts: Sequence[ListedPart]) -> list[list[int | str]]:
    """The list in the form that is kept to recognise a retry."""
    return [[part.number, part.etag] for part in parts]


def assemble(
    upload: Upload, parts: Sequence[ListedPart], sent: Mapping[int, Part], *, part_min_bytes: int
) -> Assembled:
    """The object the list makes of what was sent; raises what is wrong with the list."""
    for one, following in pairwise(parts):
        if following.number <= one.number:
            raise InvalidPartOrder(upload_id=upload.upload_id)
    chosen = [_matching(upload, part, sent.get(part.number)) for part in parts]
    for part in chosen[:-1]:
        if part.size < part_min_bytes:
            raise EntityTooSmall(
                proposed_size=part.size,
                min_size_allowed=part_min_bytes,
                part_number=part.number,
                e_tag=part.etag,
            )
    size = sum(part.size for part in chosen)
    if size > MAX_OBJECT_BYTES:
        raise EntityTooLarge(proposed_size=size, max_size_allowed=MAX_OBJECT_BYTES)
    algorithm = _algorithm(upload, chosen)
    return Assembled(
        size=size,
        etag=checksums.multipart_etag([part.etag for part in chosen]),
        checksum=_checksum(upload, chosen, algorithm),
        parts=[
            (part.number, part.size, part.checksums.get(algorithm) if algorithm else None)
            for part in chosen
        ],
        part_ids=[part.id for part in chosen],
        listed=listed(parts),
    )


def check_whole(assembled: Assembled, algorithm: str, value: str | None) -> None:
    """Whether the whole object's checksum is what the client says."""
    kept = assembled.checksum
    if kept is None or kept["algorithm"] != algorithm or value not in _spellings(kept["value"]):
        raise BadDigest(f"The {algorithm} you specified did not match the calculated checksum.")


def _spellings(value: str) -> tuple[str, str]:
    """A composite checksum may be given with or without its count of parts."""
    return value, value.partition("-")[0]


def _matching(upload: Upload, part: ListedPart, sent: Part | None) -> Part:
    wanted = part.etag.strip().strip('"')
    if (
        sent is None
        or sent.etag != wanted
        or any(
            sent.checksums.get(algorithm) != value for algorithm, value in part.checksums.items()
        )
    ):
        raise InvalidPart(upload_id=upload.upload_id, part_number=part.number, e_tag=wanted)
    return sent


def _algorithm(upload: Upload, chosen: Sequence[Part]) -> str | None:
    """The algorithm all parts have in common; nobody may have declared one."""
    if upload.checksum_algorithm is not None:
        return upload.checksum_algorithm
    shared = set(chosen[0].checksums).intersection(*(part.checksums for part in chosen))
    return next(iter(sorted(shared)), None)


def _checksum(
    upload: Upload, chosen: Sequence[Part], algorithm: str | None
) -> dict[str, str] | None:
    if algorithm is None:
        return None
    raw = [checksums.decode(algorithm, part.checksums[algorithm]) for part in chosen]
    kind = upload.checksum_type
    if kind is None:
        kind = "FULL_OBJECT" if algorithm in checksums.CRCS else "COMPOSITE"
    if kind == "COMPOSITE":
        value = checksums.composite(algorithm, raw)
    else:
        sizes = (part.size for part in chosen)
        value = checksums.encode(checksums.combine(algorithm, zip(raw, sizes, strict=True)))
    return {"algorithm": algorithm, "type": kind, "value": value}

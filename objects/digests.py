"""Digests of a body, and whether they are what the client claimed.

Here: which digests a body needs, in which thread they are computed, the order in which wrong claims
are told. Not here: where the bytes come from or go (intake, copy).
"""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import Executor

from core import checksums
from core.checksums import Hasher
from core.errors import BadDigest, XAmzContentSHA256Mismatch
from objects.draft import Draft

# A thread's turn costs about as long as hashing 30 KiB: pieces are gathered to this before it.
_GATHERED = 512 << 10
# From so many bodies at once on, cores are busy anyway: one turn for all digests of a body.
_CROWD = 4


class Hashing:
    """The digests of one body, fed piece by piece.

    The CRCs take microseconds per MiB and run where they are fed. MD5 and the SHAs run in threads,
    at most one load behind; each in its own while few bodies are under way.
    """

    __slots__ = (
        "_algorithm",
        "_crc",
        "_gathered",
        "_loop",
        "_pending",
        "_size",
        "_slow",
        "_threads",
    )
    _busy = 0  # loads in threads now, of all bodies of the process

    def __init__(self, draft: Draft, threads: Executor) -> None:
        self._algorithm = _algorithm_of(draft)
        self._slow: dict[str, Hasher] = {"MD5": checksums.hasher("MD5")}
        if draft.sha256 is not None:
            self._slow["SHA256"] = checksums.hasher("SHA256")
        self._crc: Hasher | None = None
        if self._algorithm in checksums.CRCS:
            self._crc = checksums.hasher(self._algorithm)
        elif self._algorithm not in self._slow:
            self._slow[self._algorithm] = checksums.hasher(self._algorithm)
        self._threads = threads
        self._loop = asyncio.get_running_loop()
        self._gathered: list[bytes] = []
        self._size = 0
        self._pending: list[asyncio.Future[None]] = []

    async def feed(self, piece: bytes) -> None:
        """Take a piece in; the next calls may wait until it has been hashed."""
        if self._crc is not None:
            self._crc.update(piece)
        self._gathered.append(piece)
        self._size += len(piece)
        if self._size >= _GATHERED:
            await self._catch_up()
            self._hand_over()

    async def verify(self, draft: Draft, trailer: dict[str, str]) -> tuple[str, dict[str, str]]:
        """The ETag and the checksum to keep, once every claim was found true."""
        await self._catch_up()
        if self._size >= 16384:
            self._hand_over()
            await self._catch_up()
        else:
            _update(tuple(self._slow.values()), self._gathered)
        md5 = self._slow["MD5"].digest()
        if draft.sha256 is not None:
            _check_sha256(draft.sha256, self._slow["SHA256"].digest().hex())
        raw = (self._crc or self._slow[self._algorithm]).digest()
        return _check_rest(draft, trailer, md5, self._algorithm, raw)

    def _hand_over(self) -> None:
        """Give what has gathered to threads."""
        load, self._gathered, self._size = self._gathered, [], 0
        slow = tuple(self._slow.values())
        turns = [slow] if Hashing._busy >= _CROWD else [(one,) for one in slow]
        Hashing._busy += 1
        run = self._loop.run_in_executor
        self._pending = [run(self._threads, _update, turn, load) for turn in turns]
        self._pending[-1].add_done_callback(_one_less)

    async def _catch_up(self) -> None:
        pending, self._pending = self._pending, []
        for one in pending:
            await one


def _update(hashers: tuple[Hasher, ...], load: list[bytes]) -> None:
    for hasher in hashers:
        for piece in load:
            hasher.update(piece)


def _one_less(done: asyncio.Future[None]) -> None:
    Hashing._busy -= 1


def verify_small(
    content: bytes, draft: Draft, trailer: dict[str, str]
) -> tuple[str, dict[str, str]]:
    """The same for a body in memory that is too small to be worth a thread."""
    if draft.sha256 is not None:
        _check_sha256(draft.sha256, hashlib.sha256(content).hexdigest())
    md5 = hashlib.md5(content, usedforsecurity=False).digest()
    algorithm = _algorithm_of(draft)
    return _check_rest(draft, trailer, md5, algorithm, checksums.digest(algorithm, content))


def _algorithm_of(draft: Draft) -> str:
    if draft.checksum is not None:
        return draft.checksum.algorithm
    return draft.algorithm or checksums.DEFAULT


def _check_sha256(claimed: str, found: str) -> None:
    if found != claimed.lower():
        raise XAmzContentSHA256Mismatch(
            ClientComputedContentSHA256=claimed, S3ComputedContentSHA256=found
        )


def _check_rest(
    draft: Draft, trailer: dict[str, str], md5: bytes, algorithm: str, raw: bytes
) -> tuple[str, dict[str, str]]:
    if draft.content_md5 is not None and draft.content_md5 != md5:
        raise BadDigest(
            expected_digest=checksums.encode(draft.content_md5),
            calculated_digest=checksums.encode(md5),
        )
    value = checksums.encode(raw)
    if draft.checksum is not None:
        claimed = draft.checksum.value
        if claimed is None:
            claimed = trailer.get(checksums.HEADER_PREFIX + algorithm.lower(), "")
            checksums.decode(algorithm, claimed)
        if claimed != value:
            raise BadDigest(f"The {algorithm} you specified did not match what we received.")
    return md5.hex(), {"algorithm": algorithm, "type": "FULL_OBJECT", "value": value}

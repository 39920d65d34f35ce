"""Concurrent clients over few keys of one versioned bucket, and what their history must be.

Here: the clients, which write values no other write has; the judgement of what they saw: each key
a linearizable register, and its versions in the order in which writes followed each other. Not
here: the rule itself (linearizability), what is killed meanwhile.

A put's value is its body's hash, a delete's the id of the marker it left: both unlike any other. A
delete that got no answer left a marker of unknown id; a marker somebody read is that of such a
delete, begun before the read ended.
"""

from __future__ import annotations

import asyncio
import random
import re
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from benchmarks.client import Access, Answer, Connection, Fault, Signer
from tests.support import faults, ledger
from tests.support.ledger import ABSENT, Entry, Ledger, Outcome
from tests.support.linearizability import operations, violation
from tests.support.load import ANSWER_WITHIN_S, content, hash_of
from tests.support.local_store import LocalStore, wait_for

Found = TypeVar("Found")

BUCKET = "histories"
ENABLED = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
PAUSE_S = 0.1
# How often a machine too slow just now is asked again.
ATTEMPTS = 600
MARKER = "marker "
UNNAMED = "unnamed "
SIZES = (40, 1000, 4000, 40_000)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How many clients, keys and operations; `large_bytes` reaches the store's `inline_from`."""

    clients: int = 8
    keys: int = 4
    operations: int = 1500
    kills: int = 4
    large_bytes: int = 600_000
    seed: int = 1


class Clients:
    """Runs until enough operations have succeeded."""

    def __init__(self, access: Access, record: Ledger, plan: Plan) -> None:
        self.counts: Counter[str] = Counter()
        self._signer = Signer(access)
        self._ledger = record
        self._plan = plan
        self._numbers = iter(range(1 << 40))
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def start(self) -> None:
        asyncio.run(self._make_bucket())
        self._thread = threading.Thread(target=self._run, name="clients", daemon=True)
        self._thread.start()

    def done(self) -> int:
        """How many operations had an answer; raises what stopped the clients."""
        if self._failure is not None:
            raise AssertionError(f"the clients stopped: {self._failure!r}") from self._failure
        return self.counts["ok"]

    def finish(self) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join(2 * ANSWER_WITHIN_S)
        assert not self._thread.is_alive()
        self.done()

    def _run(self) -> None:
        async def everything() -> None:
            await asyncio.gather(*(self._client(n) for n in range(self._plan.clients)))

        try:
            asyncio.run(everything())
        except BaseException as why:
            self._failure = why

    async def _client(self, index: int) -> None:
        chance = random.Random(f"{self._plan.seed}:{index}")
        connection = Connection(self._signer.host, self._signer.port)
        while not self._stop.is_set():
            key = f"key-{chance.randrange(self._plan.keys)}"
            kind = chance.choices(("put", "get", "delete"), (4, 6, 1))[0]
            outcome = await {"put": self._put, "get": self._get, "delete": self._delete}[kind](
                connection, key, chance
            )
            self.counts[outcome] += 1
            if outcome != "ok":
                await asyncio.sleep(PAUSE_S)
        connection.close()

    async def _put(self, connection: Connection, key: str, chance: random.Random) -> Outcome:
        size = self._plan.large_bytes if chance.random() < 0.03 else chance.choice(SIZES)
        body = content(self._plan.seed, next(self._numbers), size)
        number = self._ledger.begin("put", key, hash_of(body))
        answer = await self._send(connection, "PUT", key, body)
        outcome = outcome_of(answer)
        version = answer.headers["x-amz-version-id"] if outcome == "ok" else None
        self._ledger.end(number, outcome, version=version)
        return outcome

    async def _delete(self, connection: Connection, key: str, _: random.Random) -> Outcome:
        number = self._ledger.begin("delete", key, f"{UNNAMED}{next(self._numbers)}")
        answer = await self._send(connection, "DELETE", key)
        outcome = outcome_of(answer)
        version = answer.headers["x-amz-version-id"] if outcome == "ok" else None
        value = f"{MARKER}{version}" if version else None
        self._ledger.end(number, outcome, version=version, value=value)
        return outcome

    async def _get(self, connection: Connection, key: str, _: random.Random) -> Outcome:
        number = self._ledger.begin("get", key, "")
        answer = await self._send(connection, "GET", key)
        value = value_of(answer)
        outcome: Outcome = "ok" if value is not None else "unknown"
        self._ledger.end(number, outcome, value=value)
        return outcome

    async def _send(
        self, connection: Connection, method: str, key: str, body: bytes = b""
    ) -> Answer:
        """The answer; status 0 when there was none, 1 when nothing had been sent."""
        length = len(body) if method == "PUT" else None
        head = self._signer.head(method, f"/{BUCKET}/{key}", sha256=hash_of(body), length=length)
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await connection.ask(head, [body] if body else [])
        except ConnectionRefusedError:
            return Answer(1, {}, b"")
        except (Fault, OSError, TimeoutError, ValueError):
            return Answer(0, {}, b"")

    async def _make_bucket(self) -> None:
        connection = Connection(self._signer.host, self._signer.port)
        for query, body in (((), b""), ((("versioning", ""),), ENABLED)):
            head = self._signer.head(
                "PUT", f"/{BUCKET}", query=query, sha256=hash_of(body), length=len(body)
            )
            for _ in range(ATTEMPTS):
                answer = await connection.ask(head, [body] if body else [])
                if answer.status != 503:
                    break
                await asyncio.sleep(PAUSE_S)
            assert answer.status == 200, answer.body
        connection.close()


def outcome_of(answer: Answer) -> Outcome:
    """A definite refusal never happens later; what has no answer may."""
    if answer.status == 1 or 400 <= answer.status < 500:
        return "refused"
    return "ok" if 200 <= answer.status < 300 else "unknown"


def value_of(answer: Answer) -> str | None:
    """The value a read saw; None when it saw none."""
    if answer.status == 200:
        return hash_of(answer.body)
    if answer.status != 404:
        return None
    marker = answer.headers.get("x-amz-version-id")
    return f"{MARKER}{marker}" if marker else ABSENT


def run_and_judge(store: LocalStore, folder: Path, plan: Plan) -> list[str]:
    """Clients at work while gateways are killed; what was wrong with their history."""
    chance = random.Random(plan.seed)
    record = Ledger(folder / "ledger")
    clients = Clients(store.access, record, plan)
    clients.start()
    for turn in range(plan.kills + 1):
        enough = plan.operations * (turn + 1) // (plan.kills + 1)
        _wait(lambda enough=enough: clients.done() >= enough, clients, store)
        if turn < plan.kills:
            faults.kill([chance.choice(_wait(lambda: gateways(store), clients, store))])
    clients.finish()
    record.close()
    store.wait_until_ready()
    entries = list(ledger.read(folder / "ledger"))
    versions = asyncio.run(list_versions(store.access))
    return [*violations(entries), *disorder(entries, versions)]


def gateways(store: LocalStore) -> list[int]:
    return faults.pids(store.home, "gateway")


def _wait(question: Callable[[], Found], clients: Clients, store: LocalStore) -> Found:
    def answer() -> Found:
        clients.done()
        return question()

    return wait_for(
        answer,
        "the clients to get on",
        within_s=300,
        tail=lambda: f"{clients.counts}\n{store.log_tail()}",
    )


def violations(entries: Iterable[Entry]) -> list[str]:
    """Keys that were no linearizable register."""
    named = name_markers(entries)
    found = {key: violation(history) for key, history in operations(named).items()}
    return [f"{key}: {why}" for key, why in found.items() if why is not None]


def name_markers(entries: Iterable[Entry]) -> list[Entry]:
    """Give deletes of unknown outcome the markers that were read and that no other delete left.

    The earliest-begun delete takes the earliest-read marker: if any assignment explains all
    markers, this one does.
    """
    entries = list(entries)
    known = {entry.value for entry in entries if entry.kind == "delete"}
    first_read: dict[str, dict[str, int]] = defaultdict(dict)
    for entry in entries:
        strange = entry.value.startswith(MARKER) and entry.value not in known
        if entry.kind == "get" and entry.outcome == "ok" and strange:
            ends = first_read[entry.key]
            ends[entry.value] = min(ends.get(entry.value, entry.end), entry.end)
    named: dict[int, str] = {}
    for key, ends in first_read.items():
        unnamed = sorted(
            (e for e in entries if e.key == key and e.value.startswith(UNNAMED)),
            key=lambda entry: entry.start,
        )
        unnamed = [entry for entry in unnamed if entry.outcome == "unknown"]
        for (marker, end), entry in zip(
            sorted(ends.items(), key=lambda pair: pair[1]), unnamed, strict=False
        ):
            if entry.start < end:
                named[entry.number] = marker
    return [replace(e, value=named.get(e.number, e.value)) for e in entries]


def disorder(entries: Iterable[Entry], versions: dict[str, list[str]]) -> list[str]:
    """Acknowledged versions that are not there, or not in the order of their writes.

    `versions` holds each key's ids, newest first.
    """
    found = []
    written: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.kind != "get" and entry.outcome == "ok":
            written[entry.key].append(entry)
    for key, acknowledged in written.items():
        place = {wire_id: at for at, wire_id in enumerate(reversed(versions.get(key, [])))}
        missing = [e.version for e in acknowledged if e.version not in place]
        found += [f"{key}: {wire_id} was acknowledged and is not listed" for wire_id in missing]
        there = [e for e in acknowledged if e.version in place]
        found += _out_of_order(key, there, place)
    return found


def _out_of_order(key: str, entries: Sequence[Entry], place: dict[str, int]) -> list[str]:
    """Writes that come before one which had ended when they began."""
    found = []
    by_end = sorted(entries, key=lambda entry: entry.end)
    ended, newest = 0, -1
    for entry in sorted(entries, key=lambda entry: entry.start):
        while ended < len(by_end) and by_end[ended].end < entry.start:
            newest = max(newest, place[str(by_end[ended].version)])
            ended += 1
        if place[str(entry.version)] < newest:
            found.append(f"{key}: {entry.version} lies below a version that was there before it")
    return found


async def list_versions(access: Access) -> dict[str, list[str]]:
    """Ids of all versions and markers of each key, newest first."""
    signer = Signer(access)
    connection = Connection(signer.host, signer.port)
    found: dict[str, list[str]] = defaultdict(list)
    query = [("versions", "")]
    while True:
        answer = await connection.ask(signer.head("GET", f"/{BUCKET}", query=query))
        assert answer.status == 200, answer.body
        rows = re.findall(rb"<Key>([^<]+)</Key>\s*<VersionId>([^<]+)</VersionId>", answer.body)
        for key, wire_id in rows:
            found[key.decode()].append(wire_id.decode())
        key = re.search(rb"<NextKeyMarker>([^<]+)<", answer.body)
        wire = re.search(rb"<NextVersionIdMarker>([^<]+)<", answer.body)
        if key is None or wire is None:
            connection.close()
            return found
        query = [
            ("versions", ""),
            ("key-marker", key[1].decode()),
            ("version-id-marker", wire[1].decode()),
        ]

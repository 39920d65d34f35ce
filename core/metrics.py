"""The one table of metrics, and counters cheap enough for the hot path.

Here: every metric's name, kind, labels and meaning; counting; writing this process's numbers down;
summing those of all processes into the text Prometheus reads. Not here: the port that serves it
(objstore_site).

A process counts in plain dictionaries and writes them to `$home/run/metrics/NAME-PID-….json` now
and then. It holds a lock beside that file for as long as it lives: process ids mean nothing to
another container. Counters of processes that ended are folded into `retired.json`, so that sums
never fall. Gauges are summed over living processes; those of the store as a whole are the word of
whoever measured last, and nobody's when that is more than `FRESH_S` ago.
"""

# ruff: noqa: E501  one line per entry, whatever its length

from __future__ import annotations

import fcntl
import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

import orjson

from core import clock

Labels = tuple[str, ...]
Numbers = dict[str, dict[Labels, Any]]

COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"
# A gauge that every process would measure alike: not to be summed.
STATE = "state"
FRESH_S = 60.0
_ALIVE, _RETIRED = ".alive", "retired.json"
# Seconds; wide at the top for large bodies.
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)


class Metric:
    """One line of the table. `values` maps label values to a number (or bucket counts and a sum).

    What has no labels, or the one label of `known` values, is shown as 0 before it is counted:
    Prometheus takes a series that begins at 1 for one that never rose.
    """

    __slots__ = ("doc", "kind", "known", "labels", "name", "values")

    def __init__(
        self, name: str, kind: str, doc: str, *labels: str, known: tuple[str, ...] = ()
    ) -> None:
        assert name not in table, name
        assert not known or len(labels) == 1, name
        self.name = name
        self.kind = kind
        self.doc = doc
        self.labels = labels
        self.known: list[Labels] = [(value,) for value in known] if labels else [()]
        self.values: dict[Labels, Any] = {}
        table[name] = self

    def add(self, labels: Labels = (), by: float = 1) -> None:
        values = self.values
        values[labels] = values.get(labels, 0) + by

    def set(self, value: float, labels: Labels = ()) -> None:
        self.values[labels] = value

    def observe(self, seconds: float, labels: Labels = ()) -> None:
        row = self.values.get(labels)
        if row is None:
            row = self.values[labels] = [0] * (len(BOUNDS) + 1) + [0.0]
        row[bisect_left(BOUNDS, seconds)] += 1
        row[-1] += seconds

    def value(self, labels: Labels = ()) -> Any:
        return self.values.get(labels, 0)


table: dict[str, Metric] = {}
CACHES = ("access_keys", "buckets")

# fmt: off
requests = Metric("s3_requests_total", COUNTER, "Requests answered or broken off.", "method", "operation", "status")
duration = Metric("s3_request_duration_seconds", HISTOGRAM, "Time from request head to last byte.", "method", "operation")
in_flight = Metric("s3_requests_in_flight", GAUGE, "Requests being served.")
put_objects = Metric("s3_put_object_total", COUNTER, "PutObject requests that succeeded.")
get_objects = Metric("s3_get_object_total", COUNTER, "GetObject requests that succeeded.")
delete_objects = Metric("s3_delete_object_total", COUNTER, "DeleteObject requests that succeeded.")
head_objects = Metric("s3_head_object_total", COUNTER, "HeadObject requests that succeeded.")
list_objects = Metric("s3_list_objects_total", COUNTER, "Listings of objects or versions answered.")
objects_stored = Metric("s3_objects_stored_total", STATE, "Objects stored, as last folded; the 1000 largest buckets.", "bucket")
bytes_stored = Metric("s3_bytes_stored_total", STATE, "Bytes stored, as last folded; the 1000 largest buckets.", "bucket")
upload_bytes = Metric("s3_upload_bytes_total", COUNTER, "Bytes of request bodies.")
download_bytes = Metric("s3_download_bytes_total", COUNTER, "Bytes of response bodies.")
auth_success = Metric("s3_auth_success_total", COUNTER, "Requests authenticated.")
auth_failure = Metric("s3_auth_failure_total", COUNTER, "Requests whose authentication failed.")
cache_hits = Metric("s3_cache_hits_total", COUNTER, "Answers a cache had, at the current revision.", "cache_type", known=CACHES)
cache_misses = Metric("s3_cache_misses_total", COUNTER, "Answers a cache did not have, or an older revision of.", "cache_type", known=CACHES)
cache_size = Metric("s3_cache_size_bytes", GAUGE, "Bytes a cache holds, about.", "cache_type")
errors = Metric("s3_errors_total", COUNTER, "Errors answered.", "error_type", "operation")
coalesced = Metric("s3_coalesced_requests_total", COUNTER, "Reads of bytes not at hand served by another request's read.")
rate_accepted = Metric("s3_rate_limit_accepted_total", COUNTER, "Requests admitted under the in-flight limit.")
rate_rejected = Metric("s3_rate_limit_rejected_total", COUNTER, "Requests refused to keep the load bearable.")
commit_batches = Metric("objstore_commit_batches_total", COUNTER, "Commit transactions whose answer came.")
commit_rows = Metric("objstore_commit_rows_total", COUNTER, "Changes judged in them, each of one key or upload.")
commit_unknown = Metric("objstore_commit_unknown_total", COUNTER, "Changes whose commit was not answered and had to be looked up.")
lookup_batches = Metric("objstore_lookup_batches_total", COUNTER, "Look-up queries sent.")
lookup_rows = Metric("objstore_lookup_rows_total", COUNTER, "Questions asked in them.")
segments_sealed = Metric("objstore_segments_sealed_total", COUNTER, "Pack segments sealed, empty ones too.", "why", known=("full", "due", "copies", "stop", "lease"))
copies_closed = Metric("objstore_copies_closed_total", COUNTER, "Copies of open pack segments given up.", "why", known=("failed", "slow"))
shards_noticed = Metric("objstore_shards_noticed_total", COUNTER, "Times a read found a shard missing or corrupt.", "why", known=("missing", "corrupt"))
hedged_reads = Metric("objstore_hedged_reads_total", COUNTER, "Times a read asked another shard because one was slow.")
decoded_reads = Metric("objstore_decoded_reads_total", COUNTER, "Pieces of a stripe that reads had to decode.")
jobs_done = Metric("objstore_jobs_finished_total", COUNTER, "Runs of jobs, by how they ended.", "family", "outcome")
jobs_waiting = Metric("objstore_jobs", STATE, "Job rows.", "family", "state")
drives = Metric("objstore_drives", STATE, "Drives.", "state")
drive_size = Metric("objstore_drive_size_bytes", STATE, "Size of a drive that is not removed.", "drive")
drive_free = Metric("objstore_drive_free_bytes", STATE, "Free bytes of a drive that is not removed.", "drive")
encode_lag = Metric("objstore_encode_lag_seconds", STATE, "Age of the oldest sealed segment not yet coded.")
journal_lag = Metric("objstore_journal_lag_seconds", STATE, "Age of the oldest change not yet copied to drives.")
# fmt: on


def snapshot() -> dict[str, list[Any]]:
    """This process's numbers, ready for JSON."""
    return {
        # A copy: another thread may count something new meanwhile.
        metric.name: [[list(labels), value] for labels, value in metric.values.copy().items()]
        for metric in table.values()
        if metric.values
    }


def write(directory: Path, process: str) -> None:
    """Write this process's numbers down; readers see the old file or the new one."""
    target = _own_file(directory, process)
    draft = target.with_suffix(".draft")
    draft.write_bytes(orjson.dumps(snapshot()))
    draft.replace(target)


def exposition(directory: Path) -> str:
    """The sum over all processes, in Prometheus' text format."""
    sums = _sums(directory)
    lines: list[str] = []
    for metric in table.values():
        lines.append(f"# HELP {metric.name} {metric.doc}")
        lines.append(f"# TYPE {metric.name} {GAUGE if metric.kind == STATE else metric.kind}")
        rows = sums.get(metric.name, {})
        if metric.kind in (COUNTER, GAUGE):
            rows = dict.fromkeys(metric.known, 0) | rows
        for labels, value in sorted(rows.items()):
            lines.extend(_lines(metric, labels, value))
    return "\n".join(lines) + "\n"


# Of this process: its file, and the open lock that says it lives.
_own: dict[tuple[Path, str], tuple[int, Path, int]] = {}


def _own_file(directory: Path, process: str) -> Path:
    """Where this process writes; its lock is taken with the first call."""
    known = _own.get((directory, process))
    if known is not None:
        pid, target, lock = known
        if pid == os.getpid() and target.with_suffix(_ALIVE).exists():
            return target
        # Forgotten first: were the new ones not to be had, it would be closed again next time.
        del _own[directory, process]
        if pid == os.getpid():
            os.close(lock)  # somebody took the files away
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / f"{process}-{os.getpid()}-{token_hex(4)}.json"
    with _locked(directory):
        lock = os.open(target.with_suffix(_ALIVE), os.O_CREAT | os.O_RDWR, 0o644)
        fcntl.flock(lock, fcntl.LOCK_EX)
    _own[directory, process] = os.getpid(), target, lock
    return target


def _sums(directory: Path) -> Numbers:
    directory.mkdir(parents=True, exist_ok=True)
    sums: Numbers = {}
    with _locked(directory):
        _retire(directory)
        fresh_since = clock.timestamp() - FRESH_S
        written = [(path.stat().st_mtime, path) for path in directory.glob("*.json")]
        for written_at, path in sorted(written):
            rows, is_fresh = _load(path), written_at >= fresh_since
            _merge(sums, {n: rows[n] for n in rows if is_fresh or _kind(n) != STATE})
    return sums


def _retire(directory: Path) -> None:
    """Fold the counters of processes that ended into one file, then forget theirs."""
    retired = directory / _RETIRED
    ended = [path for path in directory.glob("*.json") if path != retired and not _is_alive(path)]
    if not ended:
        return
    sums: Numbers = {}
    for path in [retired, *ended]:
        rows = _load(path)
        _merge(sums, {n: rows[n] for n in rows if _kind(n) in (COUNTER, HISTOGRAM)})
    kept = {n: [[list(labels), v] for labels, v in rows.items()] for n, rows in sums.items()}
    draft = retired.with_suffix(".draft")
    draft.write_bytes(orjson.dumps(kept))
    draft.replace(retired)
    for path in ended:
        for suffix in (".json", ".draft", _ALIVE):
            path.with_suffix(suffix).unlink(missing_ok=True)


def _merge(sums: Numbers, more: dict[str, list[Any]]) -> None:
    """Add; of what is not to be added up, the later word counts. Later versions may know a metric
    by other labels or bounds, or not at all: such rows are passed over.
    """
    for name, rows in more.items():
        metric = table.get(name)
        if metric is None:
            continue
        if metric.kind == STATE:
            sums.pop(name, None)
        into = sums.setdefault(name, {})
        for labels, value in rows:
            key = tuple(labels)
            if len(key) != len(metric.labels):
                continue
            if metric.kind != HISTOGRAM:
                into[key] = into.get(key, 0) + value
            elif len(value) == len(BOUNDS) + 2:
                old = into.get(key) or [0] * len(value)
                into[key] = [a + b for a, b in zip(old, value, strict=True)]


def _lines(metric: Metric, labels: Labels, value: Any) -> Iterator[str]:
    pairs = list(zip(metric.labels, labels, strict=True))
    if metric.kind != HISTOGRAM:
        yield f"{metric.name}{_braces(pairs)} {value}"
        return
    total = 0
    for bound, count in zip((*BOUNDS, "+Inf"), value[:-1], strict=True):
        total += count
        yield f"{metric.name}_bucket{_braces([*pairs, ('le', str(bound))])} {total}"
    yield f"{metric.name}_sum{_braces(pairs)} {value[-1]}"
    yield f"{metric.name}_count{_braces(pairs)} {total}"


def _braces(pairs: Iterable[tuple[str, str]]) -> str:
    inside = ",".join(f'{name}="{_escape(value)}"' for name, value in pairs)
    return f"{{{inside}}}" if inside else ""


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _load(path: Path) -> dict[str, list[Any]]:
    try:
        loaded: dict[str, list[Any]] = orjson.loads(path.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return {}
    return loaded


def _kind(name: str) -> str:
    return table[name].kind if name in table else ""


def _is_alive(path: Path) -> bool:
    """Is the lock beside this file held?"""
    try:
        fd = os.open(path.with_suffix(_ALIVE), os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    fd = os.open(directory / "lock", os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)

"""The one table of metrics, and counters cheap enough for the hot path.

Here: every metric's name, kind, labels and meaning; counting; writing this process's numbers down;
summing those of all processes into the text Prometheus reads. Not here: the port that serves it
(objstore_site).

A process counts in plain dictionaries and writes them to `$home/run/metrics/NAME-PID.json` every
second. Counters of processes that ended are folded into `retired.json`, so that sums never fall;
gauges are summed over living processes only.
"""

# ruff: noqa: E501  one line per entry, whatever its length

from __future__ import annotations

import fcntl
import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

Labels = tuple[str, ...]

COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"
# Seconds; wide at the top for large bodies.
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)


class Metric:
    """One line of the table. `values` maps label values to a number (or bucket counts and a sum)."""

    __slots__ = ("doc", "kind", "labels", "name", "values")

    def __init__(self, name: str, kind: str, doc: str, *labels: str) -> None:
        assert name not in table, name
        self.name = name
        self.kind = kind
        self.doc = doc
        self.labels = labels
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

# fmt: off
requests = Metric("s3_requests_total", COUNTER, "Requests answered.", "method", "operation", "status")
duration = Metric("s3_request_duration_seconds", HISTOGRAM, "Time from request head to last byte.", "method", "operation")
in_flight = Metric("s3_requests_in_flight", GAUGE, "Requests being served.")
put_objects = Metric("s3_put_object_total", COUNTER, "Objects written by PUT.")
get_objects = Metric("s3_get_object_total", COUNTER, "Objects read by GET.")
delete_objects = Metric("s3_delete_object_total", COUNTER, "Objects deleted.")
head_objects = Metric("s3_head_object_total", COUNTER, "Objects asked for by HEAD.")
list_objects = Metric("s3_list_objects_total", COUNTER, "Listings answered.")
objects_stored = Metric("s3_objects_stored_total", GAUGE, "Objects stored, as last folded.", "bucket")
bytes_stored = Metric("s3_bytes_stored_total", GAUGE, "Bytes stored, as last folded.", "bucket")
upload_bytes = Metric("s3_upload_bytes_total", COUNTER, "Bytes of request bodies.")
download_bytes = Metric("s3_download_bytes_total", COUNTER, "Bytes of response bodies.")
auth_success = Metric("s3_auth_success_total", COUNTER, "Requests authenticated.")
auth_failure = Metric("s3_auth_failure_total", COUNTER, "Requests whose authentication failed.")
cache_hits = Metric("s3_cache_hits_total", COUNTER, "Answers from a cache.", "cache_type")
cache_misses = Metric("s3_cache_misses_total", COUNTER, "Answers a cache did not have.", "cache_type")
cache_size = Metric("s3_cache_size_bytes", GAUGE, "Bytes a cache holds.", "cache_type")
errors = Metric("s3_errors_total", COUNTER, "Errors answered.", "error_type", "operation")
coalesced = Metric("s3_coalesced_requests_total", COUNTER, "Reads served by another request's read.")
rate_accepted = Metric("s3_rate_limit_accepted_total", COUNTER, "Requests admitted.")
rate_rejected = Metric("s3_rate_limit_rejected_total", COUNTER, "Requests refused to keep the load bearable.")
commit_batches = Metric("objstore_commit_batches_total", COUNTER, "Commit transactions.")
commit_rows = Metric("objstore_commit_rows_total", COUNTER, "Rows committed in them.")
commit_unknown = Metric("objstore_commit_unknown_total", COUNTER, "Commits whose answer was lost.")
lookup_batches = Metric("objstore_lookup_batches_total", COUNTER, "Look-up queries sent.")
lookup_rows = Metric("objstore_lookup_rows_total", COUNTER, "Questions asked in them.")
segments_sealed = Metric("objstore_segments_sealed_total", COUNTER, "Pack segments sealed.", "why")
copies_closed = Metric("objstore_copies_closed_total", COUNTER, "Copies of pack segments given up.", "why")
shards_noticed = Metric("objstore_shards_noticed_total", COUNTER, "Shards a read found missing or corrupt.", "why")
hedged_reads = Metric("objstore_hedged_reads_total", COUNTER, "Reads that asked another shard because one was slow.")
decoded_reads = Metric("objstore_decoded_reads_total", COUNTER, "Stripes that had to be decoded.")
jobs_done = Metric("objstore_jobs_finished_total", COUNTER, "Jobs finished.", "family", "outcome")
jobs_waiting = Metric("objstore_jobs", GAUGE, "Job rows.", "family", "state")
drives = Metric("objstore_drives", GAUGE, "Drives.", "state")
drive_free = Metric("objstore_drive_free_bytes", GAUGE, "Free bytes of a drive.", "drive")
encode_lag = Metric("objstore_encode_lag_seconds", GAUGE, "Age of the oldest sealed segment not yet coded.")
journal_lag = Metric("objstore_journal_lag_seconds", GAUGE, "Age of the oldest change not yet copied to drives.")
replication_lag = Metric("objstore_replication_lag_seconds", GAUGE, "Age of the oldest change not yet replicated.")
# fmt: on


def snapshot() -> dict[str, list[Any]]:
    """This process's numbers, ready for JSON."""
    return {
        metric.name: [[list(labels), value] for labels, value in metric.values.items()]
        for metric in table.values()
        if metric.values
    }


def write(directory: Path, process: str) -> None:
    """Write this process's numbers down; readers see the old file or the new one."""
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / f"{process}-{os.getpid()}.json"
    draft = target.with_suffix(".draft")
    draft.write_bytes(orjson.dumps(snapshot()))
    draft.replace(target)


def exposition(directory: Path) -> str:
    """The sum over all processes, in Prometheus' text format."""
    sums = _sums(directory)
    lines: list[str] = []
    for metric in table.values():
        lines.append(f"# HELP {metric.name} {metric.doc}")
        lines.append(f"# TYPE {metric.name} {metric.kind}")
        for labels, value in sorted(sums.get(metric.name, {}).items()):
            lines.extend(_lines(metric, labels, value))
    return "\n".join(lines) + "\n"


def _sums(directory: Path) -> dict[str, dict[Labels, Any]]:
    directory.mkdir(parents=True, exist_ok=True)
    sums: dict[str, dict[Labels, Any]] = {}
    with _locked(directory):
        _retire(directory)
        for path in sorted(directory.glob("*.json")):
            _merge(sums, _load(path))
    return sums


def _retire(directory: Path) -> None:
    """Fold the counters of processes that ended into one file, then forget theirs."""
    ended = [path for path in directory.glob("*-*.json") if not _is_alive(path)]
    if not ended:
        return
    retired = directory / "retired.json"
    sums: dict[str, dict[Labels, Any]] = {}
    _merge(sums, _load(retired))
    for path in ended:
        counters = {n: rows for n, rows in _load(path).items() if _kind(n) != GAUGE}
        _merge(sums, counters)
    kept = {n: [[list(labels), v] for labels, v in rows.items()] for n, rows in sums.items()}
    draft = retired.with_suffix(".draft")
    draft.write_bytes(orjson.dumps(kept))
    draft.replace(retired)
    for path in ended:
        path.unlink(missing_ok=True)


def _merge(sums: dict[str, dict[Labels, Any]], more: dict[str, list[Any]]) -> None:
    for name, rows in more.items():
        into = sums.setdefault(name, {})
        for labels, value in rows:
            key = tuple(labels)
            if isinstance(value, list):
                old = into.get(key) or [0] * len(value)
                into[key] = [a + b for a, b in zip(old, value, strict=True)]
            else:
                into[key] = into.get(key, 0) + value


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
    return table[name].kind if name in table else COUNTER


def _is_alive(path: Path) -> bool:
    pid = path.stem.rpartition("-")[2]
    return not pid.isdigit() or Path(f"/proc/{pid}").exists()


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    fd = os.open(directory / "lock", os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)

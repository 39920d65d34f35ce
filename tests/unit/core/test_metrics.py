"""Counting, and summing over processes."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import orjson
import pytest

from core import clock, metrics
from core.metrics import COUNTER, FRESH_S, GAUGE, HISTOGRAM, STATE, Metric
from tests.support.repository import REPOSITORY

_numbers = count()


def make(kind: str, *labels: str) -> Metric:
    return Metric(f"test_{kind}_{next(_numbers)}", kind, "A test.", *labels)


@pytest.fixture
def clean() -> Iterator[None]:
    before = dict(metrics.table)
    yield
    for name in set(metrics.table) - set(before):
        del metrics.table[name]


pytestmark = pytest.mark.usefixtures("clean")


def leave_behind(directory: Path, numbers: dict[str, list[object]], name: str = "node-1") -> Path:
    """What a process has written down."""
    written = directory / f"{name}.json"
    written.write_bytes(orjson.dumps(numbers))
    return written


@contextmanager
def living(directory: Path, numbers: dict[str, list[object]], name: str) -> Iterator[Path]:
    """A process that has written this down and lives."""
    with (directory / f"{name}.alive").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield leave_behind(directory, numbers, name)


def test_a_counter_is_shown_with_its_labels(tmp_path: Path) -> None:
    metric = make(COUNTER, "method", "status")
    metric.add(("GET", "200"))
    metric.add(("GET", "200"), by=2)
    metrics.write(tmp_path, "gateway")

    assert f'{metric.name}{{method="GET",status="200"}} 3' in metrics.exposition(tmp_path)


def test_a_histogram_counts_up_to_each_bound(tmp_path: Path) -> None:
    metric = make(HISTOGRAM)
    for seconds in (0.0004, 0.003, 0.003, 100.0):
        metric.observe(seconds)
    metrics.write(tmp_path, "gateway")

    shown = metrics.exposition(tmp_path)
    assert f'{metric.name}_bucket{{le="0.0005"}} 1' in shown
    assert f'{metric.name}_bucket{{le="0.005"}} 3' in shown
    assert f'{metric.name}_bucket{{le="+Inf"}} 4' in shown
    assert f"{metric.name}_count 4" in shown


def test_processes_are_summed(tmp_path: Path) -> None:
    metric = make(COUNTER)
    metric.add(by=2)
    metrics.write(tmp_path, "gateway")

    with living(tmp_path, {metric.name: [[[], 5]]}, "node-1"):
        assert f"{metric.name} 7\n" in metrics.exposition(tmp_path)


def test_what_an_ended_process_counted_is_kept(tmp_path: Path) -> None:
    metric = make(COUNTER)
    leave_behind(tmp_path, {metric.name: [[[], 5]]})

    first, second = metrics.exposition(tmp_path), metrics.exposition(tmp_path)

    assert f"{metric.name} 5\n" in first
    assert first == second
    assert [path.name for path in tmp_path.glob("*.json")] == ["retired.json"]


def test_an_ended_process_holds_nothing_any_more(tmp_path: Path) -> None:
    metric = make(GAUGE)
    leave_behind(tmp_path, {metric.name: [[[], 5]]})

    assert f"{metric.name} 5" not in metrics.exposition(tmp_path)


def test_a_process_that_writes_is_not_taken_for_an_ended_one(tmp_path: Path) -> None:
    metric = make(COUNTER)
    for _ in range(3):
        metric.add()
        metrics.write(tmp_path, "gateway")
        metrics.exposition(tmp_path)

    assert f"{metric.name} 3\n" in metrics.exposition(tmp_path)
    assert not (tmp_path / "retired.json").exists()


def test_a_process_in_another_container_with_the_same_id_is_another(tmp_path: Path) -> None:
    metric = make(COUNTER)
    metric.add(by=2)
    metrics.write(tmp_path, "worker")

    with living(tmp_path, {metric.name: [[[], 5]]}, f"worker-{os.getpid()}-0"):
        assert f"{metric.name} 7\n" in metrics.exposition(tmp_path)


def test_a_process_that_was_killed_is_folded_and_its_files_go(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from core import metrics;"
        " metrics.commit_batches.add(by=5); metrics.write(Path(sys.argv[1]), 'gateway');"
        " os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=REPOSITORY)

    assert killed.returncode == -signal.SIGKILL
    assert "objstore_commit_batches_total 5\n" in metrics.exposition(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"retired.json", "lock"}


def test_a_process_whose_files_were_taken_away_writes_them_anew(tmp_path: Path) -> None:
    metric = make(COUNTER)
    metric.add()
    metrics.write(tmp_path, "gateway")
    for path in tmp_path.iterdir():
        path.unlink()
    metrics.write(tmp_path, "gateway")

    metrics.exposition(tmp_path)

    assert f"{metric.name} 1\n" in metrics.exposition(tmp_path)


def test_no_file_of_others_is_closed_while_there_is_no_room_for_ours(tmp_path: Path) -> None:
    directory = tmp_path / "metrics"
    metrics.write(directory, "gateway")
    shutil.rmtree(directory)
    directory.write_text("in the way")
    with pytest.raises(OSError):
        metrics.write(directory, "gateway")

    with (tmp_path / "other").open("w") as other:  # it has the number of what was closed
        with pytest.raises(FileExistsError):
            metrics.write(directory, "gateway")
        os.fstat(other.fileno())


def test_what_is_counted_meanwhile_by_another_thread_stops_no_snapshot() -> None:
    metric = make(COUNTER, "why")

    class Meanwhile(tuple[str, ...]):
        def __iter__(self) -> Iterator[str]:
            metric.add(("another",))
            return super().__iter__()

    metric.add(Meanwhile(("one",)))
    metric.add(("two",))

    assert [labels for labels, _ in metrics.snapshot()[metric.name]] == [["one"], ["two"]]


def test_a_gauge_of_each_process_is_summed(tmp_path: Path) -> None:
    metric = make(GAUGE)
    one, other = {metric.name: [[[], 5]]}, {metric.name: [[[], 7]]}

    with living(tmp_path, one, "gateway-1"), living(tmp_path, other, "gateway-2"):
        assert f"{metric.name} 12\n" in metrics.exposition(tmp_path)


def test_what_every_process_measures_alike_is_the_word_of_the_last(tmp_path: Path) -> None:
    metric = make(STATE, "drive")
    older = {metric.name: [[["1"], 5], [["2"], 6]]}
    newer = {metric.name: [[["1"], 7]]}

    with living(tmp_path, older, "b") as path, living(tmp_path, newer, "a"):
        os.utime(path, (clock.timestamp() - 5,) * 2)
        shown = metrics.exposition(tmp_path)

    assert f"# TYPE {metric.name} gauge\n" in shown
    assert [line for line in shown.splitlines() if line.startswith(f"{metric.name}{{")] == [
        f'{metric.name}{{drive="1"}} 7'
    ]


def test_what_nobody_has_measured_for_long_is_not_shown(tmp_path: Path) -> None:
    state, counter = make(STATE), make(COUNTER)

    with living(tmp_path, {state.name: [[[], 5]], counter.name: [[[], 6]]}, "a") as path:
        os.utime(path, (clock.timestamp() - FRESH_S - 1,) * 2)
        shown = metrics.exposition(tmp_path)

    assert f"{state.name} 5" not in shown
    assert f"{counter.name} 6\n" in shown


def test_what_another_version_counted_otherwise_is_passed_over(tmp_path: Path) -> None:
    counter, histogram = make(COUNTER), make(HISTOGRAM)
    leave_behind(
        tmp_path,
        {
            counter.name: [[["a"], 5], [[], 6]],
            histogram.name: [[[], [1, 2, 3.0]]],
            "of_another_version": [[[], 1]],
        },
    )

    shown = metrics.exposition(tmp_path)

    assert f"{counter.name} 6\n" in shown
    assert f"{histogram.name}_count" not in shown
    assert "of_another_version" not in shown


@pytest.mark.parametrize("kind", [COUNTER, GAUGE])
def test_what_was_not_counted_yet_is_nought(tmp_path: Path, kind: str) -> None:
    plain = make(kind)
    labelled = Metric(f"{plain.name}_why", kind, "A test.", "why", known=("a", "b"))
    labelled.add(("b",))
    metrics.write(tmp_path, "gateway")

    shown = metrics.exposition(tmp_path)

    assert f"{plain.name} 0\n" in shown
    assert f'{labelled.name}{{why="a"}} 0\n{labelled.name}{{why="b"}} 1\n' in shown


def test_what_was_not_measured_is_not_nought(tmp_path: Path) -> None:
    metric = make(STATE)

    assert f"{metric.name} 0" not in metrics.exposition(tmp_path)


def test_label_values_are_escaped(tmp_path: Path) -> None:
    metric = make(COUNTER, "name")
    metric.add(('a"b\\c\nd',))
    metrics.write(tmp_path, "gateway")

    assert f'{metric.name}{{name="a\\"b\\\\c\\nd"}} 1' in metrics.exposition(tmp_path)


def test_every_metric_is_exposed_with_its_meaning(tmp_path: Path) -> None:
    shown = metrics.exposition(tmp_path)

    assert all(f"# HELP {name} " in shown for name in metrics.table)

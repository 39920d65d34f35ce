"""Counting, and summing over processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import orjson
import pytest

from core import metrics
from core.metrics import COUNTER, GAUGE, HISTOGRAM, Metric

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


# No process ever has this id: Linux ends at 2 ** 22.
NOBODY = 99_999_999


def leave_behind(directory: Path, pid: int, numbers: dict[str, list[object]]) -> None:
    (directory / f"node-{pid}.json").write_bytes(orjson.dumps(numbers))


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
    leave_behind(tmp_path, os.getpid(), {metric.name: [[[], 5]]})

    assert f"{metric.name} 7\n" in metrics.exposition(tmp_path)


def test_what_an_ended_process_counted_is_kept(tmp_path: Path) -> None:
    metric = make(COUNTER)
    leave_behind(tmp_path, NOBODY, {metric.name: [[[], 5]]})

    first, second = metrics.exposition(tmp_path), metrics.exposition(tmp_path)

    assert f"{metric.name} 5\n" in first
    assert first == second
    assert [path.name for path in tmp_path.glob("*.json")] == ["retired.json"]


def test_an_ended_process_holds_nothing_any_more(tmp_path: Path) -> None:
    metric = make(GAUGE)
    leave_behind(tmp_path, NOBODY, {metric.name: [[[], 5]]})

    assert f"{metric.name} 5" not in metrics.exposition(tmp_path)


def test_label_values_are_escaped(tmp_path: Path) -> None:
    metric = make(COUNTER, "name")
    metric.add(('a"b\\c\nd',))
    metrics.write(tmp_path, "gateway")

    assert f'{metric.name}{{name="a\\"b\\\\c\\nd"}} 1' in metrics.exposition(tmp_path)


def test_every_metric_is_exposed_with_its_meaning(tmp_path: Path) -> None:
    shown = metrics.exposition(tmp_path)

    assert all(f"# HELP {name} " in shown for name in metrics.table)

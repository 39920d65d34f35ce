"""The table of metrics keeps its promises: all in it is counted, and documents tell the truth."""

from __future__ import annotations

import ast
import re

import yaml

from core import metrics
from core.metrics import GAUGE, HISTOGRAM, STATE, Metric
from tests.support.repository import REPOSITORY, modules

MONITORING = REPOSITORY / "docs" / "monitoring.md"
RULES = REPOSITORY / "deploy" / "prometheus" / "objstore.rules.yml"
# Module names that look alike are not meant.
NAME = re.compile(r"\b(?:s3|objstore)_(?!site\b|compatibility\b)[a-z0-9_]+\b")
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*) \|$", re.MULTILINE)


def _entries() -> dict[str, Metric]:
    """The table's metrics by the name code knows them by."""
    return {name: value for name, value in vars(metrics).items() if isinstance(value, Metric)}


def _used() -> set[str]:
    """Every NAME of a `metrics.NAME` in the packages."""
    return {
        node.attr
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(), str(path)))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "metrics"
    }


def test_every_metric_is_counted_somewhere() -> None:
    assert sorted(_entries().keys() - _used()) == []


def test_every_metric_of_the_table_has_a_name_in_code() -> None:
    assert {metric.name for metric in _entries().values()} == set(metrics.table)


def test_the_document_tells_of_every_known_label() -> None:
    labels = [line for line in MONITORING.read_text().splitlines() if line.startswith("| `")]
    known = {
        (metric.labels[0], value)
        for metric in metrics.table.values()
        if metric.labels
        for (value,) in metric.known
    }

    assert [
        pair
        for pair in sorted(known)
        if not any(line.startswith(f"| `{pair[0]}`") and f"`{pair[1]}`" in line for line in labels)
    ] == []


def test_the_document_lists_the_table() -> None:
    listed = [
        (name, kind, re.sub(r"[`\s]", "", labels), text)
        for name, kind, labels, text in ROW.findall(MONITORING.read_text())
    ]

    assert listed == [
        (
            metric.name,
            GAUGE if metric.kind == STATE else metric.kind,
            ",".join(metric.labels),
            metric.doc,
        )
        for metric in metrics.table.values()
    ]


def test_every_metric_named_by_documents_and_examples_exists() -> None:
    shown = set(metrics.table)
    for name, metric in metrics.table.items():
        if metric.kind == HISTOGRAM:
            shown |= {f"{name}_{part}" for part in ("bucket", "sum", "count")}
    texts = [
        path
        for folder in ("docs", "deploy")
        for path in sorted((REPOSITORY / folder).rglob("*"))
        if path.is_file()
    ]

    unknown = [
        f"{path.relative_to(REPOSITORY)}: {name}"
        for path in [REPOSITORY / "README.md", *texts]
        for name in NAME.findall(path.read_text())
        if name not in shown
    ]

    assert unknown == []


def test_every_alert_says_what_it_means() -> None:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]

    assert group["rules"]
    assert [
        rule["alert"]
        for rule in group["rules"]
        if not (rule["expr"] and rule["labels"]["severity"] and rule["annotations"]["summary"])
    ] == []


def test_every_alert_is_in_the_document() -> None:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    told = re.findall(r"^\| (Objstore\w+) \|", MONITORING.read_text(), re.MULTILINE)

    assert told == [rule["alert"] for rule in group["rules"]]

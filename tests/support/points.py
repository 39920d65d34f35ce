"""The failpoints of the whole store, and which of them fire in the same process."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable

import core
import jobs
import objects
import s3
import storage_nodes
import workers
from core import failpoints


def registered() -> dict[str, str]:
    """Every failpoint any process of the store declares: name and crash point."""
    for package in (core, jobs, storage_nodes, objects, s3, workers):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".migrations" not in found.name and not found.name.endswith("__main__"):
                importlib.import_module(found.name)
    return {name: point.point for name, point in failpoints.registry().items()}


def rounds(names: Iterable[str]) -> list[list[str]]:
    """Points that fire in different processes can be armed together."""
    groups: dict[str, list[str]] = {"node": [], "worker": [], "dispatcher": [], "gateway": []}
    for name in sorted(names):
        groups[_process(name)].append(name)
    longest = max(map(len, groups.values()))
    return [[g[turn] for g in groups.values() if turn < len(g)] for turn in range(longest)]


def _process(name: str) -> str:
    head = name.split(".")[0]
    if head in ("node", "dispatcher"):
        return head
    families = (
        "journal",
        "encode",
        "gather",
        "collect",
        "repair",
        "seal",
        "sweep",
        "usage",
        "partitions",
    )
    return "worker" if head in families else "gateway"

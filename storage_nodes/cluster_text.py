"""The status of the cluster as a page for people. Pure: from `cluster.status()` to text."""

from typing import Any

from core.wording import counted
from jobs.command_output import table


def status_page(found: dict[str, Any]) -> str:
    """The promise first, then what it rests on, then who keeps it."""
    lines = [
        f"Cluster {found['cluster']}",
        "",
        *_promise(found),
        *_contents(found),
    ]
    for title, rows in (
        ("Losses survived, by policy", _policies(found)),
        ("Zones", [_readable(zone) for zone in found["zones"]]),
        ("Nodes", found["nodes"]),
        ("Drives", [drive_row(drive) for drive in found["drives"]]),
    ):
        lines += ["", title, table(rows)]
    return "\n".join(lines)


def drive_row(drive: dict[str, Any]) -> dict[str, Any]:
    """One drive's line in a table."""
    return _readable(_without(drive, "uuid"))


def _promise(found: dict[str, Any]) -> list[str]:
    promise = found["tolerance"]
    losses = [
        counted(promise["drives"], "drive"),
        counted(promise["nodes"], "node"),
        counted(promise["zones"], "zone"),
        counted(promise["disks"], "physical disk"),
    ]
    fresh = counted(promise["until_coded"], "drive")
    return [
        f"Data written now ({promise['policy']}) survives the loss of {', '.join(losses[:-1])}",
        f"or {losses[-1]}.",
        promise["reason"],
        f"Until they are coded, small objects survive the loss of {fresh}.",
        found["metadata"]["reason"],
    ]


def _policies(found: dict[str, Any]) -> list[dict[str, Any]]:
    """A line each; a reason only where it is another than the one already given."""
    told = found["tolerance"]["reason"]
    return [
        {**_without(one, "needed"), "reason": "" if one["reason"] == told else one["reason"]}
        for one in found["policies"]
    ]


def _contents(found: dict[str, Any]) -> list[str]:
    capacity, segments = found["capacity"], found["segments"]
    count = sum(one["count"] for one in segments["states"].values())
    lines = [
        f"{counted(capacity['disks'], 'physical disk')} of {size_text(capacity['size_bytes'])},"
        f" {size_text(capacity['free_bytes'])} free above the reserve.",
        f"{counted(count, 'segment')}, {segments['degraded']} with fewer shards than due.",
    ]
    if not found["observed"]["fresh"]:
        lines.append("Nobody has looked at the nodes lately: the states below may be outdated.")
    return lines


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    """Bytes as sizes."""
    return {
        name.removesuffix("_bytes"): size_text(value) if name.endswith("_bytes") else value
        for name, value in row.items()
    }


def _without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def size_text(count: int) -> str:
    """Bytes as people read them."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} PiB"

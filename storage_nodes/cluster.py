"""The cluster as an operator sees it: tolerance, capacity, states. Reads only.

Here: putting the rows together. Not here: the judgement (`tolerance`), the page for people
(`cluster_text`), keeping the rows true (`health`).
"""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from core import clock
from core.config import config
from storage_nodes.inventory import DRIVES, DriveView, drive_view
from storage_nodes.models import Drive, Node
from storage_nodes.node.keyfile import load
from storage_nodes.policy import OFFERED, policy
from storage_nodes.tolerance import Tolerance, tolerance

# When nobody has looked at the nodes for so long, the states below are history.
_STALE_AFTER_S = 15.0

_SEGMENTS = """
    SELECT state, count(*), coalesce(sum(size), 0)::bigint FROM segment
     GROUP BY state ORDER BY state
"""
# Segments with a shard that was noticed as lost, never written, or left on a lost drive.
_DEGRADED = """
    SELECT count(*) FROM segment s
     WHERE s.state IN ('sealed', 'stored')
       AND (s.drives && '{0}'
            OR s.drives && ARRAY(SELECT id FROM drive WHERE state IN ('gone', 'removed'))
            OR EXISTS (SELECT FROM segment_shard b WHERE b.segment_id = s.id AND b.epoch = s.epoch))
"""
_STANDBYS = """
    SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')
"""


def status() -> dict[str, Any]:
    """Everything about the cluster at this moment; its keys are an interface."""
    views = _views()
    segment_size = config().coding.segment_size
    usable = [view for view in views if view.can_take(segment_size)]
    judged = [tolerance(usable, policy(name)) for name in _policies()]
    standbys = _number(_STANDBYS)
    drives = list(Drive.objects.select_related("node__zone").order_by("node__name", "path"))
    return {
        "cluster": str(load(config().nodes.key_file).cluster),
        "tolerance": _promise(judged[0], standbys),
        "policies": [asdict(one) for one in judged],
        "metadata": {"synchronous_standbys": standbys, "reason": _metadata_reason(standbys)},
        "capacity": _capacity(views),
        "segments": _segments(),
        "observed": _observed(),
        "zones": _zones(drives, views),
        "nodes": [_node(node) for node in Node.objects.select_related("zone").order_by("name")],
        "drives": [drive_line(drive) for drive in drives],
    }


def drive_line(drive: Drive) -> dict[str, Any]:
    """One drive, as commands show it."""
    return {
        "id": drive.pk,
        "zone": drive.node.zone.name,
        "node": drive.node.name,
        "path": drive.path,
        "state": drive.state,
        "weight": drive.weight,
        "size_bytes": drive.size_bytes,
        "free_bytes": drive.free_bytes,
        "uuid": str(drive.uuid),
        "reason": drive.reason,
    }


def _promise(judged: Tolerance, standbys: int) -> dict[str, Any]:
    """What may be told to a user: the weaker of shards and metadata."""
    return {
        "policy": judged.policy,
        "drives": judged.drives,
        "nodes": judged.nodes,
        "zones": judged.zones,
        "disks": min(judged.disks, standbys),
        "until_coded": judged.until_coded,
        "reason": judged.reason,
    }


def _metadata_reason(standbys: int) -> str:
    if standbys == 0:
        return "One PostgreSQL without a synchronous standby: the metadata depend on its disk."
    return f"PostgreSQL commits to {standbys} synchronous standby(s) as well."


def _policies() -> list[str]:
    """The default first, then what is offered or in use by a bucket."""
    default = config().coding.default_policy
    return list(dict.fromkeys([default, *OFFERED]))


def _views() -> list[DriveView]:
    with connection.cursor() as cursor:
        cursor.execute(DRIVES)
        return [drive_view(row) for row in cursor.fetchall()]


def _capacity(views: Iterable[DriveView]) -> dict[str, int]:
    """Sizes count once per physical disk."""
    present = [view for view in views if view.state in ("active", "draining", "fenced")]
    disks = {view.disk: view for view in present}
    size = sum(view.size_bytes for view in disks.values())
    free = sum(view.free_bytes for view in disks.values())
    return {"disks": len(disks), "size_bytes": size, "free_bytes": free}


def _zones(drives: list[Drive], views: list[DriveView]) -> list[dict[str, Any]]:
    by_zone: dict[int, list[DriveView]] = {}
    for view in views:
        by_zone.setdefault(view.zone, []).append(view)
    found = {drive.node.zone_id: drive.node.zone.name for drive in drives}
    return [
        {"name": name, "drives": len(by_zone.get(zone, [])), **_capacity(by_zone.get(zone, []))}
        for zone, name in sorted(found.items(), key=lambda each: each[1])
    ]


def _node(node: Node) -> dict[str, Any]:
    return {
        "name": node.name,
        "zone": node.zone.name,
        "state": node.state,
        "address": node.address,
        "last_seen": node.last_seen,
    }


def _segments() -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(_SEGMENTS)
        states = {
            state: {"count": count, "bytes": size} for state, count, size in cursor.fetchall()
        }
    return {"states": states, "degraded": _number(_DEGRADED)}


def _observed() -> dict[str, Any]:
    """Whether anybody has looked at the nodes lately."""
    latest = max((node.last_seen for node in Node.objects.all() if node.last_seen), default=None)
    fresh = latest is not None and clock.now() - latest < timedelta(seconds=_STALE_AFTER_S)
    return {"last_seen": latest, "fresh": fresh}


def _number(statement: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        (found,) = cursor.fetchone()
    return int(found)


def drive_by(text: str) -> Drive | None:
    """The drive an operator means: its number, identity or path."""
    drives = Drive.objects.select_related("node__zone")
    if text.isdigit():
        return drives.filter(pk=int(text)).first()
    try:
        return drives.filter(uuid=UUID(text)).first()
    except ValueError:
        return drives.filter(path=text).exclude(state=Drive.State.REMOVED).first()

"""How nodes and drives are: asked each second, written down, and acted on.

Here: the loop that polls every node, marks drives as gone and owes the repair of what they held.
Not here: what the node finds (its `slot`), the repair itself (a job).

A drive is gone when its node has found its identity missing for `gone_after_s` without a break, as
seen by this process: a late start of the loop condemns nothing. A node that does not answer is
down; its drives are given much longer, because daemons and hosts restart.
Any number of loops may run: all they write is idempotent.
"""

import asyncio
import logging
import threading
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from core.clock import monotonic
from core.config import Config, config
from core.database import MISC, Lanes
from core.errors import StoreError
from storage_nodes.node.keyfile import NodeKey, load
from storage_nodes.stores.http import HttpNode

log = logging.getLogger(__name__)
_ASK_WITHIN_S = 3.0
# Polls a node may miss before it is called down.
_MISSES = 3
# How many times longer than a drive a node may be away before its drives are given up.
NODE_PATIENCE = 60
_OWE_AT_ONCE = 1000
# Repairs are owed again now and then: a segment sealed meanwhile may name a drive long gone.
_OWE_EVERY_S = 60.0
_RETRY_S = 1.0
# Between rounds that took longer than their turn.
_PAUSE_S = 0.05

_NODES = """
    SELECT n.id, n.name, n.address, coalesce(array_agg(d.id) FILTER (WHERE d.id IS NOT NULL), '{}'),
           coalesce(array_agg(d.uuid::text) FILTER (WHERE d.id IS NOT NULL), '{}')
      FROM node n LEFT JOIN drive d ON d.node_id = n.id AND d.state NOT IN ('gone', 'removed')
     GROUP BY n.id ORDER BY n.id
"""
_SEEN = "SELECT node_seen(%s, %s, %s)"
_DOWN = "UPDATE node SET state = 'down' WHERE id = %s AND state <> 'down' RETURNING id"
_GONE = "SELECT drives_gone(%s, %s)"
_OWE = "SELECT owe_repairs(%s, %s)"
_ANY_LOST = "SELECT EXISTS (SELECT FROM drive WHERE state IN ('gone', 'removed'))"
_LEAST = UUID(int=0)


@dataclass(frozen=True, slots=True)
class _Node:
    id: UUID
    name: str
    address: str
    drives: dict[str, int]  # identity -> drive id, of those not given up


class Health:
    """One observer. Belongs to one event loop."""

    def __init__(self, lanes: Lanes, settings: Config, key: NodeKey) -> None:
        self._lanes = lanes
        self._gone_after_s = settings.nodes.gone_after_s
        self._secret = key.secret
        self._nodes: dict[str, HttpNode] = {}
        self._away_since: dict[int, float] = {}
        self._silent_since: dict[UUID, float] = {}
        self._misses: dict[UUID, int] = {}
        self._owe_at = 0.0

    async def round(self) -> None:
        """Ask every node, write down what it says, and owe what follows."""
        rows = await self._lanes.fetch(MISC, _NODES)
        nodes = [
            _Node(row[0], row[1], row[2], dict(zip(row[4], row[3], strict=True))) for row in rows
        ]
        answers = await asyncio.gather(*(self._ask(node) for node in nodes))
        lost = False
        for node, answer in zip(nodes, answers, strict=True):
            lost |= await self._write_down(node, answer)
        await self._forget(nodes)
        if lost or monotonic() >= self._owe_at:
            self._owe_at = monotonic() + _OWE_EVERY_S
            await self._owe_repairs()

    async def close(self) -> None:
        for node in self._nodes.values():
            await node.close()
        self._nodes = {}

    async def _ask(self, node: _Node) -> Any | None:
        way = self._nodes.get(node.address)
        if way is None:
            way = HttpNode(node.address, secret=self._secret, timeout_s=_ASK_WITHIN_S)
            self._nodes[node.address] = way
        try:
            return await way.drives(node.name)
        except StoreError as error:
            log.debug("node silent", extra={"node": node.name, "why": str(error)})
            return None

    async def _write_down(self, node: _Node, answer: Any | None) -> bool:
        """Write one node's answer, or its silence; whether drives were given up."""
        if answer is None:
            return await self._silent(node)
        self._silent_since.pop(node.id, None)
        self._misses.pop(node.id, None)
        seen = [one for one in answer["drives"] if one["uuid"] and one["state"] != "gone"]
        await self._lanes.fetch(MISC, _SEEN, (node.id, answer["host"], Jsonb(seen)), writes=True)
        present = {one["uuid"] for one in seen}
        for uuid, drive_id in node.drives.items():
            if uuid in present:
                self._away_since.pop(drive_id, None)
        away = [drive_id for uuid, drive_id in node.drives.items() if uuid not in present]
        return await self._give_up(away, self._gone_after_s, "Its node does not find its identity.")

    async def _silent(self, node: _Node) -> bool:
        misses = self._misses[node.id] = self._misses.get(node.id, 0) + 1
        if misses >= _MISSES and await self._lanes.fetch(MISC, _DOWN, (node.id,), writes=True):
            log.warning("node down", extra={"node": node.name})
        # What was seen before the silence does not count: nobody looked meanwhile.
        for drive_id in node.drives.values():
            self._away_since.pop(drive_id, None)
        since = self._silent_since.setdefault(node.id, monotonic())
        if monotonic() - since < self._gone_after_s * NODE_PATIENCE:
            return False
        return await self._mark_gone(list(node.drives.values()), "Its node does not answer.")

    async def _give_up(self, away: list[int], after_s: float, why: str) -> bool:
        moment = monotonic()
        due = [
            drive_id
            for drive_id in away
            if moment - self._away_since.setdefault(drive_id, moment) >= after_s
        ]
        return await self._mark_gone(due, why)

    async def _mark_gone(self, due: list[int], why: str) -> bool:
        if not due:
            return False
        gone = await self._lanes.fetch(MISC, _GONE, (due, why), writes=True)
        for (drive_id,) in gone:
            log.warning("drive given up", extra={"drive": drive_id, "why": why})
        return bool(gone)

    async def _owe_repairs(self) -> None:
        [(any_lost,)] = await self._lanes.fetch(MISC, _ANY_LOST)
        after = _LEAST if any_lost else None
        while after is not None:
            [(after,)] = await self._lanes.fetch(MISC, _OWE, (after, _OWE_AT_ONCE), writes=True)

    async def _forget(self, nodes: list[_Node]) -> None:
        """Drop what belongs to nodes and drives that are no longer asked about."""
        addresses = {node.address for node in nodes}
        for address in set(self._nodes) - addresses:
            await self._nodes.pop(address).close()
        drives = {drive_id for node in nodes for drive_id in node.drives.values()}
        for drive_id in set(self._away_since) - drives:
            del self._away_since[drive_id]


def run(stop: threading.Event) -> None:
    """Watch over nodes and drives in the calling thread until `stop` is set."""
    asyncio.run(_run(stop, config()))


async def _run(stop: threading.Event, settings: Config) -> None:
    """Nothing ends this loop but `stop`: without it no drive is ever given up and repaired."""
    while not stop.is_set():
        try:
            await _watch(stop, settings)
        except Exception:
            log.exception("health starts over")
            await asyncio.sleep(_RETRY_S)


async def _watch(stop: threading.Event, settings: Config) -> None:
    key = load(settings.nodes.key_file)
    lanes = Lanes(settings.database, misc=1, name="objstore health")
    health = Health(lanes, settings, key)
    try:
        while not stop.is_set():
            started = monotonic()
            try:
                await health.round()
            except (StoreError, psycopg.Error) as error:
                log.warning("health round failed", extra={"why": str(error)})
                await asyncio.sleep(_RETRY_S)
            rest = settings.nodes.poll_s - (monotonic() - started)
            await asyncio.sleep(max(_PAUSE_S, rest))
    finally:
        await health.close()
        await lanes.close()

"""`manage.py drive list|weight|clear-fence|remove`: what an operator decides about a drive."""

import asyncio

from django.core.management.base import CommandError
from django.db import transaction

from core.config import config
from jobs.command_output import ACTOR, Answer, NounCommand, Options
from storage_nodes import cluster
from storage_nodes.cluster_text import drive_row
from storage_nodes.models import Drive
from storage_nodes.node.keyfile import load
from storage_nodes.stores.http import HttpNode, HttpShardStore
from tenants import audit


class Command(NounCommand):
    help = "Drives: list them, set weights, lift fences."

    def verbs(self) -> None:
        self.verb("list", self.list, "All drives with state, weight and space.")
        weight = self.verb("weight", self.weight, "How much of new data a drive gets; 0: none.")
        weight.add_argument("drive", help="number, identity or path")
        weight.add_argument("weight", type=float)
        clear = self.verb("clear-fence", self.clear_fence, "Let a fenced drive be written again.")
        clear.add_argument("drive", help="number, identity or path")
        remove = self.verb("remove", self.remove, "Give up a drive that is gone, for good.")
        remove.add_argument("drive", help="number, identity or path")

    def list(self, options: Options) -> Answer:
        drives = Drive.objects.select_related("node__zone").order_by("node__name", "path")
        lines = [cluster.drive_line(drive) for drive in drives]
        return lines if options["json"] else [drive_row(line) for line in lines]

    def weight(self, options: Options) -> Answer:
        drive, weight = _drive(options["drive"]), options["weight"]
        if not 0 <= weight <= 1_000_000:
            raise CommandError("A weight is a number from 0 to 1000000.")
        with transaction.atomic():
            Drive.objects.filter(pk=drive.pk).update(weight=weight)
            audit.record(ACTOR, "drive.weight", str(drive.pk), weight=weight)
        return cluster.drive_line(_drive(str(drive.pk)))

    def clear_fence(self, options: Options) -> Answer:
        drive = _drive(options["drive"])
        asyncio.run(_clear(drive))
        # The health loop confirms this, or contradicts it, within a second or two.
        with transaction.atomic():
            Drive.objects.filter(pk=drive.pk, state=Drive.State.FENCED).update(
                state=Drive.State.DRAINING if drive.draining else Drive.State.ACTIVE, reason=""
            )
            audit.record(ACTOR, "drive.clear_fence", str(drive.pk), was=drive.reason)
        return cluster.drive_line(_drive(str(drive.pk)))

    def remove(self, options: Options) -> Answer:
        drive = _drive(options["drive"])
        with transaction.atomic():
            # Its shards are owed to repair since it is gone, and stay owed.
            gone = Drive.objects.filter(pk=drive.pk, state=Drive.State.GONE)
            if not gone.update(state=Drive.State.REMOVED):
                raise CommandError(
                    f"Only a drive that is gone can be removed; this one is {drive.state}."
                )
            audit.record(ACTOR, "drive.remove", str(drive.pk), path=drive.path)
        return cluster.drive_line(_drive(str(drive.pk)))


def _drive(text: str) -> Drive:
    drive = cluster.drive_by(text)
    if drive is None:
        raise CommandError(f"There is no drive {text}.")
    return drive


async def _clear(drive: Drive) -> None:
    nodes = config().nodes
    secret = load(nodes.key_file).secret
    node = HttpNode(drive.node.address, secret=secret, timeout_s=nodes.request_timeout_s)
    try:
        await HttpShardStore(drive.uuid, node).clear_fence()
    finally:
        await node.close()

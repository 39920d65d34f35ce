"""`manage.py cluster verify`: its options, and the drives it reads through."""

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError

from core import bridge
from core.config import config
from core.database import Lanes
from storage_nodes import cluster
from storage_nodes.inventory import Inventory
from storage_nodes.verify import rows, text
from storage_nodes.verify.walk import Cluster, Wanted, verify

# The exit status when something is wrong; 1 is a command that could not do its work.
NOT_WHOLE = 3
_MEGABYTE = 1_000_000


def arguments(parser: ArgumentParser) -> None:
    """What the verb is told."""
    parser.add_argument("--drive", help="only what is on this drive: number, identity or path")
    parser.add_argument("--segment", type=UUID, help="only this segment")
    parser.add_argument(
        "--rate", type=_rate, metavar="MB/S", help="read no more than so many megabytes a second"
    )
    parser.add_argument(
        "--no-repair", action="store_true", help="only report: owe no repair of what is wrong"
    )


def run(options: Mapping[str, Any], progress_on: Callable[[str], object] | None) -> dict[str, Any]:
    """Verify, and say what was found; `progress_on` writes to a terminal."""
    wanted = Wanted(
        drive=_drive(options["drive"]),
        segment=_segment(options["segment"]),
        repair=not options["no_repair"],
        rate=options["rate"] and options["rate"] * _MEGABYTE,
    )
    line = None if progress_on is None else text.ProgressLine(progress_on)
    try:
        with _opened() as there:
            return verify(there, wanted, line).document()
    except KeyboardInterrupt:
        then = "; the repair of what was found is owed" if wanted.repair else ""
        raise CommandError(f"Interrupted before everything was read{then}.") from None
    finally:
        if line is not None:
            line.end()


@contextmanager
def _opened() -> Iterator[Cluster]:
    """The drives of the cluster, each through its node."""
    lanes = Lanes(config().database, lookup=1, commit=1, waiting=1, misc=1, name="verify")
    inventory = bridge.run(_open(lanes))
    try:
        yield Cluster(
            id=inventory.cluster, store=inventory.store, drives=tuple(sorted(inventory.drives))
        )
    finally:
        bridge.run(inventory.close())
        bridge.run(lanes.close())


async def _open(lanes: Lanes) -> Inventory:
    current = config()
    return await Inventory.open(lanes, current, patience_s=current.jobs.drive_timeout_s)


def _drive(given: str | None) -> int | None:
    if given is None:
        return None
    drive = cluster.drive_by(given)
    if drive is None:
        raise CommandError(f"There is no drive {given}.")
    return int(drive.pk)


def _segment(given: UUID | None) -> UUID | None:
    if given is not None and rows.segment(given) is None:
        raise CommandError(f"There is no segment {given} with anything to verify.")
    return given


def _rate(given: str) -> float:
    try:
        rate = float(given)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise ArgumentTypeError("a rate is a number of megabytes a second, more than 0")
    return rate

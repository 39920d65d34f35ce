"""One storage node, from start to stop: its drives, its two doors, its threads.

Promise: `run` returns after SIGTERM or SIGINT with every answer given that was promised; a start
that cannot be made is one sentence (ConfigurationError). A drive that is not there stops nothing.
"""

import asyncio
import json
import logging
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from core.config import Config
from core.errors import ConfigurationError
from storage_nodes.node.disk import Disk
from storage_nodes.node.drive import DriveLimits
from storage_nodes.node.http_door import HttpDoor
from storage_nodes.node.keyfile import load
from storage_nodes.node.local_door import LocalDoor
from storage_nodes.node.slot import Slots

log = logging.getLogger(__name__)
_STOP_WITHIN_S = 10.0
_FORGET_EVERY_S = 30.0


@dataclass(frozen=True, kw_only=True)
class NodeOptions:
    """What one daemon is started with."""

    name: str
    host: str
    port: int
    socket: Path
    key_file: Path
    state: Path
    ready_file: Path | None
    drives: list[Path]


async def run(options: NodeOptions, config: Config) -> None:
    """Serve until told to stop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    key = load(options.key_file)
    options.state.mkdir(parents=True, exist_ok=True)
    slots = Slots(
        options.drives,
        key.cluster,
        limits=_limits(config),
        state=options.state,
        disk=Disk(skip_fsync=config.proof.skip_fsync),
    )
    http = HttpDoor(options.name, slots, key)
    runner = web.AppRunner(http.application(), access_log=None, shutdown_timeout=_STOP_WITHIN_S)
    await runner.setup()
    # The port first: of two daemons started by mistake, the second stops before it touches a drive
    # or the other's socket.
    address = await _listen(runner, options.host, options.port)
    slots.watch()
    local = LocalDoor(slots, key, options.socket)
    _announce(options, address)
    log.info("node ready", extra={"node": options.name, "address": address})
    await _until(stop, http)
    local.close()
    await runner.cleanup()
    slots.close()
    log.info("node stopped", extra={"node": options.name})


async def _until(stop: asyncio.Event, http: HttpDoor) -> None:
    while not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), _FORGET_EVERY_S)
        except TimeoutError:
            await http.forget_idle_files()


async def _listen(runner: web.AppRunner, host: str, port: int) -> str:
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as error:
        raise ConfigurationError(
            f"The node cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}."
        ) from None
    bound = runner.addresses[0]
    return f"http://{bound[0]}:{bound[1]}"


def _announce(options: NodeOptions, address: str) -> None:
    """Tell whoever waits where the node is: `--port 0` takes any port."""
    if options.ready_file is None:
        return
    told = {"address": address, "socket": str(options.socket), "pid": os.getpid()}
    draft = options.ready_file.with_name(options.ready_file.name + ".new")
    draft.write_text(json.dumps(told))
    draft.replace(options.ready_file)


def _limits(config: Config) -> DriveLimits:
    return DriveLimits(
        reserve_fraction=config.nodes.reserve_fraction,
        reserve_bytes=config.nodes.reserve_bytes,
        trash_s=config.jobs.trash_s,
        trash_fraction=config.jobs.trash_fraction,
    )

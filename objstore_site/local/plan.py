"""Which processes make up the store on this machine, and what each is told.

Here: the list, in the order of starting. Not here: starting anything.
"""

from __future__ import annotations

import sys
from pathlib import Path

from core.config import Config, environment
from objstore_site.local.child import Child
from objstore_site.local.home import Home
from objstore_site.local.marks import MARK
from objstore_site.running import Servers
from objstore_site.safety import JOURNAL_WORKERS

REPOSITORY = Path(__file__).resolve().parent.parent.parent
# glibc keeps freed memory in an arena per thread, and what large bodies leave there makes a process
# grow without end. Gateways and workers, which need their buffers again at once, then keep more of
# it themselves (core/malloc.py). The image and the units say the same.
MALLOC = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "262144",
    "MALLOC_TRIM_THRESHOLD_": "1048576",
}
# The journal is seconds behind at most, whatever the other jobs are at.
JOURNAL = ["worker", "--queues", "journal", "--concurrency", str(JOURNAL_WORKERS)]
# Doors first, so that nothing new arrives; nodes last, since everybody else hands work over to
# them.
DOORS, WORK, NODES = 1, 2, 3


def child_environment(config: Config, home: Home, servers: Servers) -> dict[str, str]:
    """What every process of the store inherits."""
    return environment(
        {
            "OBJSTORE_HOME": str(home.path),
            "DATABASE_URL": servers.database_url,
            "REDIS_URL": servers.redis_url,
            "OBJSTORE_NODES_SOCKET_DIR": str(_node_sockets(config, home)),
            "DJANGO_SETTINGS_MODULE": "objstore_site.settings",
            "PYTHONUNBUFFERED": "1",
            MARK: str(home.path),
            **MALLOC,
        }
    )


def nodes(config: Config, home: Home, inherited: dict[str, str]) -> list[Child]:
    """The storage nodes; they need nothing else to run."""
    return [
        _child(f"node-{number}", ["node", "--number", str(number)], NODES, home, inherited)
        for number in range(1, config.cluster.nodes + 1)
    ]


def doors(home: Home, inherited: dict[str, str]) -> list[Child]:
    """What a client waits for, and who tells it where the drives are."""
    return [
        _child("gateway", ["gateway"], DOORS, home, inherited),
        _child("dispatcher", ["dispatcher"], DOORS, home, inherited),
    ]


def background(home: Home, inherited: dict[str, str]) -> list[Child]:
    """Everything that may come a second later."""
    return [
        _child("worker", ["worker"], WORK, home, inherited),
        _child("worker-journal", JOURNAL, WORK, home, inherited),
        _child("beat", ["beat"], DOORS, home, inherited),
        _child("console", ["console"], DOORS, home, inherited),
        _child("metrics", ["metrics"], DOORS, home, inherited),
    ]


def _child(
    name: str, arguments: list[str], stop_order: int, home: Home, inherited: dict[str, str]
) -> Child:
    return Child(
        name=name,
        command=[sys.executable, "-m", "objstore_site.serve", *arguments],
        environment=inherited,
        directory=REPOSITORY,
        log=home.logs / f"{name}.log",
        stop_order=stop_order,
    )


def _node_sockets(config: Config, home: Home) -> Path:
    """The configured directory, unless it is the default and its paths would be too long."""
    configured = config.nodes.socket_dir
    return home.sockets() if configured == home.run else configured

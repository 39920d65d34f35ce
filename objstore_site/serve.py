"""Every process of the store, started singly: `python -m objstore_site.serve ROLE`.

Here: what each role is made of and how it is set up; the local runner, compose and systemd all
start processes through this. Not here: what the roles do.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from core import logs
from core.config import config, default_environment, environment
from core.errors import ConfigurationError
from objstore_site import gateway as s3_processes
from objstore_site import safety, web
from objstore_site.local.home import local_drives
from objstore_site.running import reach_running_store

# Background work yields to the data path wherever both share cores.
BACKGROUND_NICE = 10


def gateway(arguments: argparse.Namespace) -> None:
    """The S3 port: a few worker processes of one plain ASGI application."""
    safety.refuse_unsafe_database(config())
    s3_processes.serve(config())


def console(arguments: argparse.Namespace) -> None:
    """The console port: Django."""
    safety.refuse_unsafe_database(config())
    os.nice(BACKGROUND_NICE // 2)
    web.serve_console(config())


def node(arguments: argparse.Namespace) -> None:
    """One storage-node daemon over the drives it is given."""
    settings = config().nodes
    port = settings.port + arguments.number - 1
    name = arguments.name or f"node-{arguments.number}"
    drives = arguments.drives or map(str, local_drives(arguments.number))
    _become("storage_nodes.node", "--node", name, "--port", str(port), "--drives", *drives)


def worker(arguments: argparse.Namespace) -> None:
    """Background jobs: a Celery worker over all queues, or the given ones."""
    os.nice(BACKGROUND_NICE)
    options = ["--concurrency", str(arguments.concurrency or config().jobs.workers)]
    if arguments.queues:
        options += ["--queues", arguments.queues, "--hostname", f"{arguments.queues}@%h"]
    _celery("worker", *options, "--without-gossip", "--without-mingle")


def beat(arguments: argparse.Namespace) -> None:
    """Periodic jobs: rows of the present slot."""
    os.nice(BACKGROUND_NICE)
    _celery("beat", "--scheduler", "workers.beat:RowScheduler")


def dispatcher(arguments: argparse.Namespace) -> None:
    """Takes due job rows to Celery, and looks after nodes and drives."""
    os.nice(BACKGROUND_NICE // 2)
    _become("manage", "dispatch", script=True)


def metrics(arguments: argparse.Namespace) -> None:
    """The metrics port."""
    os.nice(BACKGROUND_NICE)
    _become("objstore_site.metrics_port")


ROLES: dict[str, Callable[[argparse.Namespace], None]] = {
    role.__name__: role for role in (gateway, console, node, worker, dispatcher, beat, metrics)
}


def main(argv: Sequence[str] | None = None) -> None:
    """Start one role; what cannot be used is one sentence and exit code 1."""
    arguments = _parser().parse_args(argv)
    default_environment("DJANGO_SETTINGS_MODULE", "objstore_site.settings")
    try:
        reach_running_store()
        # Roles that become another program, or fork workers, hand the addresses on.
        default_environment("DATABASE_URL", config().database.url)
        default_environment("REDIS_URL", config().redis.url)
        logs.set_up(arguments.role, config().logs.level)
        ROLES[arguments.role](arguments)
    except ConfigurationError as why:
        sys.exit(f"{arguments.role} cannot start: {why.message}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m objstore_site.serve", description=__doc__)
    roles = parser.add_subparsers(dest="role", required=True)
    for name, role in ROLES.items():
        one = roles.add_parser(name, help=role.__doc__)
        if name == "node":
            one.add_argument("--number", type=int, default=1, help="which node of this host")
            one.add_argument("--name", help="its name in the cluster")
            one.add_argument("--drives", nargs="*", help="directories of its drives")
        if name == "worker":
            one.add_argument("--queues", metavar="QUEUE", help="the queues it takes jobs from")
            one.add_argument(
                "--concurrency", type=int, help="its processes (OBJSTORE_JOBS_WORKERS)"
            )
    return parser


def _celery(command: str, *options: str) -> None:
    level = config().logs.level
    _become("celery", "--quiet", "-A", "objstore_site", command, "--loglevel", level, *options)


def _become(module: str, *arguments: str, script: bool = False) -> None:
    """Turn this process into another program: no parent is left to forget a child."""
    start = [f"{module}.py"] if script else ["-m", module]
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *start, *arguments], environment())


if __name__ == "__main__":
    main()

"""`python -m storage_nodes.node --node NAME --drives DIR...`: one storage-node daemon."""

import argparse
import resource
import sys
from pathlib import Path

import uvloop

from core import logs
from core.config import Config, config
from core.errors import ConfigurationError
from storage_nodes.node.daemon import NodeOptions, run


def main(arguments: list[str]) -> int:
    """Run the daemon; 1 with one sentence on standard error when it cannot start."""
    try:
        settings = config()
        options = _options(arguments, settings)
        _allow_many_files()
        logs.set_up(f"node {options.name}", settings.logs.level)
        uvloop.run(run(options, settings))
    except ConfigurationError as problem:
        print(problem.message, file=sys.stderr)
        return 1
    return 0


def _allow_many_files() -> None:
    """Every connection and every file being written is a descriptor."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _options(arguments: list[str], settings: Config) -> NodeOptions:
    parser = argparse.ArgumentParser(prog="python -m storage_nodes.node", description=__doc__)
    nodes = settings.nodes
    add = parser.add_argument
    add("--node", required=True, metavar="NAME", help="name of this node")
    add("--drives", required=True, nargs="+", type=Path, metavar="DIR", help="formatted drives")
    add("--host", default=nodes.host, help="address to listen on")
    add("--port", default=nodes.port, type=int, help="port to listen on; 0 takes any")
    add("--socket", type=Path, metavar="PATH", help="Unix socket for clients of this host")
    add("--key-file", default=nodes.key_file, type=Path, metavar="PATH", help="the node key")
    add("--state", type=Path, metavar="DIR", help="where the node keeps its copy of fences")
    add("--ready-file", type=Path, metavar="PATH", help="written once the node answers")
    given = parser.parse_args(arguments)
    return NodeOptions(
        name=given.node,
        host=given.host,
        port=given.port,
        socket=(given.socket or nodes.socket_dir / f"{given.node}.sock").absolute(),
        key_file=given.key_file,
        state=(given.state or settings.home / "nodes" / given.node).absolute(),
        ready_file=given.ready_file,
        drives=[path.absolute() for path in given.drives],
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

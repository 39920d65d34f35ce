"""Are the ports free? Asked before anything starts, so that the answer is a sentence."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import psutil

from core.config import Config
from objstore_site.local.complaint import Complaint


def ports(config: Config) -> Iterator[tuple[str, str, int]]:
    """The variable, host and port of everything that will listen."""
    yield "OBJSTORE_S3_PORT", config.s3.host, config.s3.port
    yield "OBJSTORE_CONSOLE_PORT", config.console.host, config.console.port
    yield "OBJSTORE_METRICS_PORT", config.metrics.host, config.metrics.port
    for number in range(config.cluster.nodes):
        yield "OBJSTORE_NODE_PORT", config.nodes.host, config.nodes.port + number


def refuse_taken_ports(config: Config) -> None:
    """Raise when two of ours are the same, or somebody else listens on one."""
    seen: dict[int, str] = {}
    for variable, host, port in ports(config):
        if port in seen:
            raise Complaint(f"{variable} and {seen[port]} both ask for port {port}.")
        seen[port] = variable
        why = _why_not(host, port)
        if why:
            raise Complaint(f"Port {port} on {host} cannot be used: {why}. Set {variable}.")


def _why_not(host: str, port: int) -> str | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As our servers do: connections of a store that just ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as refused:
            return _holder(port) or (refused.strerror or str(refused)).lower()
    return None


def _holder(port: int) -> str | None:
    """Who listens there, where we may know."""
    try:
        for one in psutil.net_connections("tcp"):
            if one.status == psutil.CONN_LISTEN and one.laddr.port == port and one.pid:
                return f"{psutil.Process(one.pid).name()} (process {one.pid}) listens there"
    except (psutil.Error, OSError):
        pass
    return None

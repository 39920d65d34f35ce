"""Messages of the Unix socket: one packet each, JSON and raw bytes, with descriptors beside them.

Both ends use this module; docs/formats/node-protocol.md §3 is its specification.
"""

import array
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

MAX_PACKET = 64 << 10
_PREFIX = 4
_MAX_FDS = 4
_FD_SPACE = socket.CMSG_SPACE(_MAX_FDS * array.array("i").itemsize)


def encode(message: object, payload: bytes = b"") -> bytes:
    """The packet of a message; ValueError when it would not fit."""
    text = orjson.dumps(message)
    packet = len(text).to_bytes(_PREFIX, "little") + text + payload
    if len(packet) > MAX_PACKET:
        raise ValueError(f"a message of {len(packet)} bytes does not fit a packet")
    return packet


def decode(packet: bytes) -> tuple[Any, bytes]:
    """Message and raw bytes of a packet; ValueError for anything else."""
    stop = _PREFIX + int.from_bytes(packet[:_PREFIX], "little")
    if len(packet) < stop:
        raise ValueError("a packet shorter than it says")
    return orjson.loads(packet[_PREFIX:stop]), packet[stop:]


def send(sock: socket.socket, packet: bytes, fds: tuple[int, ...] = ()) -> None:
    """One packet, whole; with descriptors, which stay the caller's to close."""
    if not fds:
        sock.send(packet)
        return
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
    sock.sendmsg([packet], rights)


def receive(sock: socket.socket) -> tuple[bytes, list[int]]:
    """The next packet and its descriptors, now the caller's; b"" when the peer has gone."""
    packet, ancillary, flags, _ = sock.recvmsg(MAX_PACKET, _FD_SPACE, socket.MSG_CMSG_CLOEXEC)
    fds = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        for fd in fds:
            os.close(fd)
        raise ValueError("a packet larger than allowed")
    return packet, list(fds)


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """A name for the socket `path` that fits sun_path (107 bytes) however deep its folder lies."""
    if len(os.fsencode(path)) <= 100:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)

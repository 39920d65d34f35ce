"""Messages of the socket: whole, with their descriptors, and refused when they are broken."""

import os
import socket
from pathlib import Path

import pytest

from storage_nodes.node import packets


def test_a_message_and_its_descriptors_arrive_together(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    (tmp_path / "file").write_bytes(b"content")
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    packets.send(ours, packets.encode([1, "x"], b"raw"), (fd,))
    os.close(fd)

    packet, fds = packets.receive(theirs)
    assert packets.decode(packet) == ([1, "x"], b"raw")
    assert os.read(fds[0], 10) == b"content"
    os.close(fds[0])
    ours.close()
    assert packets.receive(theirs) == (b"", [])
    theirs.close()


def test_a_message_too_large_is_refused_by_its_sender() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        packets.encode([1], bytes(packets.MAX_PACKET))


@pytest.mark.parametrize("packet", [b"", b"\x01", b"\x05\x00\x00\x00[1]", b"\x01\x00\x00\x00{"])
def test_a_broken_message_is_refused(packet: bytes) -> None:
    with pytest.raises(ValueError):
        packets.decode(packet)


def test_a_socket_may_lie_deeper_than_its_address_is_long(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 60) / ("e" * 60)
    folder.mkdir(parents=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with packets.short_path(folder / "node.sock") as name:
        listener.bind(name)
    listener.listen()
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with packets.short_path(folder / "node.sock") as name:
        client.connect(name)

    client.close()
    listener.close()

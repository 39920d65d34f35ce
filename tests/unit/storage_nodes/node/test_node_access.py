"""Who may ask a node for what: the key file, capabilities, messages of the socket."""

import os
import socket
import stat
from pathlib import Path
from uuid import UUID

import pytest

from core.errors import CapabilityRefused, ConfigurationError
from storage_nodes.node import capability, keyfile, packets
from storage_nodes.shard_name import ShardName

SECRET = bytes(range(32))
NAME = ShardName(UUID(int=5), 3, 1)
DRIVE = str(UUID(int=6))
NOW = 1_900_000_000.0
ASKED = {"operation": "read", "subject": DRIVE, "name": NAME}


def granted(**changes: object) -> str:
    return capability.issue(SECRET, **{**ASKED, "now": NOW, **changes})  # type: ignore[arg-type]  # one argument varies


def check(given: str, **changes: object) -> None:
    capability.check(SECRET, given, **{**ASKED, "now": NOW, **changes})  # type: ignore[arg-type]  # one argument varies


def test_a_capability_allows_what_it_was_issued_for() -> None:
    check(granted())


@pytest.mark.parametrize(
    "changes",
    [
        {"operation": "trash"},
        {"subject": str(UUID(int=7))},
        {"name": ShardName(UUID(int=8), 3, 1)},
        {"name": ShardName(UUID(int=5), 4, 1)},
        {"name": None},
    ],
    ids=["operation", "drive", "segment", "epoch", "no shard"],
)
def test_a_capability_allows_nothing_else(changes: dict[str, object]) -> None:
    with pytest.raises(CapabilityRefused):
        check(granted(), **changes)


def test_a_capability_expires_after_a_minute() -> None:
    check(granted(), now=NOW + 60)
    with pytest.raises(CapabilityRefused):
        check(granted(), now=NOW + 70)


def test_nobody_can_be_given_a_capability_for_longer() -> None:
    with pytest.raises(CapabilityRefused, match="too long"):
        check(granted(now=NOW + 100))


def test_a_capability_of_another_key_is_refused() -> None:
    other = capability.issue(bytes(32), operation="read", subject=DRIVE, name=NAME, now=NOW)
    with pytest.raises(CapabilityRefused):
        check(other)


@pytest.mark.parametrize("position", range(0, 140, 7))
def test_a_capability_with_one_character_changed_is_refused(position: int) -> None:
    given = granted()
    position %= len(given)
    changed = given[:position] + ("0" if given[position] != "0" else "1") + given[position + 1 :]
    with pytest.raises(CapabilityRefused):
        check(changed)


@pytest.mark.parametrize("text", ["", ":", "::::::", "read:x:y", "ä:b"])
def test_what_is_no_capability_is_refused(text: str) -> None:
    with pytest.raises(CapabilityRefused):
        check(text)


def test_the_key_is_made_once_and_for_nobody_elses_eyes(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "node.key"
    made = keyfile.load_or_create(path)

    assert keyfile.load_or_create(path) == made
    assert keyfile.load(path) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["node.key"]


def test_the_key_is_not_shown_by_accident(tmp_path: Path) -> None:
    key = keyfile.load_or_create(tmp_path / "node.key")

    assert key.secret.hex() not in repr(key)
    assert "secret" not in repr(key)


@pytest.mark.parametrize("text", ["", "{}", '{"cluster": "x", "key": "00"}'])
def test_a_damaged_key_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "node.key").write_text(text)
    with pytest.raises(ConfigurationError, match="is damaged"):
        keyfile.load(tmp_path / "node.key")


def test_a_missing_key_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no node key"):
        keyfile.load(tmp_path / "node.key")


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

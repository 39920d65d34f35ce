"""The node's Unix socket: descriptors for gateways and workers of the same host.

One connection serves one drive, in one thread, in order: no event loop between a request and its
answer, and a drive that hangs holds up only those who asked for it (node-protocol.md §3).
"""

import hmac
import logging
import os
import secrets
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from core.errors import (
    CapabilityRefused,
    ConfigurationError,
    InvalidArgument,
    OperationNotImplemented,
    StoreError,
)
from storage_nodes.node import capability, packets
from storage_nodes.node.drafts import OpenFile
from storage_nodes.node.drive import Drive
from storage_nodes.node.keyfile import NodeKey
from storage_nodes.node.slot import Slots
from storage_nodes.shard_name import FileName, ShardName, parse_name
from storage_nodes.stores.base import as_purpose

log = logging.getLogger(__name__)
_MAX_CONNECTIONS = 1024
_GREETING_TIMEOUT_S = 10.0
# How long a stop waits for requests being served.
_FINISH_S = 5.0
_CREDENTIALS = struct.Struct("3i")
_PAGE_OF_NAMES = 1000

# What an operation gives back: its result, and a descriptor to hand over and close.
Outcome = tuple[object, int | None]


class LocalDoor:
    """Accepts connections until `close`."""

    def __init__(self, slots: Slots, key: NodeKey, path: Path) -> None:
        self._slots = slots
        self._key = key
        self._path = path
        self._connections: set[_Connection] = set()
        self._lock = threading.Lock()
        self._none_left = threading.Condition(self._lock)
        self._listener = _listen(path)
        threading.Thread(target=self._accept, name="local door", daemon=True).start()

    def close(self) -> None:
        """Stop listening and end every connection; unpublished files vanish with them."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._path.unlink(missing_ok=True)
        with self._lock:
            for connection in self._connections:
                connection.stop_listening()
            # Whoever is being served gets the answer; then the connection ends.
            self._none_left.wait_for(lambda: not self._connections, timeout=_FINISH_S)
            for connection in self._connections:
                connection.hang_up()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if len(self._connections) >= _MAX_CONNECTIONS:
                    sock.close()
                    continue
                connection = _Connection(sock, self._slots, self._key, self._forget)
                self._connections.add(connection)
            threading.Thread(target=connection.serve, name="local client", daemon=True).start()

    def _forget(self, connection: "_Connection") -> None:
        with self._lock:
            self._connections.discard(connection)
            if not self._connections:
                self._none_left.notify_all()


class _Connection:
    """One client's conversation about one drive."""

    def __init__(
        self,
        sock: socket.socket,
        slots: Slots,
        key: NodeKey,
        forget: "Callable[[_Connection], None]",
    ) -> None:
        self._sock = sock
        self._slots = slots
        self._key = key
        self._forget = forget
        self._files: dict[str, OpenFile] = {}
        self._drive = UUID(int=0)

    def serve(self) -> None:
        try:
            if self._greet():
                while self._serve_one():
                    pass
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.info("local client dropped", extra={"why": repr(error)})
        except Exception:
            log.exception("local client failed")
        finally:
            self._drop_files()
            self._sock.close()
            self._forget(self)

    def stop_listening(self) -> None:
        """Take no further requests; the one being served is answered."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RD)

    def hang_up(self) -> None:
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def _greet(self) -> bool:
        _check_peer(self._sock)
        self._sock.settimeout(_GREETING_TIMEOUT_S)
        ours = secrets.token_hex(16)
        packets.send(self._sock, packets.encode({"objstore": 1, "nonce": ours}))
        packet, _ = packets.receive(self._sock)
        if not packet:
            return False
        hello, _ = packets.decode(packet)
        theirs, drive = str(hello["nonce"]), str(hello["drive"])
        secret = self._key.secret
        expected = capability.greeting(secret, "client", theirs, ours, drive)
        if not hmac.compare_digest(expected.encode(), str(hello["mac"]).encode()):
            self._answer_error(0, CapabilityRefused("The client does not know the node key."))
            return False
        try:
            self._drive = UUID(drive)
            page = self._slots.find(self._drive).page.share()
        except StoreError as error:
            self._answer_error(0, error)
            return False
        proof = capability.greeting(secret, "node", theirs, ours, drive)
        self._answer(packets.encode({"mac": proof}), page)
        self._sock.settimeout(None)
        return True

    def _serve_one(self) -> bool:
        packet, _ = packets.receive(self._sock)
        if not packet:
            return False
        (number, operation, text, arguments), payload = packets.decode(packet)
        try:
            result, fd = self._do(operation, text, arguments, payload)
        except StoreError as error:
            self._answer_error(number, error)
        except (ValueError, KeyError, TypeError) as error:
            self._answer_error(number, InvalidArgument(f"{operation}: {error}"))
        else:
            self._answer(packets.encode([number, result]), fd)
        return True

    def _do(
        self, operation: str, text: str | None, arguments: dict[str, Any], payload: bytes
    ) -> Outcome:
        if operation == "abandon":
            self._abandon(arguments)
            return None, None
        # Found anew each time: another drive may have come to the path meanwhile.
        drive = self._slots.find(self._drive).present()
        name = parse_name(text) if text else None
        if operation == "open":
            fd, size = drive.open(_named(name))
            return size, fd
        if operation == "create":
            return self._create(drive, _named(name), arguments, payload)
        if operation == "publish":
            replace = arguments.get("replace") is True
            drive.publish(self._files[arguments["file"]], replace=replace)
            del self._files[arguments["file"]]
            return None, None
        return _do_plain(drive, operation, name, arguments), None

    def _create(
        self, drive: Drive, name: FileName, arguments: dict[str, Any], payload: bytes
    ) -> Outcome:
        purpose = as_purpose(arguments["purpose"])
        file = drive.create(name, purpose, arguments.get("size"), payload)
        fd = drive.descriptor(file)
        if not file.published:
            self._files[arguments["file"]] = file
        return None, fd

    def _abandon(self, arguments: dict[str, Any]) -> None:
        file = self._files.pop(arguments["file"], None)
        if file is not None:
            with suppress(StoreError):
                self._slots.find(self._drive).present().discard(file)

    def _answer(self, packet: bytes, fd: int | None) -> None:
        try:
            packets.send(self._sock, packet, () if fd is None else (fd,))
        finally:
            if fd is not None:
                os.close(fd)

    def _answer_error(self, number: int, error: StoreError) -> None:
        packets.send(self._sock, packets.encode([number, None, error.code, str(error)]))

    def _drop_files(self) -> None:
        if not self._files:
            return
        with suppress(StoreError):
            drive = self._slots.find(self._drive).present()
            for file in self._files.values():
                drive.discard(file)
        self._files.clear()


def _do_plain(
    drive: Drive, operation: str, name: FileName | None, arguments: dict[str, Any]
) -> object:
    """Operations without descriptors."""
    match operation:
        case "stat":
            found = drive.stat(_named(name))
            return {"size": found.size_bytes, "trashed": found.trashed} if found else None
        case "trash":
            return drive.trash(_named(name))
        case "restore":
            return drive.restore(_named(name))
        case "unlink_trash":
            return drive.unlink_trash(float(arguments["older_than"]))
        case "names":
            limit = min(int(arguments.get("limit", _PAGE_OF_NAMES)), _PAGE_OF_NAMES)
            after = name if isinstance(name, ShardName) else None
            return [str(each) for each in drive.names(after, limit)]
        case "journal":
            limit = min(int(arguments.get("limit", _PAGE_OF_NAMES)), _PAGE_OF_NAMES)
            after_text = str(arguments.get("after", ""))
            return [str(each) for each in drive.journal_names(after_text, limit)]
        case "report_error":
            drive.report_error(_named(name), int(arguments["errno"]))
            return None
        case "space":
            space = drive.space()
            return {
                "size": space.size_bytes,
                "free": space.free_bytes,
                "trash": space.trash_bytes,
                "device": space.device,
            }
    raise OperationNotImplemented(operation=operation)


def _named(name: FileName | None) -> FileName:
    if name is None:
        raise ValueError("a shard name is missing")
    return name


def _check_peer(sock: socket.socket) -> None:
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(credentials)
    if user not in (0, os.geteuid()):
        raise ValueError(f"user {user} may not ask for descriptors")


def _listen(path: Path) -> socket.socket:
    """Bind the socket, in place of one a dead daemon left behind."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with packets.short_path(path) as name:
            listener.bind(name)
        os.chmod(path, 0o600)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise ConfigurationError(f"The socket {path} cannot be made: {error.strerror}.") from None
    return listener

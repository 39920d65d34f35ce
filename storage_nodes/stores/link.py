"""One connection to a node's Unix socket: pipelined requests, answers with descriptors.

Both greetings are checked: the node knows the key, and so do we. Once the connection is lost, every
file received over it is void ("no node, no drive"); the store makes a new one.
"""

import asyncio
import hmac
import logging
import os
import secrets
import select
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from core.errors import BadFormat, CapabilityRefused, NodeUnreachable, StoreError
from storage_nodes.node import capability, packets
from storage_nodes.node.page import PageView
from storage_nodes.shard_name import FileName

log = logging.getLogger(__name__)

Answer = tuple[Any, int | None]


def error_of(code: str, message: str) -> StoreError:
    """The error a node answered with; one this version does not know means: try elsewhere."""
    return StoreError.table.get(code, NodeUnreachable)(message)


class Link:
    """A connection that has been greeted. Belongs to one event loop."""

    def __init__(self, sock: socket.socket, page: PageView) -> None:
        self.page = page
        self.is_alive = True
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._pending: dict[int, asyncio.Future[Answer]] = {}
        # Requests whose answers were given up and have not come: the node is still at the first.
        self._overdue: set[int] = set()
        self._last = 0
        self._sending = asyncio.Lock()
        sock.setblocking(False)
        self._loop.add_reader(sock.fileno(), self._receive)

    @classmethod
    async def connect(cls, path: Path, drive: UUID, secret: bytes, timeout_s: float) -> "Link":
        """NodeUnreachable when nobody listens; the node's error when it lacks the drive."""
        loop = asyncio.get_running_loop()
        sock, page = await loop.run_in_executor(None, _greet, path, drive, secret, timeout_s)
        return cls(sock, page)

    def is_connected(self) -> bool:
        """Whether the node is at the other end now; from any thread, ahead of the event loop."""
        poll = select.poll()
        try:
            poll.register(self._sock, 0)
        except ValueError:
            # The loop closed it at this moment.
            return False
        return not poll.poll(0) and self.is_alive

    @property
    def load(self) -> int:
        """Requests not yet answered."""
        return len(self._pending)

    @property
    def is_overdue(self) -> bool:
        """Whether the node still owes an answer nobody waits for any more: as it answers in order,
        it answers nothing else before.
        """
        return bool(self._overdue)

    async def ask(
        self,
        operation: str,
        name: FileName | None,
        arguments: Mapping[str, object],
        *,
        timeout_s: float,
        payload: bytes = b"",
    ) -> Answer:
        """The result and, where the operation gives one, a descriptor that is now the caller's.

        NodeUnreachable means unknown: the node may have done it.
        """
        self._last += 1
        number = self._last
        text = str(name) if name else None
        packet = packets.encode([number, operation, text, arguments], payload)
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self._pending[number] = answer
        timer = self._loop.call_later(timeout_s, self._expire, number, operation)
        try:
            await self._send(packet, number)
            return await answer
        except asyncio.CancelledError:
            _close_unseen(answer)
            raise
        finally:
            timer.cancel()
            self._pending.pop(number, None)

    def tell(self, operation: str, name: FileName | None, arguments: Mapping[str, object]) -> None:
        """Ask without waiting for the answer, nor for certainty that it was heard."""
        self._last += 1
        text = str(name) if name else None
        if self.is_alive:
            with suppress(OSError):
                packets.send(self._sock, packets.encode([self._last, operation, text, arguments]))

    def close(self) -> None:
        """Hang up; whoever still waits gets NodeUnreachable."""
        if not self.is_alive:
            return
        self.is_alive = False
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(NodeUnreachable("The connection to the node was lost."))

    async def _send(self, packet: bytes, number: int) -> None:
        if not self.is_alive:
            raise NodeUnreachable("The connection to the node was lost.")
        try:
            if not self._sending.locked():
                packets.send(self._sock, packet)
                return
        except BlockingIOError:
            pass
        except OSError as error:
            self.close()
            raise NodeUnreachable(f"The node cannot be reached: {error.strerror}.") from error
        await self._send_when_there_is_room(packet, number)

    async def _send_when_there_is_room(self, packet: bytes, number: int) -> None:
        """Or until nobody waits for the answer any more: a node that hangs makes no room."""
        answer = self._pending[number]
        async with self._sending:
            while self.is_alive and not answer.done():
                try:
                    packets.send(self._sock, packet)
                except BlockingIOError:
                    await self._room(answer)
                except OSError:
                    self.close()
                else:
                    return
        self._overdue.discard(number)  # the node has never heard of it
        if not answer.done():
            raise NodeUnreachable("The connection to the node was lost.")

    async def _room(self, answer: asyncio.Future[Answer]) -> None:
        """Wait until there may be room, or the answer has been settled without it."""
        ready: asyncio.Future[None] = self._loop.create_future()
        either: list[asyncio.Future[Any]] = [ready, answer]
        fd = self._sock.fileno()
        self._loop.add_writer(fd, _set_ready, ready)
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._loop.remove_writer(fd)

    def _expire(self, number: int, operation: str) -> None:
        answer = self._pending[number]
        if not answer.done():
            self._overdue.add(number)
            answer.set_exception(NodeUnreachable(f"The node did not answer {operation} in time."))

    def _receive(self) -> None:
        """All answers that have arrived."""
        try:
            while self.is_alive:
                packet, fds = packets.receive(self._sock)
                if not packet:
                    self.close()
                    return
                self._settle(packet, fds)
        except BlockingIOError:
            return
        except (OSError, ValueError, TypeError) as error:
            log.warning("link to a node dropped", extra={"why": repr(error)})
            self.close()

    def _settle(self, packet: bytes, fds: list[int]) -> None:
        message, _ = packets.decode(packet)
        number, result, *trouble = message
        answer = self._pending.get(number)
        if answer is None or answer.done():
            # Its asker gave up; a descriptor nobody wants is closed.
            self._overdue.discard(number)
            _close_all(fds)
        elif trouble:
            _close_all(fds)
            answer.set_exception(error_of(*trouble))
        else:
            answer.set_result((result, fds[0] if fds else None))


def _greet(
    path: Path, drive: UUID, secret: bytes, timeout_s: float
) -> tuple[socket.socket, PageView]:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        sock.settimeout(timeout_s)
        with packets.short_path(path) as name:
            sock.connect(name)
        hello, _ = packets.decode(packets.receive(sock)[0])
        if hello["objstore"] != 1:
            raise BadFormat(f"The node speaks version {hello['objstore']} of the protocol.")
        ours, theirs = secrets.token_hex(16), str(hello["nonce"])
        proof = capability.greeting(secret, "client", ours, theirs, str(drive))
        message = {"drive": str(drive), "nonce": ours, "mac": proof}
        packets.send(sock, packets.encode(message))
        packet, fds = packets.receive(sock)
        return sock, _accepted(packet, fds, secret, ours, theirs, drive)
    except (OSError, ValueError, KeyError, TypeError) as error:
        sock.close()
        raise NodeUnreachable(f"The node at {path} cannot be reached: {error}.") from error
    except StoreError:
        sock.close()
        raise


def _accepted(
    packet: bytes, fds: list[int], secret: bytes, ours: str, theirs: str, drive: UUID
) -> PageView:
    """The page, once the node has proven that it knows the key."""
    try:
        answer, _ = packets.decode(packet)
        if isinstance(answer, list):
            raise error_of(*answer[2:4])
        expected = capability.greeting(secret, "node", ours, theirs, str(drive))
        if not fds or not hmac.compare_digest(expected.encode(), str(answer["mac"]).encode()):
            raise CapabilityRefused("The node does not know the node key.")
        return PageView(fds.pop(0))
    finally:
        _close_all(fds)


def _set_ready(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def _close_unseen(answer: asyncio.Future[Answer]) -> None:
    """An answer that came at the moment its asker was cancelled is nobody's."""
    if answer.done() and not answer.cancelled() and answer.exception() is None:
        _, fd = answer.result()
        if fd is not None:
            os.close(fd)


def _close_all(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)

"""One request in is one request answered and logged, or a refusal and a closed connection: no bytes
of one request are ever taken for another.

Raw sockets against the live gateway. Every attempt carries, where a careless server would see the
next request, a request for a path that must then be neither answered nor logged. An honest second
one follows on the same connection, so that an answer to the hidden one would come first.
"""

from __future__ import annotations

import itertools
import re
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import sigv4
from core.sigv4_client import Signer
from tests.s3.accounts import Account
from tests.s3.desync_corpus import Framing, corpus
from tests.support.local_store import LocalStore, wait_for

WITHIN_S = 120.0
# So many connections reach every worker of the gateway.
WITNESSES = 24
_RUN = secrets.token_hex(6)
_numbers = itertools.count()
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) [^\r\n]*\r\n")


def path() -> str:
    """A path nobody else asks for."""
    return f"/desync-{_RUN}-{next(_numbers)}"


class Wire:
    """Speaks bytes to the gateway and reads its access log."""

    def __init__(self, store: LocalStore, account: Account) -> None:
        host, _, port = account.endpoint.removeprefix("http://").partition(":")
        self.host = f"{host}:{port}"
        self.hidden: list[str] = []
        self._address = (host, int(port))
        self._endpoint = account.endpoint
        self._logs = Path(store.home, "logs")
        self._signer = Signer(account.access_key, account.secret_key)

    def attempt(self, framing: Framing, method: str, target: str, *, signed: bool) -> bytes:
        """All that came back for one framing."""
        hidden = path()
        self.hidden.append(hidden)
        second = self.get(hidden)
        lines = [f"{method} {target} HTTP/1.1".encode()]
        lines += self._signed(method, target) if signed else [f"Host: {self.host}".encode()]
        head = b"\r\n".join((*lines, *framing.lines)) + b"\r\n\r\n"
        size = str(len(second)).encode()
        body = framing.body.replace(b"HEX", b"%x" % len(second)).replace(b"HIDDEN", second)
        head = head.replace(b"SIZE", size).replace(b"ALL", str(len(body)).encode())
        return self.exchange(head + body)

    def get(self, target: str, *, closes: bool = False) -> bytes:
        close = "Connection: close\r\n" if closes else ""
        return f"GET {target} HTTP/1.1\r\nHost: {self.host}\r\n{close}\r\n".encode()

    def exchange(self, sent: bytes, *, closes: bool = False) -> bytes:
        """What comes back until the server closes. Unless what was sent asks it to, a request that
        does follows the first answer.
        """
        came = b""
        with socket.create_connection(self._address, timeout=WITHIN_S) as connection:
            try:
                connection.sendall(sent)
                while piece := connection.recv(1 << 16):
                    came += piece
                    if not closes and statuses(came):
                        closes = True
                        connection.sendall(self.get(path(), closes=True))
            except TimeoutError:
                raise
            except OSError:
                pass  # it was closed or reset, which is an answer
        return came

    def logged(self) -> str:
        """The access log, once every worker has written what it had to say by now."""
        witnesses = [path() for _ in range(WITNESSES)]
        for witness in witnesses:
            self.exchange(self.get(witness, closes=True), closes=True)

        def text() -> str:
            found = (self._logs / "gateway.log").read_text(errors="replace")
            return found if all(f'"{one}"' in found for one in witnesses) else ""

        return wait_for(text, "the access log to be written")

    def _signed(self, method: str, target: str) -> list[bytes]:
        headers = self._signer.headers(
            method, f"{self._endpoint}{target}", payload_hash=sigv4.UNSIGNED
        )
        return [f"{name}: {value}".encode() for name, value in headers.items()]


def statuses(came: bytes) -> list[int]:
    """Of each final answer in these bytes. Bodies of ours hold no status lines."""
    return [int(found[1]) for found in _STATUS.finditer(came) if found[1] != b"100"]


@pytest.fixture(scope="module")
def wire(store: LocalStore, account: Account) -> Wire:
    return Wire(store, account)


CORPUS = list(corpus())


def attempts(bucket: str) -> Iterator[tuple[str, str, bool]]:
    """Method, path, and whether it is signed: refused early, late, and not at all."""
    yield "GET", path(), False
    yield "PUT", path(), False
    yield "PUT", path() + "é", False  # raw bytes beyond ASCII, which the parser does not take
    yield "PUT", f"/{bucket}/a", True
    yield "POST", f"/{bucket}?delete", True


@pytest.mark.parametrize("framing", CORPUS, ids=lambda framing: framing.name)
def test_no_framing_smuggles_a_second_request(wire: Wire, bucket: str, framing: Framing) -> None:
    for method, target, signed in attempts(bucket):
        came = wire.attempt(framing, method, target, signed=signed)

        # A missing bucket's error names it: an answered request shows in what came back.
        assert wire.hidden[-1].encode() not in came, (method, target, signed)
        # Its own answer, and unless the connection was closed that of the request that followed.
        assert statuses(came)[1:] in ([], [404]), (method, target, signed)


def test_no_hidden_request_is_logged_and_no_other_twice(wire: Wire) -> None:
    before = len(wire.hidden)
    shown = []
    for framing in CORPUS:
        shown.append(path())
        wire.attempt(framing, "PUT", shown[-1], signed=False)

    log = wire.logged()

    assert [one for one in wire.hidden[before:] if f'"{one}"' in log] == []
    assert [one for one in shown if log.count(f'"{one}"') > 1] == []
    assert [one for one in shown if f'"{one}"' in log]


def test_two_requests_sent_together_are_two_answers_in_order(wire: Wire) -> None:
    first, second = path(), path()

    came = wire.exchange(wire.get(first) + wire.get(second, closes=True), closes=True)

    assert came.index(first.encode()) < came.index(second.encode())
    log = wire.logged()
    assert [log.count(f'"{one}"') for one in (first, second)] == [1, 1]

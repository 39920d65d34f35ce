"""Requests exactly as a test writes them, signed or not, and answers exactly as they come."""

from __future__ import annotations

import hashlib
import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit
from xml.etree import ElementTree

from botocore.exceptions import ClientError

from core.sigv4_client import Signer

ANSWER_WITHIN_S = 180.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer: `headers` by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def xml(self) -> ElementTree.Element:
        """The body as a tree without namespaces."""
        root = ElementTree.fromstring(self.body)
        for node in root.iter():
            node.tag = node.tag.rpartition("}")[2]
        return root

    @property
    def code(self) -> str:
        return self.xml.findtext("Code", "")


class Raw:
    """Signs and sends single requests, each on a connection of its own."""

    def __init__(self, endpoint: str, access_key: str, secret_key: str) -> None:
        parts = urlsplit(endpoint)
        assert parts.hostname is not None
        self.endpoint = endpoint
        self.host = parts.hostname
        self.port = parts.port or 80
        self.signer = Signer(access_key, secret_key)

    def __call__(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        payload_hash: str | None = None,
    ) -> Answer:
        """Send a signed request."""
        digest = payload_hash or hashlib.sha256(body).hexdigest()
        signed = self.signer.headers(
            method, f"{self.endpoint}{path}", payload_hash=digest, headers=headers
        )
        return self.unsigned(method, path, headers=signed, body=body)

    def unsigned(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        """Send a request with these headers and no others but Host and Content-Length."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=ANSWER_WITHIN_S)
        try:
            connection.putrequest(
                method, path, skip_host="host" in (headers or {}), skip_accept_encoding=True
            )
            sent = dict(headers or {})
            if body or method in ("PUT", "POST"):
                sent.setdefault("content-length", str(len(body)))
            for name, value in sent.items():
                connection.putheader(name, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            content = answer.read()
            return Answer(
                status=answer.status,
                headers={name.lower(): value for name, value in answer.getheaders()},
                body=content,
            )
        finally:
            connection.close()


def status_and_code(error: ClientError) -> tuple[int, str]:
    """What a refused boto3 call was told."""
    return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]

"""Clients between the walk and the store that lose answers, or what was acknowledged.

Here: what a lossy network does (allowed), and what a broken store would do (never allowed), done to
a sound store from outside. Not here: who must notice (test_model).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from tests.model.client import READS
from tests.s3.raw import Answer, Raw

LOSES = 0.3
EVERY = 3


class Deaf:
    """Some writes are done and their answers lost, others are lost themselves."""

    def __init__(self, raw: Raw, seed: int) -> None:
        self._raw = raw
        self._chance = random.Random(seed)

    def __call__(
        self, method: str, path: str, *, headers: Mapping[str, str] | None, body: bytes
    ) -> Answer:
        if method in READS or self._chance.random() > LOSES:
            return self._raw(method, path, headers=headers, body=body)
        if self._chance.random() < 0.5:
            self._raw(method, path, headers=headers, body=body)
        raise ConnectionResetError


class Tampering:
    """Does something wrong to every third plain PUT or DELETE of an object."""

    def __init__(self, raw: Raw) -> None:
        self.raw = raw
        self._seen = 0

    def __call__(
        self, method: str, path: str, *, headers: Mapping[str, str] | None, body: bytes
    ) -> Answer:
        sent = dict(headers or {})
        if self.is_meant(method, path, sent):
            self._seen += 1
            if self._seen % EVERY == 0:
                return self.tamper(method, path, sent, body)
        return self.raw(method, path, headers=sent, body=body)

    def is_meant(self, method: str, path: str, headers: Mapping[str, str]) -> bool:
        is_object = "/" in path[1:] and "?" not in path
        return method == "PUT" and is_object and "x-amz-copy-source" not in headers

    def tamper(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        raise NotImplementedError


class LosesPuts(Tampering):
    """What was acknowledged is not there."""

    def tamper(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        answer = self.raw(method, path, headers=headers, body=body)
        version = answer.headers.get("x-amz-version-id", "null")
        if answer.status == 200:
            self.raw("DELETE", f"{path}?versionId={version}")
        return answer


class LosesMarkers(Tampering):
    """A delete marker vanishes, and the version below it is back."""

    def is_meant(self, method: str, path: str, headers: Mapping[str, str]) -> bool:
        return method == "DELETE" and "/" in path[1:] and "?" not in path

    def tamper(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        answer = self.raw(method, path, headers=headers, body=body)
        if answer.headers.get("x-amz-delete-marker"):
            self.raw("DELETE", f"{path}?versionId={answer.headers['x-amz-version-id']}")
        return answer


class TearsPuts(Tampering):
    """A put without an answer is done by half: its tags are missing."""

    def is_meant(self, method: str, path: str, headers: Mapping[str, str]) -> bool:
        return super().is_meant(method, path, headers) and "x-amz-tagging" in headers

    def tamper(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        del headers["x-amz-tagging"]
        self.raw(method, path, headers=headers, body=body)
        raise ConnectionResetError


class DelaysPuts(Tampering):
    """A put without an answer that was not done, is done when nobody reckons with it any more."""

    def __init__(self, raw: Raw) -> None:
        super().__init__(raw)
        self._late: Callable[[], object] = lambda: None

    def tamper(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        self._late()
        self._late = lambda: self.raw(method, path, headers=headers, body=body)
        raise ConnectionResetError


WRONGS = (LosesPuts, LosesMarkers, TearsPuts, DelaysPuts)

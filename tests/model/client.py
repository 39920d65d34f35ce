"""What the model asks of the store, each as one signed request; answers as plain values.

Here: requests, XML, pages put together. Not here: what is right (tests.model.reference).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from http.client import HTTPException
from urllib.parse import quote, urlencode
from xml.etree.ElementTree import Element

from hypothesis import reject

from tests.s3.raw import Answer

MAX_PAGES = 1000
OVERLOADED = 503
BUSY = ("ServiceUnavailable", "SlowDown")
# A store whose processes were killed takes this long at most until it answers again.
BACK_WITHIN_S = 60.0
LOOK_EVERY_S = 0.05
READS = ("GET", "HEAD")


class Unanswered(Exception):
    """Nobody was told what became of a write, or not of all of it: `done` are those that were
    acknowledged, by their place among the effects.
    """

    def __init__(self, why: str, done: frozenset[int] = frozenset()) -> None:
        super().__init__(why)
        self.done = done


class Client:
    """One bucket of the live store."""

    def __init__(self, raw: Callable[..., Answer], bucket: str) -> None:
        self.raw = raw
        self.bucket = bucket

    def ask(
        self,
        method: str,
        key: str | None = None,
        query: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        again: bool = False,
    ) -> Answer:
        """The answer. `again`: asking once more does no more than asking once.

        An example proves nothing once the machine is too slow to serve a request.
        """
        answer = self.raw(method, self.path(key, query), headers=headers, body=body)
        if answer.status == OVERLOADED:
            reject()
        assert answer.status < 500, answer.body
        return answer

    def path(self, key: str | None, query: Mapping[str, str] | None) -> str:
        path = f"/{self.bucket}" + (f"/{quote(key)}" if key is not None else "")
        return path + ("?" + urlencode(query, quote_via=quote) if query else "")

    def listing(self, prefix: str, delimiter: str, size: int) -> list[tuple[str, str | None]]:
        """All pages of ListObjectsV2: (key, ETag) or (common prefix, None)."""
        found: list[tuple[str, str | None]] = []
        query = {"list-type": "2", "prefix": prefix, "delimiter": delimiter, "max-keys": str(size)}
        for _ in range(MAX_PAGES):
            root = self.ask("GET", None, query).xml
            page = [(text(one, "Key"), text(one, "ETag")) for one in root.findall("Contents")]
            page += [(text(one, "Prefix"), None) for one in root.findall("CommonPrefixes")]
            assert len(page) == int(text(root, "KeyCount")) <= size
            found += sorted(page, key=lambda pair: pair[0].encode())
            token = root.findtext("NextContinuationToken")
            assert (token is not None) == (text(root, "IsTruncated") == "true")
            if token is None:
                return found
            query["continuation-token"] = token
        raise AssertionError("the listing does not end")

    def versions(self, prefix: str, delimiter: str, size: int) -> list[tuple[str, ...]]:
        """All pages of ListObjectVersions: (key, id, kind, is latest) or (common prefix,)."""
        found: list[tuple[str, ...]] = []
        query = {"versions": "", "prefix": prefix, "delimiter": delimiter, "max-keys": str(size)}
        for _ in range(MAX_PAGES):
            root = self.ask("GET", None, query).xml
            page = []
            for one in root:
                if one.tag in ("Version", "DeleteMarker"):
                    page.append(
                        (text(one, "Key"), text(one, "VersionId"), one.tag, text(one, "IsLatest"))
                    )
            page += [(text(one, "Prefix"),) for one in root.findall("CommonPrefixes")]
            assert len(page) <= size
            found += sorted(page, key=lambda row: row[0].encode())
            if text(root, "IsTruncated") != "true":
                return found
            query["key-marker"] = text(root, "NextKeyMarker")
            query.pop("version-id-marker", None)
            if root.findtext("NextVersionIdMarker"):
                query["version-id-marker"] = text(root, "NextVersionIdMarker")
        raise AssertionError("the listing does not end")

    def uploads(self) -> list[tuple[str, str]]:
        root = self.ask("GET", None, {"uploads": ""}).xml
        return [(text(one, "Key"), text(one, "UploadId")) for one in root.findall("Upload")]

    def parts(self, key: str, upload: str, size: int) -> list[tuple[int, int, str]]:
        """All pages of ListParts: (number, size, ETag)."""
        found: list[tuple[int, int, str]] = []
        query = {"uploadId": upload, "max-parts": str(size)}
        for _ in range(MAX_PAGES):
            root = self.ask("GET", key, query).xml
            found += [
                (int(text(one, "PartNumber")), int(text(one, "Size")), text(one, "ETag").strip('"'))
                for one in root.findall("Part")
            ]
            if text(root, "IsTruncated") != "true":
                return found
            query["part-number-marker"] = text(root, "NextPartNumberMarker")
        raise AssertionError("the listing does not end")


class PatientClient(Client):
    """The same while processes of the store die: reads are asked until they are answered, writes
    once.
    """

    def ask(
        self,
        method: str,
        key: str | None = None,
        query: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        again: bool = False,
    ) -> Answer:
        """The answer; `Unanswered` where that would be a write sent twice."""
        until = time.monotonic() + BACK_WITHIN_S
        why: object
        while True:
            try:
                answer = self.raw(method, self.path(key, query), headers=headers, body=body)
            except TimeoutError:
                raise AssertionError(f"{method} {key!r} hangs") from None
            except ConnectionRefusedError as refused:
                was_heard, why = False, refused
            except (OSError, HTTPException) as lost:
                was_heard, why = True, lost
            else:
                if answer.status != OVERLOADED:
                    assert answer.status < 500, answer.body
                    return answer
                was_heard, why = True, f"{answer.status} {answer.body!r}"
            if was_heard and not again and method not in READS:
                raise Unanswered(str(why))
            assert time.monotonic() < until, f"no answer to {method} {key!r}: {why}"
            time.sleep(LOOK_EVERY_S)


def text(node: Element, name: str) -> str:
    found = node.findtext(name)
    assert found is not None, f"no {name}"
    return found

"""What the model asks of the store, each as one signed request; answers as plain values.

Here: requests, XML, pages put together. Not here: what is right (tests.model.reference).
"""

from __future__ import annotations

from collections.abc import Mapping
from http.client import HTTPException
from urllib.parse import quote, urlencode
from xml.etree.ElementTree import Element

from hypothesis import reject

from tests.s3.raw import Answer, Raw

MAX_PAGES = 1000
OVERLOADED = 503


class Client:
    """One bucket of the live store. `may_be_lost`: requests may go unanswered."""

    def __init__(self, raw: Raw, bucket: str, *, may_be_lost: bool) -> None:
        self._raw = raw
        self._may_be_lost = may_be_lost
        self.bucket = bucket

    def ask(
        self,
        method: str,
        key: str | None = None,
        query: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        """The answer. An example proves nothing once the machine is too slow to serve a request,
        or nobody knows whether it was done.
        """
        path = f"/{self.bucket}" + (f"/{quote(key)}" if key is not None else "")
        if query:
            path += "?" + urlencode(query, quote_via=quote)
        try:
            answer = self._raw(method, path, headers=headers, body=body)
        except (OSError, HTTPException):
            if not self._may_be_lost:
                raise
            reject()
        if answer.status == OVERLOADED:
            reject()
        assert answer.status < 500, answer.body
        return answer

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


def text(node: Element, name: str) -> str:
    found = node.findtext(name)
    assert found is not None, f"no {name}"
    return found

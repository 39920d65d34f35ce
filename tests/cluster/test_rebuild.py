"""The whole store loses its database and three drives, and is rebuilt from the other drives."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.s3.accounts import patient_client
from tests.support.local_store import LocalStore, running_store, wait_for
from tests.support.tables import rows

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

# One in each zone.
LOST = ("node-1/drive-1", "node-2/drive-2", "node-3/drive-3")
COVERED = """
SELECT s.snapshot IS NOT NULL
   AND NOT EXISTS (SELECT FROM change c WHERE (c.xid, c.id) > (s.xid, s.id))
   AND NOT EXISTS (SELECT FROM segment g WHERE g.state IN ('open', 'writing', 'sealed'))
   AND NOT EXISTS (SELECT FROM usage_delta)
FROM journal_state s
"""


@pytest.fixture
def store() -> Iterator[LocalStore]:
    with running_store() as made:
        yield made


class Objects:
    """Everything a client can leave behind."""

    def __init__(self, store: LocalStore) -> None:
        chance = random.Random(12)
        self.client = patient_client(store)
        self.bodies: dict[tuple[str, str, str | None], bytes] = {}
        self.client.create_bucket(Bucket="plain")
        self.client.create_bucket(Bucket="versioned")
        self.client.put_bucket_versioning(
            Bucket="versioned", VersioningConfiguration={"Status": "Enabled"}
        )
        for number in range(40):
            self._put("plain", f"small-{number:02d}", chance.randbytes(2000))
        self._put("plain", "small-00", b"again")
        self._put("plain", "large", chance.randbytes(1_500_000))
        for _ in range(3):
            self._put("versioned", "key", chance.randbytes(3000))
        self.client.delete_object(Bucket="versioned", Key="key")
        self._put("versioned", "gone", b"gone")
        self.forgotten = [key for key in self.bodies if key[1] == "gone"]
        for bucket, key, version in self.forgotten:
            self.client.delete_object(Bucket=bucket, Key=key, VersionId=version)
            del self.bodies[(bucket, key, version)]
        self.client.delete_object(Bucket="plain", Key="small-01")
        del self.bodies[("plain", "small-01", None)]
        self.parts = [chance.randbytes(100_000), chance.randbytes(10)]
        self.upload = self.client.create_multipart_upload(Bucket="plain", Key="multipart")
        self.etag = self._send(1)

    def complete(self) -> None:
        """The upload that was open all the while."""
        parts = [
            {"PartNumber": 1, "ETag": self.etag},
            {"PartNumber": 2, "ETag": self._send(2)},
        ]
        self.client.complete_multipart_upload(
            Bucket="plain",
            Key="multipart",
            UploadId=self.upload["UploadId"],
            MultipartUpload={"Parts": parts},
        )
        self.bodies[("plain", "multipart", None)] = b"".join(self.parts)

    def read(self) -> dict[tuple[str, str, str | None], bytes]:
        found = {}
        for bucket, key, version in self.bodies:
            given = {"VersionId": version} if version else {}
            answer = self.client.get_object(Bucket=bucket, Key=key, **given)
            found[(bucket, key, version)] = answer["Body"].read()
        return found

    def _put(self, bucket: str, key: str, body: bytes) -> None:
        answer = self.client.put_object(Bucket=bucket, Key=key, Body=body)
        self.bodies[(bucket, key, answer.get("VersionId"))] = body

    def _send(self, number: int) -> str:
        answer = self.client.upload_part(
            Bucket="plain",
            Key="multipart",
            UploadId=self.upload["UploadId"],
            PartNumber=number,
            Body=self.parts[number - 1],
        )
        return str(answer["ETag"])


def test_a_store_without_its_database_and_three_drives_is_rebuilt(store: LocalStore) -> None:
    objects = Objects(store)
    before = at_rest(store)
    store.kill_everything()
    shutil.rmtree(store.home / "postgresql")
    for lost in LOST:
        shutil.rmtree(store.home / "drives" / lost)

    report = store.manage_json("rebuild")
    store.start()
    after = rows(store.database_url)

    assert [len(report[name]) for name in ("drives_missing", "gaps", "segments_lost")] == [3, 0, 0]  # type: ignore[arg-type]
    assert report["not_placed"] == {}
    assert report["secrets"] == "open with this home's master key"
    assert differences(before, after) == {}
    assert objects.read() == objects.bodies
    listed = objects.client.list_object_versions(Bucket="versioned")
    assert {each["Key"] for each in listed["Versions"]} == {"key"}
    assert [each["Key"] for each in listed["DeleteMarkers"]] == ["key"]
    objects.complete()
    assert objects.read() == objects.bodies


def at_rest(store: LocalStore) -> dict[str, list[dict[str, Any]]]:
    """All rows, once nothing moves any more and the journal has everything."""
    settled: list[dict[str, list[dict[str, Any]]]] = []

    def is_at_rest() -> bool:
        first = rows(store.database_url)
        with psycopg.connect(store.database_url) as opened:
            [covered] = opened.execute(COVERED).fetchone() or (False,)
        settled[:] = [rows(store.database_url)]
        return bool(covered) and settled[0] == first

    wait_for(is_at_rest, "the store to come to rest", within_s=300.0, tail=store.log_tail)
    return settled[0]


def differences(
    before: dict[str, list[dict[str, Any]]], after: dict[str, list[dict[str, Any]]]
) -> dict[str, object]:
    """What is not the same; where shards are has changed by then, as they are being repaired."""
    for tables in (before, after):
        tables["segment"] = [
            {name: value for name, value in row.items() if name != "drives"}
            for row in tables["segment"]
            if row["state"] != "dead"
        ]
        tables["extent"] = [row for row in tables["extent"] if row["segment_id"]]
    return {
        table: (before[table], after[table]) for table in before if before[table] != after[table]
    }


def test_a_store_that_runs_is_not_rebuilt(store: LocalStore) -> None:
    with pytest.raises(AssertionError, match="already runs"):
        store.manage("rebuild")


def test_drives_of_nothing_are_refused(store: LocalStore, tmp_path: Path) -> None:
    store.kill_everything()
    (tmp_path / "empty").mkdir()

    with pytest.raises(AssertionError, match="No drive was found"):
        store.manage("rebuild", "--drive", str(tmp_path / "empty"))

"""Presigned URLs as aws-sdk-js makes them: what it was told of the object is in the query."""

from __future__ import annotations

import urllib.request

import pytest
from botocore.client import BaseClient

from tests.clients.commands import Program
from tests.clients.conftest import BUCKET

pytestmark = [pytest.mark.cluster, pytest.mark.clients]


@pytest.mark.parametrize("client", ["aws-sdk-js"], indirect=True)
def test_an_object_put_by_url_has_the_metadata_the_url_was_made_with(
    client: Program, witness: BaseClient, prefix: str
) -> None:
    url = client.ask("presign_put", prefix + "a", "blue", "STANDARD_IA").decode()

    request = urllib.request.Request(url, data=b"content", method="PUT")
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200

    kept = witness.get_object(Bucket=BUCKET, Key=prefix + "a")
    assert kept["Body"].read() == b"content"
    assert (kept["Metadata"], kept["StorageClass"]) == ({"colour": "blue"}, "STANDARD_IA")

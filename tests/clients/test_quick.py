"""The clients that PyPI has, each on a small load: these run in every `make test`."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from tests.clients.tools import Client, digest, digests, make_file, make_tree

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

MIB = 1 << 20


def test_awscli_syncs_a_tree_up_and_down_again(client: Client, bucket, tmp_path):
    make_tree(tmp_path / "up", 60)

    client.aws("s3", "sync", str(tmp_path / "up"), f"s3://{bucket}/tree")
    client.aws("s3", "sync", f"s3://{bucket}/tree", str(tmp_path / "down"))

    assert digests(tmp_path / "down") == digests(tmp_path / "up")


def test_awscli_copies_a_large_file_both_ways(client: Client, bucket, tmp_path):
    make_file(tmp_path / "up", 20 * MIB)

    client.aws("s3", "cp", str(tmp_path / "up"), f"s3://{bucket}/large")
    client.aws("s3", "cp", f"s3://{bucket}/large", str(tmp_path / "down"))

    assert digest(tmp_path / "down") == digest(tmp_path / "up")


def test_awscli_removes_what_it_lists(client: Client, bucket, tmp_path):
    make_tree(tmp_path / "up", 20)
    client.aws("s3", "cp", "--recursive", str(tmp_path / "up"), f"s3://{bucket}/")
    assert len(client.aws("s3", "ls", "--recursive", f"s3://{bucket}/").splitlines()) == 20

    client.aws("s3", "rm", "--recursive", f"s3://{bucket}/")

    assert client.aws("s3", "ls", "--recursive", f"s3://{bucket}/") == ""


def test_s5cmd_copies_a_tree_up_and_down_again(client: Client, bucket, tmp_path):
    make_tree(tmp_path / "up", 60)
    (tmp_path / "down").mkdir()

    client.s5cmd("cp", f"{tmp_path}/up/", f"s3://{bucket}/tree/")
    client.s5cmd("cp", f"s3://{bucket}/tree/*", f"{tmp_path}/down/")
    client.s5cmd("rm", f"s3://{bucket}/tree/*")

    assert digests(tmp_path / "down") == digests(tmp_path / "up")


def test_s5cmd_sends_a_large_file_in_parts(client: Client, bucket, tmp_path):
    make_file(tmp_path / "up", 12 * MIB)

    client.s5cmd("cp", "--part-size", "5", str(tmp_path / "up"), f"s3://{bucket}/large")
    client.s5cmd("cp", f"s3://{bucket}/large", str(tmp_path / "down"))

    assert digest(tmp_path / "down") == digest(tmp_path / "up")


def test_boto3_puts_overwrites_reads_ranges_and_deletes(s3, bucket):
    for body in (b"first", b"the second"):
        s3.put_object(Bucket=bucket, Key="key", Body=body, Metadata={"colour": "blue"})

    whole = s3.get_object(Bucket=bucket, Key="key")
    part = s3.get_object(Bucket=bucket, Key="key", Range="bytes=4-9")
    s3.delete_object(Bucket=bucket, Key="key")

    assert whole["Body"].read() == b"the second"
    assert whole["Metadata"] == {"colour": "blue"}
    assert part["Body"].read() == b"second"
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket=bucket, Key="key")


def test_boto3_uploads_in_parts_with_its_default_checksums(s3, bucket, tmp_path):
    make_file(tmp_path / "up", 13 * MIB + 5)
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)

    s3.upload_file(str(tmp_path / "up"), bucket, "large", Config=config)
    s3.download_file(bucket, "large", str(tmp_path / "down"))

    assert digest(tmp_path / "down") == digest(tmp_path / "up")
    assert s3.head_object(Bucket=bucket, Key="large")["ETag"].endswith('-3"')


def test_boto3_pages_through_a_listing_and_deletes_it_in_batches(s3, bucket):
    keys = [f"{number % 5}/{number:04d}" for number in range(300)]
    chance = random.Random(2)

    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda key: s3.put_object(Bucket=bucket, Key=key, Body=chance.randbytes(9)), keys
            )
        )
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": 70}
    )
    listed = [entry["Key"] for page in pages for entry in page["Contents"]]
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})

    assert listed == sorted(keys)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0

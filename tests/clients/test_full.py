"""The long forms: thousands of files, gigabytes, and clients that are fetched for the occasion.

`make clients` runs what is installed; with CLIENTS=full the sizes are those of the release.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.tools import Client, digest, digests, make_file, make_tree
from tests.support.local_store import LocalStore, running_store

pytestmark = [pytest.mark.clients, pytest.mark.timeout(3600)]

FULL = os.environ.get("CLIENTS") == "full"
FILES = 5_000 if FULL else 500
LARGE = (2 << 30) if FULL else (200 << 20)
PYTHON_CLIENTS = ["s3cmd", "minio", "s3fs", "smart_open[s3]", "obstore", "pyarrow"]


@pytest.fixture(scope="module")
def store() -> Iterator[LocalStore]:
    """A store as `make run` starts it."""
    with running_store({}) as made:
        yield made


@pytest.fixture(scope="module")
def other_clients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with Python clients the tests do not otherwise need; its bin."""
    folder = tmp_path_factory.mktemp("clients") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, *PYTHON_CLIENTS], check=True)
    return folder / "bin"


def test_awscli_syncs_thousands_of_files(client: Client, bucket, tmp_path):
    make_tree(tmp_path / "up", FILES)

    client.aws("s3", "sync", "--only-show-errors", str(tmp_path / "up"), f"s3://{bucket}")
    client.aws("s3", "sync", "--only-show-errors", f"s3://{bucket}", str(tmp_path / "down"))

    assert digests(tmp_path / "down") == digests(tmp_path / "up")


def test_awscli_copies_gigabytes(client: Client, bucket, tmp_path):
    make_file(tmp_path / "up", LARGE)

    client.aws("s3", "cp", "--only-show-errors", str(tmp_path / "up"), f"s3://{bucket}/large")
    client.aws("s3", "cp", "--only-show-errors", f"s3://{bucket}/large", str(tmp_path / "down"))

    assert digest(tmp_path / "down") == digest(tmp_path / "up")


def test_s5cmd_syncs_thousands_of_files(client: Client, bucket, tmp_path):
    make_tree(tmp_path / "up", FILES, seed=2)
    (tmp_path / "down").mkdir()

    client.s5cmd("sync", f"{tmp_path}/up/", f"s3://{bucket}/")
    client.s5cmd("sync", f"s3://{bucket}/*", f"{tmp_path}/down/")

    assert digests(tmp_path / "down") == digests(tmp_path / "up")


def test_s3cmd_puts_gets_and_removes(client: Client, bucket, tmp_path, other_clients):
    make_file(tmp_path / "up", 40 << 20)
    host = client.access.endpoint.removeprefix("http://")
    s3cmd = [str(other_clients / "python"), str(other_clients / "s3cmd"), "--no-ssl"]
    s3cmd += [f"--host={host}", f"--host-bucket={host}", "--region=us-east-1"]

    client.run([*s3cmd, "put", str(tmp_path / "up"), f"s3://{bucket}/file"])
    client.run([*s3cmd, "get", f"s3://{bucket}/file", str(tmp_path / "down")])
    client.run([*s3cmd, "del", f"s3://{bucket}/file"])

    assert digest(tmp_path / "down") == digest(tmp_path / "up")


SCRIPTS = {
    "minio": """
import io, os, minio, random
client = minio.Minio(HOST, KEY, SECRET, secure=False, region="us-east-1")
body = random.Random(1).randbytes(12 << 20)
client.put_object(BUCKET, "a/file", io.BytesIO(body), len(body), part_size=5 << 20)
assert client.get_object(BUCKET, "a/file").read() == body
assert client.get_object(BUCKET, "a/file", offset=5, length=9).read() == body[5:14]
assert [o.object_name for o in client.list_objects(BUCKET, recursive=True)] == ["a/file"]
client.remove_object(BUCKET, "a/file")
""",
    "s3fs": """
import s3fs, random
fs = s3fs.S3FileSystem(key=KEY, secret=SECRET, endpoint_url=ENDPOINT)
body = random.Random(1).randbytes(12 << 20)
with fs.open(f"{BUCKET}/a/file", "wb", block_size=5 << 20) as out:
    out.write(body)
assert fs.cat(f"{BUCKET}/a/file") == body
assert fs.ls(f"{BUCKET}/a") == [f"{BUCKET}/a/file"]
fs.rm(f"{BUCKET}/a/file")
""",
    "smart_open": """
import boto3, smart_open, random
client = boto3.client("s3", endpoint_url=ENDPOINT, aws_access_key_id=KEY,
                      aws_secret_access_key=SECRET, region_name="us-east-1")
body = random.Random(1).randbytes(12 << 20)
params = {"client": client}
with smart_open.open(f"s3://{BUCKET}/file", "wb", transport_params=params) as out:
    out.write(body)
with smart_open.open(f"s3://{BUCKET}/file", "rb", transport_params=params) as found:
    assert found.read() == body
""",
    "obstore": """
import obstore, random
from obstore.store import S3Store
store = S3Store(BUCKET, endpoint=ENDPOINT, access_key_id=KEY, secret_access_key=SECRET,
                region="us-east-1", client_options={"allow_http": True},
                virtual_hosted_style_request=False)
body = random.Random(1).randbytes(12 << 20)
obstore.put(store, "a/file", body)
assert bytes(obstore.get(store, "a/file").bytes()) == body
assert bytes(obstore.get_range(store, "a/file", start=5, length=9)) == body[5:14]
assert [o["path"] for o in obstore.list(store).collect()] == ["a/file"]
obstore.delete(store, "a/file")
""",
    "pyarrow": """
import random
from pyarrow import fs
s3 = fs.S3FileSystem(access_key=KEY, secret_key=SECRET, endpoint_override=HOST, scheme="http",
                     region="us-east-1")
body = random.Random(1).randbytes(12 << 20)
with s3.open_output_stream(f"{BUCKET}/a/file") as out:
    out.write(body)
with s3.open_input_file(f"{BUCKET}/a/file") as found:
    assert found.read() == body
    assert found.read_at(9, 5) == body[5:14]
s3.delete_file(f"{BUCKET}/a/file")
""",
}


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_a_python_client_does_its_everyday_work(
    name, client: Client, bucket, other_clients, tmp_path
):
    access = client.access
    given = {
        "HOST": access.endpoint.removeprefix("http://"),
        "ENDPOINT": access.endpoint,
        "KEY": access.access_key,
        "SECRET": access.secret_key,
        "BUCKET": bucket,
    }
    script = tmp_path / "script.py"
    script.write_text("\n".join(f"{k} = {v!r}" for k, v in given.items()) + SCRIPTS[name])

    client.run([str(other_clients / "python"), str(script)])


def test_rclone_syncs_a_tree(client: Client, bucket, tmp_path):
    rclone = shutil.which("rclone")
    if rclone is None:
        pytest.skip("rclone is not installed (Debian: apt install rclone)")
    make_tree(tmp_path / "up", 200, seed=3)
    settings = {
        "RCLONE_CONFIG_OWN_TYPE": "s3",
        "RCLONE_CONFIG_OWN_PROVIDER": "Other",
        "RCLONE_CONFIG_OWN_ENV_AUTH": "true",
        "RCLONE_CONFIG_OWN_REGION": client.access.region,
        "RCLONE_CONFIG_OWN_ENDPOINT": client.access.endpoint,
    }

    client.run([rclone, "sync", f"{tmp_path}/up", f"own:{bucket}"], settings)
    client.run([rclone, "sync", f"own:{bucket}", f"{tmp_path}/down"], settings)
    client.run([rclone, "check", f"{tmp_path}/up", f"own:{bucket}"], settings)

    assert digests(tmp_path / "down") == digests(tmp_path / "up")

"""The daemon as a process: stops, crashes at named points, strangers at its doors."""

import json
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from core import config as configuration
from core import failpoints
from core.errors import CapabilityRefused, DriveGone, NodeUnreachable, StoreError
from storage_nodes.node.identity import format_drive
from storage_nodes.shard_name import ShardName
from storage_nodes.stores.http import HttpNode, HttpShardStore
from tests.support.nodes import RunningNode, eventually, files_below
from tests.support.repository import REPOSITORY
from tests.support.shard_stores import content, publish

pytestmark = pytest.mark.cluster


async def test_a_stop_is_clean_and_keeps_what_was_published(
    own: RunningNode, name: ShardName
) -> None:
    store = own.local()
    await publish(store, name, b"bytes")
    await (await store.create(ShardName(uuid4(), 1, 0), purpose="shard")).write(0, [b"lost"])

    assert own.stop() == 0
    assert not own.socket.exists()
    assert len(files_below(own.paths[0] / "shards")) == 1
    own.start()
    assert await content(store, name) == b"bytes"
    await store.close()


@pytest.mark.parametrize("door", ["local", "http"])
@pytest.mark.parametrize(
    ("point", "survives"),
    [
        ("node.write.before_fsync", False),
        ("node.publish.before_link", False),
        ("node.publish.before_folder_sync", True),
        ("node.publish.before_reply", True),
    ],
)
async def test_killed_while_publishing_a_shard_is_whole_or_absent(
    own: RunningNode, name: ShardName, door: str, point: str, survives: bool
) -> None:
    store = getattr(own, door)()
    file = await store.create(name, purpose="shard")
    await file.write(0, [b"bytes"])
    own.arm(f"{point}=kill")
    with pytest.raises(NodeUnreachable):
        await file.publish()
    own.wait_dead()
    await store.close()
    assert [entry[0] for entry in failpoints.fired(own.home)] == [point]

    (own.home / "failpoints").unlink()
    own.start()
    again = getattr(own, door)()
    # A process died, not the machine: what was linked is there, whole; the rest left nothing.
    found = await again.stat(name)
    assert (found is not None) == survives
    if survives:
        assert await content(again, name) == b"bytes"
    assert files_below(own.paths[0] / "tmp") == []
    await again.close()


async def test_an_error_of_the_device_fences_its_drive_for_good(
    own: RunningNode, name: ShardName
) -> None:
    store = own.http()
    own.arm("node.write.before_fsync=raise:EIO")
    with pytest.raises(StoreError, match="DriveFenced"):
        await store.create(name, purpose="pack", header=b"head")
    own.kill()
    own.start()
    await store.close()

    store = own.http()
    with pytest.raises(StoreError, match="DriveFenced"):
        await store.create(name, purpose="pack", header=b"head")
    await store.clear_fence()
    await publish(store, name, b"bytes")
    await store.close()


async def test_a_drive_formatted_later_is_taken_up(own: RunningNode, name: ShardName) -> None:
    store = own.http()
    (own.paths[0] / "objstore.json").unlink()
    await eventually(lambda: store.stat(name), DriveGone)

    for path in sorted(own.paths[0].iterdir()):
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()
    fresh = format_drive(own.paths[0], own.key.cluster)
    other = HttpShardStore(fresh.drive, store.node)
    await eventually(lambda: other.stat(name), None)
    await store.close()


async def test_the_node_describes_its_drives(shared: RunningNode) -> None:
    store = shared.http()
    found = await store.node.drives(shared.name)
    await store.close()

    assert found["node"] == shared.name
    assert [drive["uuid"] for drive in found["drives"]] == [str(uuid) for uuid in shared.drives]
    drive = found["drives"][0]
    assert drive["state"] == "serving"
    assert drive["path"] == str(shared.paths[0])
    assert 0 < drive["free"] <= drive["size"]


async def test_without_a_capability_only_health_is_answered(
    shared: RunningNode, name: ShardName
) -> None:
    drive = f"{shared.address}/drives/{shared.drives[0]}"
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{shared.address}/health") as answer:
            assert (answer.status, await answer.text()) == (200, "OK")
        for method, path in (
            ("GET", f"{shared.address}/drives"),
            ("GET", f"{drive}/space"),
            ("GET", f"{drive}/shards"),
            ("GET", f"{drive}/shards/{name}?offset=0&length=1"),
            ("POST", f"{drive}/shards/{name}/trash"),
            ("POST", f"{drive}/clear_fence"),
            ("POST", f"{drive}/files/{'0' * 32}?name={name}&purpose=pack"),
        ):
            async with session.request(method, path) as answer:
                assert (path, answer.status) == (path, 403)


async def test_a_capability_of_another_key_opens_nothing(
    shared: RunningNode, name: ShardName
) -> None:
    node = HttpNode(shared.address, secret=bytes(32), timeout_s=60)
    with pytest.raises(CapabilityRefused):
        await HttpShardStore(shared.drives[0], node).stat(name)
    await node.close()


async def test_a_name_that_is_no_shards_is_refused(shared: RunningNode) -> None:
    node = shared.http_node()
    drive = str(shared.drives[0])
    for path in ("shards/..%2F..%2Fobjstore.json/stat", "shards/objstore.json/stat"):
        with pytest.raises(StoreError, match="InvalidArgument"):
            await node.ask("GET", f"/drives/{drive}/{path}", operation="stat", subject=drive)
    await node.close()


def start(home: Path, *drives: str, port: int = 0) -> subprocess.CompletedProcess[str]:
    """Start a daemon that is expected not to start."""
    key = ["--key-file", str(home / "keys" / "node.key")]
    arguments = ["--node", "second", "--port", str(port), *key, "--drives", *drives]
    return subprocess.run(
        [sys.executable, "-m", "storage_nodes.node", *arguments],
        cwd=REPOSITORY,
        env=configuration.environment({"OBJSTORE_HOME": str(home)}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_taken_port_is_one_sentence_and_touches_nothing(
    shared: RunningNode, tmp_path: Path
) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "node.key").write_text((shared.home / "keys" / "node.key").read_text())
    port = int(shared.address.rpartition(":")[2])
    ended = start(tmp_path, str(tmp_path / "drive"), port=port)

    assert ended.returncode == 1
    assert ended.stderr.strip().endswith("Address already in use.")
    assert not (tmp_path / "drive").exists()


def test_a_missing_key_is_one_sentence(tmp_path: Path) -> None:
    ended = start(tmp_path, str(tmp_path / "drive"))

    assert ended.returncode == 1
    assert ended.stderr == f"There is no node key at {tmp_path}/keys/node.key.\n"


def test_logs_are_json_lines(shared: RunningNode) -> None:
    lines = [json.loads(line) for line in shared.log().splitlines()]

    assert {"drive served", "node ready"} <= {line["msg"] for line in lines}

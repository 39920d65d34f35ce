"""The whole store on one machine: it starts, is killed in every way, and carries on."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import processes
from tests.s3.accounts import patient_client
from tests.support.local_store import LocalStore, wait_for
from tests.support.repository import REPOSITORY

pytestmark = pytest.mark.cluster

BODY = bytes(range(256)) * 300
LONG_ENOUGH_S = 180


@pytest.fixture(scope="module")
def module_store() -> Iterator[LocalStore]:
    # Not pytest's: another run of it may take the folder away.
    home = Path(tempfile.mkdtemp(prefix="objstore-make-run-"))
    home.chmod(0o755)  # as root, PostgreSQL is another user
    store = LocalStore(home)
    yield store
    store.stop()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def store(module_store: LocalStore) -> LocalStore:
    """A running store, whatever the test before did to it."""
    if not (module_store.has_runner() and module_store.is_ready()):
        module_store.stop()
        module_store.start()
    return module_store


def _put(store: LocalStore, bucket: str) -> None:
    client = patient_client(store)
    client.create_bucket(Bucket=bucket)
    client.put_object(Bucket=bucket, Key="kept", Body=BODY)


def _kept(store: LocalStore, bucket: str) -> bytes:
    return patient_client(store).get_object(Bucket=bucket, Key="kept")["Body"].read()


def _pids(store: LocalStore, role: str) -> list[int]:
    return [pid for pid, found in processes.of_home(store.home).items() if found == role]


def test_the_run_after_a_killed_runner_carries_on(store: LocalStore) -> None:
    _put(store, "runner")

    store.kill_runner()
    store.start()

    assert _kept(store, "runner") == BODY


def test_everything_killed_at_once_is_carried_on_by_the_next_run(store: LocalStore) -> None:
    _put(store, "everything")

    store.kill_everything()
    store.start()

    assert _kept(store, "everything") == BODY


@pytest.mark.parametrize("role", ["gateway", "node", "postgres"])
def test_a_killed_process_is_started_again(store: LocalStore, role: str) -> None:
    _put(store, f"killed-{role}")
    killed = _pids(store, role)

    for pid in killed:
        os.kill(pid, signal.SIGKILL)

    def is_back() -> bool:
        new = set(_pids(store, role)) - set(killed)
        return bool(new) and store.is_ready()

    wait_for(is_back, f"{role} to be back", within_s=LONG_ENOUGH_S, tail=store.log_tail)
    assert _kept(store, f"killed-{role}") == BODY


def test_ctrl_c_stops_everything_it_started(store: LocalStore) -> None:
    code = store.interrupt()

    assert code == 0
    assert processes.of_home(store.home) == {}


def test_the_key_is_for_the_owner_only(store: LocalStore) -> None:
    mode = (store.home / "credentials.json").stat().st_mode

    assert stat.S_IMODE(mode) == 0o600


def test_a_second_run_of_one_home_is_refused_in_one_sentence(store: LocalStore) -> None:
    done = _run(store.environment())

    assert done.returncode == 1
    assert "already runs" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_taken_port_is_refused_in_one_sentence(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        done = _run({**store.environment(), "OBJSTORE_S3_PORT": str(port)})

    assert done.returncode == 1
    assert f"Port {port}" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_setting_nobody_knows_is_refused_in_one_sentence(tmp_path: Path) -> None:
    done = _run({**LocalStore(tmp_path).environment(), "OBJSTORE_S3_PROT": "9000"})

    assert done.returncode == 1
    assert "OBJSTORE_S3_PROT" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def _run(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "objstore_site.local"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LONG_ENOUGH_S,
        check=False,
    )

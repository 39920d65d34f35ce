"""What keeps a store from starting is one sentence."""

from __future__ import annotations

import os
import shutil
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from core.config import Config
from objstore_site.local.complaint import Complaint
from objstore_site.local.home import Home
from objstore_site.local.ports import refuse_taken_ports


def test_a_second_runner_of_one_home_is_refused(tmp_path: Path) -> None:
    first, second = Home(tmp_path), Home(tmp_path)
    first.prepare()
    first.lock()

    with pytest.raises(Complaint, match=f"already runs \\(process {os.getpid()}\\)"):
        second.lock()


def test_a_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")

    with pytest.raises(Complaint, match="cannot be used"):
        Home(tmp_path / "home").prepare()


def test_a_full_disk_is_said_in_mebibytes(tmp_path: Path) -> None:
    more_than_there_is = shutil.disk_usage(tmp_path).total * 2

    with pytest.raises(Complaint, match=r"is full: \d+ MiB are free"):
        Home(tmp_path, more_than_there_is).prepare()


def test_secrets_are_for_the_owner_only(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()

    assert (home.path / "keys").stat().st_mode & 0o077 == 0


def test_a_home_far_down_gets_short_socket_paths(tmp_path: Path) -> None:
    home = Home(tmp_path / ("deep" * 20))
    home.prepare()

    sockets = home.sockets()

    assert len(str(sockets / "postgresql" / ".s.PGSQL.5432")) <= 107
    sockets.rmdir()


def test_a_home_near_the_root_keeps_its_sockets() -> None:
    assert Home(Path("/srv/store")).sockets() == Path("/srv/store/run")


def _config(tmp_path: Path, **ports: str) -> Config:
    names = {"S3": "1", "CONSOLE": "2", "METRICS": "3", "NODE": "4", **ports}
    variables = {f"OBJSTORE_{name}_PORT": port for name, port in names.items()}
    return Config.from_env({"OBJSTORE_HOME": str(tmp_path), **variables})


def test_a_taken_port_is_named_with_its_variable(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(Complaint, match=f"Port {port} on 127.0.0.1.*Set OBJSTORE_S3_PORT"):
            refuse_taken_ports(_config(tmp_path, S3=str(port)))


def test_two_doors_on_one_port_are_refused(tmp_path: Path) -> None:
    config = _config(tmp_path)
    same = replace(config, s3=replace(config.s3, port=0), console=replace(config.console, port=0))

    with pytest.raises(Complaint, match="both ask for port 0"):
        refuse_taken_ports(same)

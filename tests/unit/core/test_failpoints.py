"""Failpoints: arming, counting, firing once among processes, the record of firings."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from core import failpoints
from core.config import Config, override
from core.errors import FailpointRaised
from core.failpoints import Failpoint
from tests.support.repository import REPOSITORY

_numbers = count()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    with override(Config.from_env({"OBJSTORE_HOME": str(tmp_path)})):
        failpoints.arm("")
        yield tmp_path
    failpoints.arm("")


@pytest.fixture
def point(home: Path) -> Iterator[Failpoint]:
    made = failpoints.declare(f"test.point{next(_numbers)}", point="C1", doc="a test")
    yield made
    failpoints.forget(made)


def write_control_file(home: Path, text: str) -> None:
    draft = home / "failpoints.new"
    draft.write_text(text)
    draft.replace(home / "failpoints")
    failpoints.look_again()


def test_an_unarmed_point_does_nothing(point: Failpoint, home: Path) -> None:
    point.hit()

    assert failpoints.fired(home) == []


def test_a_declared_point_is_in_the_registry(point: Failpoint) -> None:
    assert failpoints.registry()[point.name] is point


def test_an_armed_point_raises(point: Failpoint) -> None:
    failpoints.arm(f"{point.name}=raise")

    with pytest.raises(FailpointRaised):
        point.hit()


def test_an_armed_point_raises_the_named_error(point: Failpoint) -> None:
    failpoints.arm(f"{point.name}=raise:ENOSPC")

    with pytest.raises(OSError, match="No space left"):
        point.hit()


async def test_an_armed_point_raises_when_reached(point: Failpoint) -> None:
    failpoints.arm(f"{point.name}=raise")

    with pytest.raises(FailpointRaised):
        await point.reach()


def test_only_the_nth_hit_fires(point: Failpoint, home: Path) -> None:
    failpoints.arm(f"{point.name}=raise@3")

    point.hit()
    point.hit()
    with pytest.raises(FailpointRaised):
        point.hit()
    point.hit()

    assert len(failpoints.fired(home)) == 1


def test_a_star_fires_every_time_from_the_nth(point: Failpoint, home: Path) -> None:
    failpoints.arm(f"{point.name}=delay:1@2*")

    for _ in range(4):
        point.hit()

    assert len(failpoints.fired(home)) == 3


def test_a_firing_is_on_record_with_its_process(point: Failpoint, home: Path) -> None:
    failpoints.arm(f"{point.name}=delay:1")

    point.hit()

    [(name, pid, action)] = failpoints.fired(home)
    assert (name, action) == (point.name, "delay")
    assert pid > 0


def test_the_control_file_arms(point: Failpoint, home: Path) -> None:
    write_control_file(home, f"{point.name}=raise\n")

    with pytest.raises(FailpointRaised):
        point.hit()


def test_one_writing_of_the_control_file_fires_once(point: Failpoint, home: Path) -> None:
    write_control_file(home, f"{point.name}=raise")
    with pytest.raises(FailpointRaised):
        point.hit()

    failpoints.arm("")  # as in a process started anew, nothing is remembered
    failpoints.look_again()
    point.hit()

    assert len(failpoints.fired(home)) == 1


def test_removing_the_control_file_disarms(point: Failpoint, home: Path) -> None:
    write_control_file(home, f"{point.name}=raise")
    (home / "failpoints").unlink()
    failpoints.look_again()

    point.hit()


@pytest.mark.parametrize("spec", ["a", "a=explode", "a=kill@x", "=kill"])
def test_a_wrong_arming_is_refused(spec: str) -> None:
    with pytest.raises(ValueError):
        failpoints.parse(spec)


def test_several_armings_are_read_from_lines_and_semicolons() -> None:
    assert failpoints.parse("a=kill@2; b=delay:5*\n# no\nc=off") == {
        "a": ("kill", "", 2, False),
        "b": ("delay", "5", 1, True),
        "c": ("off", "", 1, False),
    }


def test_a_killed_process_leaves_its_firing_behind(tmp_path: Path) -> None:
    program = (
        "from core import failpoints\n"
        "failpoints.declare('test.kill', point='C1', doc='a test').hit()\n"
        "print('survived')\n"
    )
    environment = {"OBJSTORE_HOME": str(tmp_path), "OBJSTORE_FAILPOINTS": "test.kill=kill"}

    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=REPOSITORY,
        capture_output=True,
        timeout=120,
        check=False,
    )

    assert ended.returncode == -9
    assert b"survived" not in ended.stdout
    assert failpoints.fired(tmp_path)[0][0] == "test.kill"

"""Containers and units start what exists, and copy what is imported."""

from __future__ import annotations

import os
import re

import pytest
import yaml

from core.config import settings
from objstore_site.local import plan
from objstore_site.serve import ROLES
from tests.support.repository import PACKAGES, REPOSITORY

COMPOSE = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
UNITS = REPOSITORY / "deploy" / "systemd"
OURS = [name for name in COMPOSE["services"] if name not in ("postgres", "redis")]


@pytest.mark.parametrize("service", OURS)
def test_a_service_starts_a_role_that_exists(service: str) -> None:
    command = COMPOSE["services"][service]["command"]

    assert command[1] == "manage.py" or (
        command[2] == "objstore_site.serve" and command[3] in ROLES
    )


def test_every_role_has_a_service() -> None:
    commands = [COMPOSE["services"][service]["command"] for service in OURS]

    assert {command[3] for command in commands if command[1] != "manage.py"} == set(ROLES)


@pytest.mark.parametrize("service", OURS)
def test_a_service_sets_only_variables_that_exist(service: str) -> None:
    known = {one.env for one in settings()}

    assert set(COMPOSE["services"][service]["environment"]) <= known


def test_every_volume_is_declared() -> None:
    used = {
        volume.partition(":")[0]
        for service in COMPOSE["services"].values()
        for volume in service.get("volumes", [])
    }

    assert used == set(COMPOSE["volumes"])


def test_the_image_holds_every_package() -> None:
    copied = re.findall(r"^COPY (\w+) \1$", (REPOSITORY / "Dockerfile").read_text(), re.M)

    assert set(copied) == set(PACKAGES)


def test_the_units_the_readme_enables_start_every_role_and_the_journal_apart() -> None:
    readme = (REPOSITORY / "deploy" / "README.md").read_text()
    started = []
    for unit, instance in re.findall(r"(objstore[\w-]*@)(\w+)", readme):
        text = (UNITS / f"{unit}.service").read_text()
        command = re.search(r"^ExecStart=.* -m objstore_site\.serve (.*)$", text, re.M)
        assert command is not None
        started.append(command[1].replace("%i", instance).split())

    assert {command[0] for command in started} == set(ROLES)
    assert plan.JOURNAL in started


@pytest.mark.parametrize(
    "file", ["Dockerfile", *(f"deploy/systemd/{unit}" for unit in sorted(os.listdir(UNITS)))]
)
def test_every_way_to_start_sets_the_allocator_alike(file: str) -> None:
    told = dict(re.findall(r"(MALLOC_\w+)=(\d+)", (REPOSITORY / file).read_text()))

    assert told == plan.MALLOC

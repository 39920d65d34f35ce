"""The floors of the house, and the bans that keep them honest."""

from __future__ import annotations

import ast
import configparser
import subprocess
import sys

from tests.support.repository import PACKAGES, REPOSITORY, modules

# Bottom to top, with the doors that are to come.
FLOORS = [
    ["core"],
    ["jobs"],
    ["tenants"],
    ["storage_nodes"],
    ["buckets"],
    ["objects"],
    ["s3", "rest", "dashboard", "workers"],
    ["objstore_site"],
]
FLOOR = {package: number for number, floor in enumerate(FLOORS) for package in floor}
FRAMEWORKS = {"django", "celery", "rest_framework"}
FRAMEWORKLESS = ("core/", "storage_nodes/node/", "storage_nodes/policy.py")
FRAMEWORKLESS += ("storage_nodes/coding.py", "storage_nodes/placement.py")
# Where each banned name is at home.
HOMES = {
    "os.environ": {"core/config.py"},
    "os.getenv": {"core/config.py"},
    "time.time": {"core/clock.py"},
    "time.time_ns": {"core/clock.py"},
    "datetime.now": {"core/clock.py"},
    "datetime.utcnow": {"core/clock.py"},
    "timezone.now": {"core/clock.py"},
}
ALL = [str(path.relative_to(REPOSITORY)) for path in modules()]


def _imports(name: str) -> list[tuple[int, str]]:
    tree = ast.parse((REPOSITORY / name).read_text(), name)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}:{node.lineno}: imports are absolute"
            found.append((node.lineno, node.module or ""))
    return found


def _is_upward(package: str, target: str) -> bool:
    return target in FLOOR and target != package and FLOOR[target] >= FLOOR[package]


def _attributes(name: str) -> list[tuple[int, str]]:
    tree = ast.parse((REPOSITORY / name).read_text(), name)
    return [(n.lineno, _dotted(n)) for n in ast.walk(tree) if isinstance(n, ast.Attribute)]


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def test_calls_go_down() -> None:
    upward = [
        f"{name}:{line} imports {target}"
        for name in ALL
        for line, target in _imports(name)
        if _is_upward(name.partition("/")[0], target.partition(".")[0])
    ]

    assert upward == []


def test_the_lowest_parts_know_no_framework() -> None:
    known = [
        f"{name}:{line} imports {target}"
        for name in ALL
        if name.startswith(FRAMEWORKLESS)
        for line, target in _imports(name)
        if target.partition(".")[0] in FRAMEWORKS
    ]

    assert known == []


def test_the_environment_and_the_clock_are_read_in_one_place() -> None:
    used = [
        f"{name}:{line} uses {banned}"
        for name in ALL
        for line, dotted in _attributes(name)
        for banned, homes in HOMES.items()
        if f".{dotted}".endswith(f".{banned}") and name not in homes
    ]

    assert used == []


def test_the_node_daemon_runs_without_any_framework() -> None:
    code = "import sys, storage_nodes.node.__main__ as m; print(*sys.modules)"

    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.split()

    assert {name.partition(".")[0] for name in loaded} & FRAMEWORKS == set()


def test_every_package_has_its_floor() -> None:
    assert set(PACKAGES) <= set(FLOOR)


def test_the_import_contract_watches_every_package() -> None:
    assert set(_contract("importlinter")["root_packages"].split()) == set(PACKAGES)


def test_the_import_contract_has_the_same_floors() -> None:
    layers = _contract("importlinter:contract:floors")["layers"].strip().split("\n")
    present = [set(floor) & set(PACKAGES) for floor in FLOORS]

    assert [set(layer.split(" | ")) for layer in reversed(layers)] == present


def _contract(section: str) -> configparser.SectionProxy:
    written = configparser.ConfigParser()
    written.read(REPOSITORY / ".importlinter")
    return written[section]

"""Tests keep house too: a head, one idea's length, nothing borrowed from one another."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.repository import REPOSITORY, modules

LONGEST_SUPPORT = 350
LONGEST_TESTS = 400
ALL = [path.relative_to(REPOSITORY) for path in modules("tests")]
TESTS = [path for path in ALL if path.name.startswith("test_")]
SUPPORT = [path for path in ALL if path not in TESTS]


def test_there_are_tests_and_what_they_share() -> None:
    assert len(TESTS) > 100
    assert len(SUPPORT) > 30


def test_every_module_of_the_tests_begins_with_its_head() -> None:
    headless = [
        str(path)
        for path in ALL
        if not ast.get_docstring(ast.parse((REPOSITORY / path).read_text(), str(path)))
    ]

    assert headless == []


def test_what_tests_share_is_one_idea_long() -> None:
    assert _longer_than(LONGEST_SUPPORT, SUPPORT) == {}


def test_a_module_of_tests_is_about_one_idea() -> None:
    assert _longer_than(LONGEST_TESTS, TESTS) == {}


def test_no_test_module_is_imported() -> None:
    borrowed = [
        f"{path}:{line}: {name}"
        for path in ALL
        for line, name in _imported((REPOSITORY / path).read_text())
        if _is_a_test_module(name)
    ]

    assert borrowed == []


@pytest.mark.parametrize(
    "statement",
    [
        "from tests.s3.test_wire import name",
        "from tests.s3 import test_wire",
        "import tests.test_a",
    ],
)
def test_every_way_to_import_a_test_module_is_seen(statement: str) -> None:
    assert any(_is_a_test_module(name) for _, name in _imported(statement))


def _longer_than(lines: int, paths: list[Path]) -> dict[str, int]:
    lengths = {str(path): len((REPOSITORY / path).read_text().splitlines()) for path in paths}
    return {name: length for name, length in lengths.items() if length > lines}


def _imported(source: str) -> list[tuple[int, str]]:
    """Dotted names that may be modules, and the lines that import them."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def _is_a_test_module(name: str) -> bool:
    parts = name.split(".")
    return parts[0] == "tests" and any(part.startswith("test_") for part in parts)

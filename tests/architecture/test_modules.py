"""Every module keeps the house's habits: a head, one idea's length, imports at the top."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.support.repository import REPOSITORY, modules

LONGEST = 350
# Tables: one line per entry, as long as there are entries.
TABLES = {"core/errors.py", "core/config.py", "core/metrics.py", "s3/operations.py"}
ALL = [str(path.relative_to(REPOSITORY)) for path in modules()]


def _tree(name: str) -> ast.Module:
    return ast.parse((REPOSITORY / name).read_text(), name)


def test_every_module_begins_with_its_head() -> None:
    headless = [name for name in ALL if not ast.get_docstring(_tree(name))]

    assert headless == []


def test_every_module_is_one_idea_long() -> None:
    lengths = {name: len((REPOSITORY / name).read_text().splitlines()) for name in ALL}

    too_long = {name: n for name, n in lengths.items() if n > LONGEST and name not in TABLES}

    assert too_long == {}


def test_imports_stand_at_the_top() -> None:
    hidden = [place for name in ALL for place in _imports_within_functions(name)]

    assert hidden == []


def test_package_files_hold_a_docstring_only() -> None:
    packages = [name for name in ALL if name.endswith("__init__.py")]

    assert [name for name in packages if len(_tree(name).body) != 1] == []


def test_the_tables_named_here_exist() -> None:
    assert [name for name in sorted(TABLES) if not Path(REPOSITORY / name).is_file()] == []


def _imports_within_functions(name: str) -> list[str]:
    return [
        f"{name}:{inner.lineno}"
        for outer in ast.walk(_tree(name))
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for inner in ast.walk(outer)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]

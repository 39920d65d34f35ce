"""The repository as tests see it: which files are ours."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# Whatever the store is made of; a new package is seen here without being listed.
PACKAGES = tuple(
    sorted(
        found.parent.name
        for found in REPOSITORY.glob("*/__init__.py")
        if found.parent.name not in ("tests", "benchmarks")
    )
)


def modules(*packages: str) -> list[Path]:
    """Every Python module of the house, migrations excepted."""
    return sorted(
        path
        for package in packages or PACKAGES
        for path in (REPOSITORY / package).rglob("*.py")
        if "migrations" not in path.parts and "__pycache__" not in path.parts
    )

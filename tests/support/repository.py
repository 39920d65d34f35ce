"""The repository as tests see it: which files are ours."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = (
    "core",
    "jobs",
    "tenants",
    "storage_nodes",
    "buckets",
    "objects",
    "workers",
    "s3",
    "rest",
    "dashboard",
    "objstore_site",
)


def modules(*packages: str) -> list[Path]:
    """Every Python module of the house, migrations excepted."""
    return sorted(
        path
        for package in packages or PACKAGES
        for path in (REPOSITORY / package).rglob("*.py")
        if "migrations" not in path.parts and "__pycache__" not in path.parts
    )

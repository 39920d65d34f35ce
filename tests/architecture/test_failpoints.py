"""The page of crash points has every failpoint, at the point it stands for."""

from __future__ import annotations

import re

from tests.support.points import registered
from tests.support.repository import REPOSITORY

_LINE = re.compile(r"^\| (C\d+) \|.*\| ([^|]+) \|$", re.M)


def test_the_table_of_crash_points_is_complete() -> None:
    page = (REPOSITORY / "docs" / "testing.md").read_text()
    told = {
        name: point
        for point, names in _LINE.findall(page)
        for name in re.findall(r"`([^`]+)`", names)
    }

    assert told == registered()

"""A gateway process: what it leaves behind when it ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from core import metrics
from core.config import config
from s3.application import Application


async def test_what_was_counted_last_is_written_when_it_ends(tmp_path: Path) -> None:
    application = Application()
    application._settings = replace(config(), home=tmp_path)
    metrics.rate_rejected.add()

    await application.close()

    counted = metrics.rate_rejected.value()
    shown = metrics.exposition(tmp_path / "run" / "metrics")
    assert f"{metrics.rate_rejected.name} {counted}\n" in shown


async def test_a_home_that_cannot_be_written_does_not_keep_it_from_ending(tmp_path: Path) -> None:
    in_the_way = tmp_path / "run"
    in_the_way.touch()
    application = Application()
    application._settings = replace(config(), home=tmp_path)

    await application.close()

    assert in_the_way.is_file()

"""JSON logs."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import orjson
import pytest

from core import clock, logs
from tests.support.clock import FakeClock


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    text = io.StringIO()
    logs.set_up("gateway", "info", to=text)
    with clock.use(FakeClock()):
        yield text
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def test_a_line_is_json_with_time_level_and_message(output: io.StringIO) -> None:
    logging.getLogger("s3").warning("lost %s", "it", extra={"segment": 7})

    line = orjson.loads(output.getvalue())
    assert (line["time"], line["level"], line["msg"], line["segment"], line["process"]) == (
        "2026-01-31T12:00:00.000Z",
        "warning",
        "lost it",
        7,
        "gateway",
    )


def test_levels_below_the_chosen_one_are_left_out(output: io.StringIO) -> None:
    logging.getLogger("s3").debug("chatter")

    assert output.getvalue() == ""


def test_an_exception_stays_on_its_line(output: io.StringIO) -> None:
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("s3").exception("failed")

    [line] = output.getvalue().splitlines()
    assert "ValueError: why" in orjson.loads(line)["error"]

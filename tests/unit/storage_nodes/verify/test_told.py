"""What whoever has a store verified is told: refusals, progress at a bearable pace, the result."""

from __future__ import annotations

import asyncio
import re
from uuid import UUID

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from storage_nodes.verify import text
from storage_nodes.verify.findings import Tally, Throttle
from tests.support.clock import FakeClock
from tests.support.drives import SealedPack
from tests.support.verifying import Stock

OTHER = UUID(int=0xABC)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--drive", "4711"], "There is no drive 4711."),
        (["--segment", str(OTHER)], f"There is no segment {OTHER} with anything to verify."),
        (["--segment", "x"], "invalid UUID value"),
        (["--rate", "0"], "a rate is a number of megabytes a second, more than 0"),
        (["--rate", "nan"], "a rate is a number of megabytes a second, more than 0"),
    ],
)
def test_what_cannot_be_verified_is_refused_in_a_sentence(
    database: str, given: list[str], says: str
) -> None:
    with pytest.raises(CommandError, match=re.escape(says)):
        call_command("cluster", "verify", *given)


async def test_a_throttled_reader_waits_for_its_turn(monkeypatch, time: FakeClock) -> None:
    slept = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.advance(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    throttle = Throttle(rate=1_000_000.0)

    for _ in range(5):
        await throttle.took(1_000_000)
    time.advance(60)
    for _ in range(2):
        await throttle.took(1_000_000)

    # However long nothing was read: one second's worth is free, no more.
    assert slept == [1.0] * 6
    assert throttle.tally.bytes == 7_000_000


def test_progress_is_told_while_pieces_are_read(stock: Stock) -> None:
    stock.encode(SealedPack(stock.drives, [100, 700_000]).id)
    told: list[tuple[int, int, int]] = []

    stock.verify(lambda tally, total, found: told.append((tally.bytes, total, found)))

    assert told[-1][0] > 700_000
    assert {(total, found) for _, total, found in told} == {(1, 0)}


def test_the_line_on_a_terminal_is_written_over(time: FakeClock) -> None:
    written: list[str] = []
    line = text.ProgressLine(written.append)
    time.advance(2)

    line(Tally(segments=3, bytes=1 << 20), 7, 1)
    line(Tally(segments=4, bytes=1 << 20), 7, 1)
    line.end()

    assert len(written) == 2
    assert written[0].startswith("\r3 of 7 segments, 1 MiB read, 512 KiB/s, 1 finding\033")


def test_the_page_says_everything_in_sentences(stock: Stock) -> None:
    row = stock.encode(SealedPack(stock.drives, [100, 700_000]).id)
    stock.file(row, 4).append(1)

    document = stock.verify().document()

    page = text.page(document)
    assert (
        f"Shard 4 of segment {row.id}, epoch {row.epoch}, on drive {row.drives[4]} is corrupt:"
        in page
    )
    assert "Its repair is owed." in page
    assert text.verdict(document) == "Not everything is whole: 1 corrupt; repairs owed: 1."


def test_the_page_has_the_right_words_for_one_and_for_many(stock: Stock) -> None:
    row = stock.encode(SealedPack(stock.drives, [100, 700_000]).id)
    found = stock.verify().document()
    blocks = found["blocks"]

    assert text.page(found).startswith(f"1 segment: 9 shards, {blocks} blocks, ")

    told = {
        **found,
        **{"segments": 2, "shards": 1, "blocks": 1, "writing": 1, "findings_left_out": 1},
        "unreachable": [
            {"drive": row.drives[0], "shards": 1},
            {"drive": row.drives[1], "shards": 2},
        ],
    }
    lines = text.page(told).splitlines()
    assert lines[0].startswith("2 segments: 1 shard, 1 block, ")
    assert lines[1:5] == [
        "Passed over: 1 segment still being written.",
        f"Drive {row.drives[0]} cannot be reached: 1 shard not read.",
        f"Drive {row.drives[1]} cannot be reached: 2 shards not read.",
        "Not listed: 1 more.",
    ]

"""A verification for people: its page at the end, and the line that moves meanwhile."""

from collections.abc import Callable
from typing import Any

from core import clock
from core.wording import counted
from storage_nodes.cluster_text import size_text
from storage_nodes.verify.findings import Tally

_EVERY_S = 1.0


def page(found: dict[str, Any]) -> str:
    """What was read, what is wrong sentence by sentence, and what that comes to."""
    lines = [
        f"{counted(found['segments'], 'segment')}: {counted(found['shards'], 'shard')},"
        f" {counted(found['blocks'], 'block')}, {size_text(found['bytes'])} read in"
        f" {found['seconds']:.0f} s."
    ]
    if found["writing"]:
        lines.append(f"Passed over: {counted(found['writing'], 'segment')} still being written.")
    lines += [
        f"Drive {one['drive']} cannot be reached: {counted(one['shards'], 'shard')} not read."
        for one in found["unreachable"]
    ]
    lines += [f"The files of drive {drive} could not be listed." for drive in found["unlisted"]]
    lines += [one["sentence"] for one in found["findings"]]
    if found["findings_left_out"]:
        lines.append(f"Not listed: {found['findings_left_out']} more.")
    if found["whole"]:
        lines.append("Everything that was read is whole.")
    return "\n".join(lines)


def verdict(found: dict[str, Any]) -> str:
    """One sentence about a store that is not whole."""
    kinds = {kind: count for kind, count in found["found"].items() if kind != "orphan"}
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    return f"Not everything is whole: {counts}; repairs owed: {found['owed']}."


class ProgressLine:
    """A line on a terminal, written over once a second."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._began = self._written = clock.monotonic()

    def __call__(self, tally: Tally, total: int, found: int) -> None:
        now = clock.monotonic()
        if now - self._written < _EVERY_S:
            return
        self._written = now
        rate = size_text(int(tally.bytes / (now - self._began)))
        self._write(
            f"\r{tally.segments} of {counted(total, 'segment')}, {size_text(tally.bytes)} read,"
            f" {rate}/s, {counted(found, 'finding')}\033[K"
        )

    def end(self) -> None:
        """Leave an empty line behind."""
        self._write("\r\033[K")

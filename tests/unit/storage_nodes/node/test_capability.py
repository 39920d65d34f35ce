"""What a capability allows: what it was issued for, for a minute, and nothing else."""

from uuid import UUID

import pytest

from core.errors import CapabilityRefused
from storage_nodes.node import capability
from storage_nodes.shard_name import ShardName

SECRET = bytes(range(32))
NAME = ShardName(UUID(int=5), 3, 1)
DRIVE = str(UUID(int=6))
NOW = 1_900_000_000.0
ASKED = {"operation": "read", "subject": DRIVE, "name": NAME}


def granted(**changes: object) -> str:
    return capability.issue(SECRET, **{**ASKED, "now": NOW, **changes})  # type: ignore[arg-type]  # one argument varies


def check(given: str, **changes: object) -> None:
    capability.check(SECRET, given, **{**ASKED, "now": NOW, **changes})  # type: ignore[arg-type]  # one argument varies


def test_a_capability_allows_what_it_was_issued_for() -> None:
    check(granted())


@pytest.mark.parametrize(
    "changes",
    [
        {"operation": "trash"},
        {"subject": str(UUID(int=7))},
        {"name": ShardName(UUID(int=8), 3, 1)},
        {"name": ShardName(UUID(int=5), 4, 1)},
        {"name": None},
    ],
    ids=["operation", "drive", "segment", "epoch", "no shard"],
)
def test_a_capability_allows_nothing_else(changes: dict[str, object]) -> None:
    with pytest.raises(CapabilityRefused):
        check(granted(), **changes)


def test_a_capability_expires_after_a_minute() -> None:
    check(granted(), now=NOW + 60)
    with pytest.raises(CapabilityRefused):
        check(granted(), now=NOW + 70)


def test_nobody_can_be_given_a_capability_for_longer() -> None:
    with pytest.raises(CapabilityRefused, match="too long"):
        check(granted(now=NOW + 100))


def test_a_capability_of_another_key_is_refused() -> None:
    other = capability.issue(bytes(32), operation="read", subject=DRIVE, name=NAME, now=NOW)
    with pytest.raises(CapabilityRefused):
        check(other)


@pytest.mark.parametrize("position", range(0, 140, 7))
def test_a_capability_with_one_character_changed_is_refused(position: int) -> None:
    given = granted()
    position %= len(given)
    changed = given[:position] + ("0" if given[position] != "0" else "1") + given[position + 1 :]
    with pytest.raises(CapabilityRefused):
        check(changed)


@pytest.mark.parametrize("text", ["", ":", "::::::", "read:x:y", "ä:b"])
def test_what_is_no_capability_is_refused(text: str) -> None:
    with pytest.raises(CapabilityRefused):
        check(text)

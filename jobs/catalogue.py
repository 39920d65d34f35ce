"""Every family of background work, declared once.

From this table derive the Celery tasks, queues, routes and time limits, the beat schedule, the
dispatcher's windows, the admin's filters and the operator's commands. What an operator changes at
run time (pause, interval, throttle) is a row of `job_family` and overrides what stands here.
"""

from __future__ import annotations

from dataclasses import dataclass

FAMILIES: dict[str, Family] = {}

# No job is put off for longer: it is the longest back-off, and more than any handler asks for. What
# is put off further was so by a clock that has been put back since; the dispatcher pulls it back.
LONGEST_WAIT_S = 300.0


@dataclass(frozen=True, kw_only=True)
class Family:
    """One kind of background work."""

    name: str
    does: str
    # A queue per family: one family's backlog never stands in another's way.
    queue: str = ""
    # What `subject` names, for people.
    subject: str = ""
    # After so many failed attempts the row stays, state `failed`, until owed or retried.
    attempts: int = 20
    # Seconds before the second attempt; doubled for each further one up to `backoff_max_s`.
    backoff_s: float = 2.0
    backoff_max_s: float = LONGEST_WAIT_S
    # How long a silent worker keeps its claim; renewed from the background at a third of it.
    lease_s: float = 30.0
    # A job is queued at this interval when set. Rows keyed (family, slot): two beats are harmless.
    every_s: int | None = None
    # Steps per second of one worker; None is as fast as it can.
    steps_per_s: float | None = None
    # How many published and not yet begun jobs may lie in the queue.
    window: int = 256

    def __post_init__(self) -> None:
        assert self.name.isidentifier(), self.name
        assert self.name not in FAMILIES, self.name
        assert self.backoff_max_s <= LONGEST_WAIT_S, self.name
        if not self.queue:
            object.__setattr__(self, "queue", self.name)
        FAMILIES[self.name] = self

    @property
    def task(self) -> str:
        """The name of the Celery task."""
        return f"objstore.{self.name}"

    def backoff(self, attempts: int) -> float:
        """Seconds to wait after the attempt number `attempts` failed."""
        return float(min(self.backoff_s * 2 ** min(attempts - 1, 30), self.backoff_max_s))


SEAL = Family(
    name="seal",
    does="Seals pack segments whose owner's lease ran out.",
    every_s=5,
)
ENCODE = Family(
    name="encode",
    does="Turns replicated segments into coded ones; gathers small ones.",
    subject="segment",
    lease_s=60.0,
)
REPAIR = Family(
    name="repair",
    does="Puts missing or corrupt shards of a segment back; least redundancy first.",
    subject="segment",
    lease_s=60.0,
)
COLLECT = Family(
    name="collect",
    does="Trashes, then unlinks what no extent names, after its grace period.",
    every_s=30,
    lease_s=60.0,
)
SWEEP_UPLOADS = Family(
    name="sweep_uploads",
    does="Aborts multipart uploads nobody finished.",
    every_s=600,
)
USAGE = Family(
    name="usage",
    does="Folds the deltas of commits into each bucket's usage.",
    every_s=5,
)
PARTITIONS = Family(
    name="partitions",
    does="Prepares the coming days' partitions and drops those of days long past.",
    every_s=3600,
)
JOURNAL = Family(
    name="journal",
    does="Copies every metadata change to drives, and takes snapshots.",
    subject="snapshot, or nothing",
    every_s=2,
    # A round that died holds up the next for so long.
    lease_s=10.0,
)

"""The store beside the dictionary where answers may be lost: both of what could be, and which is.

Here: a write without an answer is unknown; once the store answers again it shows which of the
permitted states is there, and the dictionary becomes that. Not here: why answers are lost
(tests.model.hurt), the walk through the rules (tests.model.walk).

Promise: any other state is an AssertionError that says in what each permitted one differs. What
was found not to be done is asked for again, so in the end every step is done or refused.
"""

from __future__ import annotations

import copy
import itertools
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence, Set
from typing import Any

from tests.model.client import BACK_WITHIN_S, BUSY, PatientClient, Unanswered, text
from tests.model.machine import Model
from tests.model.reference import Refused
from tests.model.seen import compare, look
from tests.s3.raw import Answer

Effect = Callable[[], Any]


class Unsure(Model):
    """The model where not every request is answered."""

    client = PatientClient
    # A removal whose answer was lost is asked for again.
    gone = (204, 404)

    def __init__(self) -> None:
        super().__init__()
        # Writes nobody was told of: done, partly done, not done.
        self.unknown: Counter[str] = Counter()

    def teardown(self) -> None:
        """Everything there is, compared, open uploads and tags as well."""
        wrong = compare(self.here, look(self.there)).differences
        assert not wrong, "\n".join(wrong)
        super().teardown()

    def change(
        self, ask: Callable[[], Answer], *effects: Effect
    ) -> tuple[Answer, list[Any]] | None:
        until = time.monotonic() + BACK_WITHIN_S
        while time.monotonic() < until:
            try:
                return super().change(ask, *effects)
            except Unanswered as why:
                if self.has_done(effects, why.done):
                    return None
        raise AssertionError(f"the store has not written for {BACK_WITHIN_S:.0f} s")

    def told_of_all(self, answer: Answer, keys: Collection[str]) -> Answer:
        codes = [text(one, "Code") for one in answer.xml.findall("Error")]
        if not any(code in BUSY for code in codes):
            return answer
        done = {one.findtext("Key") for one in answer.xml.findall("Deleted")}
        raise Unanswered(
            str(codes), frozenset(place for place, key in enumerate(keys) if key in done)
        )

    def has_done(self, effects: Sequence[Effect], acknowledged: Set[int]) -> bool:
        """Whether a write nobody was told of has done anything beside what was acknowledged; the
        dictionary is then what the store shows.
        """
        self.outwait_lost_requests()
        seen = look(self.there)
        before, wrong = self.here, []
        # Several effects are several changes: keys named in one request stand or fall alone.
        for chosen in subsets(len(effects)):
            if not acknowledged <= set(chosen):
                continue
            self.here = copy.deepcopy(before)
            try:
                for place in chosen:
                    effects[place]()
            except Refused:
                continue
            found = compare(self.here, seen)
            if not found.differences:
                found.learn()
                self.unknown[_outcome(len(chosen), len(effects))] += 1
                return bool(chosen)
            wrong.append(f"had it {_outcome(len(chosen), len(effects))}:")
            wrong += found.differences
        self.here = before
        raise AssertionError("a write without an answer left what it may not:\n" + "\n".join(wrong))

    def outwait_lost_requests(self) -> None:
        """Until nothing that was asked before can still be done."""


def subsets(count: int) -> Iterator[tuple[int, ...]]:
    """Which of so many; none of them first."""
    for size in range(count + 1):
        yield from itertools.combinations(range(count), size)


def _outcome(done: int, asked: int) -> str:
    if not done:
        return "not been done"
    return "been done" if done == asked else "been done in part"

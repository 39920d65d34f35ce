"""A seeded random walk through the rules of a state machine, for a store that is being hurt.

Here: choosing rules and what they are given. Hypothesis' own engine plays examples again and
expects them to go the same way, which nothing does whose processes die meanwhile; so only its
rules, preconditions and strategies are used, with bytes of a generator of ours. Not here: the
rules.

Promise: the same seed takes the same choices as long as the store gives the same answers. A
failure names the seed and every step of its example, as calls on the machine.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Rule, RuleBasedStateMachine

# More than any rule's arguments are drawn from.
_BYTES = 2048

Machine = TypeVar("Machine", bound=RuleBasedStateMachine)


class Walk(Generic[Machine]):
    """Examples of one machine, one after another. `weights` by rule; 1 where it says nothing."""

    def __init__(
        self,
        make: Callable[[], Machine],
        *,
        seed: int,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self._make = make
        self._seed = seed
        self._weights = weights or {}
        self._draws: dict[str, Callable[[random.Random], dict[str, Any]]] = {}
        self.steps: list[str] = []

    def example(self, number: int, steps: int) -> Machine:
        """Walk so many steps from a new machine on, and tear it down."""
        chance = random.Random(f"{self._seed}:{number}")
        self.steps = []
        machine = self._make()
        try:
            for rule in machine.setup_state().initializers:
                self._step(machine, rule, chance)
            for _ in range(steps):
                enabled = [one for one in machine.rules if _is_enabled(one, machine)]
                weights = [self._weights.get(one.function.__name__, 1.0) for one in enabled]
                self._step(machine, chance.choices(enabled, weights)[0], chance)
            self.steps.append("teardown()")
            machine.teardown()
        except Exception as why:
            shown = "\n".join(f"    {step}" for step in self.steps)
            raise AssertionError(
                f"seed {self._seed}, example {number}, in the last of these steps:\n{shown}\n{why}"
            ) from why
        return machine

    def _step(self, machine: Machine, rule: Rule, chance: random.Random) -> None:
        name = rule.function.__name__
        if name not in self._draws:
            self._draws[name] = _drawing(rule.arguments)
        arguments = self._draws[name](chance)
        shown = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        self.steps.append(f"{name}({shown})")
        rule.function(machine, **arguments)


def _is_enabled(rule: Rule, machine: RuleBasedStateMachine) -> bool:
    return all(condition(machine) for condition in rule.preconditions)


def _drawing(
    strategies: Mapping[str, st.SearchStrategy[Any]],
) -> Callable[[random.Random], dict[str, Any]]:
    """A function that draws values of these strategies."""
    drawn: list[dict[str, Any]] = []

    @settings(database=None)
    @given(st.fixed_dictionaries(dict(strategies)))
    def keep(values: dict[str, Any]) -> None:
        drawn.append(values)

    def draw(chance: random.Random) -> dict[str, Any]:
        drawn.clear()
        # Bytes that mean nothing to the strategy are passed over.
        while not drawn:
            keep.hypothesis.fuzz_one_input(chance.randbytes(_BYTES))
        return {name: drawn[0][name] for name in strategies}

    return draw

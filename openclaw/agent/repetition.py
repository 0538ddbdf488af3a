"""Whether an agent goes round in circles: the same call again and again, or two calls taking turns. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from openclaw.agent.policy import LoopDetectionPolicy
from shared.providers import ToolCall


@dataclass(frozen=True, slots=True)
class Done:
    """A call that was made; the result as a digest."""

    name: str
    arguments: str
    result: str

    def is_same(self, call: ToolCall) -> bool:
        """The same tool with the same arguments."""
        return (self.name, self.arguments) == (call.name, call.arguments)


@dataclass(frozen=True, slots=True)
class Repetition:
    """What is to be done about a call, and why, in words for the model."""

    level: Literal["none", "warn", "refuse", "stop"]
    reason: str = ""


def done(call: ToolCall, result: str) -> Done:
    """A call with its result, for the history."""
    return Done(call.name, call.arguments, hashlib.sha256(result.encode(errors="replace")).hexdigest()[:16])


def decide_repetition(history: Sequence[Done], call: ToolCall, policy: LoopDetectionPolicy) -> Repetition:
    """Judge the next call by those before it.

    The same call with the same result counts fully. The same call whose result changes may be progress (a file read
    again after each edit, a job that is watched): it counts half.
    """
    if not policy.enabled:
        return Repetition("none")
    seen = history[-policy.history :]
    same = [each for each in seen if each.is_same(call)]
    unchanged = sum(each.result == same[-1].result for each in same) if same else 0
    repeats = max(unchanged, len(same) // 2)
    if level := _level(repeats, policy):
        return Repetition(level, f"{call.name} was called {len(same)} times with the same arguments in this run")
    turns = _taking_turns(seen, call)
    if level := _level(turns // 2, policy):
        return Repetition(level, f"{turns} calls took turns between the same two without any new result")
    return Repetition("none")


def _level(repeats: int, policy: LoopDetectionPolicy) -> Literal["warn", "refuse", "stop"] | None:
    if repeats >= policy.breaker:
        return "stop"
    if repeats >= policy.critical:
        return "refuse"
    return "warn" if repeats >= policy.warn else None


def _taking_turns(seen: Sequence[Done], call: ToolCall) -> int:
    """How many of the last calls alternate between two, this call being the next, with results that stay the same."""
    if len(seen) < 2 or not seen[-2].is_same(call) or seen[-1].is_same(call):
        return 0
    pair = (seen[-1], seen[-2])
    count = 0
    for number, each in enumerate(reversed(seen)):
        if each != pair[number % 2]:
            break
        count += 1
    return count

"""How a value of ``openclaw.json`` and the policy's meet; pure. Source: DESIGN §Policy: the stricter holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from openclaw.config.guilds import met_guilds
from openclaw.config.policy import OPERATOR, OpenClawPolicy


@dataclass(frozen=True, slots=True)
class Facts:
    """What a combination may look at.

    Attributes:
        policy: the policy's value.
        wanted: the file's value, already in the policy's form.
        owned: the installation's own policy file sets this itself.
        ceiling: the whole policy.
    """

    policy: Any
    wanted: Any
    owned: bool
    ceiling: OpenClawPolicy


Combine = Callable[[Facts], Any]


def choose(facts: Facts) -> Any:  # noqa: ANN401 - any setting
    """The file's value: there is no order."""
    return facts.wanted


def least(facts: Facts) -> Any:  # noqa: ANN401 - any number
    """The smaller number."""
    return min(facts.policy, facts.wanted)


def both(facts: Facts) -> bool:
    """True only when both say so."""
    return bool(facts.policy and facts.wanted)


def ordered(*strictest_first: str) -> Combine:
    """The one that comes first in a list from strict to loose."""

    def combine(facts: Facts) -> Any:  # noqa: ANN401 - one of the words
        return min(facts.policy, facts.wanted, key=strictest_first.index)

    return combine


def stricter_ask(facts: Facts) -> Any:  # noqa: ANN401 - one of three words
    """``on-miss`` gives way to both others; between refusing and asking about everything the policy's word holds."""
    return facts.wanted if facts.policy == "on-miss" else facts.policy


def only(facts: Facts) -> tuple[Any, ...]:
    """What the policy has as well."""
    return tuple(item for item in facts.wanted if item in facts.policy)


def only_if_named(facts: Facts) -> tuple[Any, ...]:
    """What the policy has as well, if this installation's policy names any."""
    return only(facts) if facts.owned else tuple(facts.wanted)


def smaller_profile(facts: Facts) -> str:
    """Of two sets of which neither holds the other only the smallest is in both."""
    if "full" in (facts.policy, facts.wanted) or facts.policy == facts.wanted:
        return str(facts.policy if facts.wanted == "full" else facts.wanted)
    return "minimal"


NOTHING: Final = ("-",)
"""A tool that nobody has: where two lists have nothing in common, an empty one would mean everything."""


def allowed_tools(facts: Facts) -> tuple[str, ...]:
    """Tools that both offer; without a list every tool is."""
    if not facts.policy or not facts.wanted:
        return tuple(facts.policy or facts.wanted)
    return only(facts) or NOTHING


def also_allowed(facts: Facts) -> tuple[str, ...]:
    """Beside a smaller profile of the file's own anything may stand; beside a smaller one of the policy it may not."""
    tools = facts.ceiling.tools
    return tuple(facts.wanted) if tools.profile == "full" and not tools.allow else only(facts)


def both_lists(facts: Facts) -> tuple[str, ...]:
    """What either names."""
    return tuple(dict.fromkeys((*facts.policy, *facts.wanted)))


def approvers(facts: Facts) -> tuple[str, ...]:
    """The file names people on Discord; this machine's own command line stays as the policy has it."""
    here = tuple(item for item in facts.policy if item == OPERATOR)
    people = [item for item in facts.wanted if not facts.owned or item in facts.policy]
    return (*here, *people)


def guilds(facts: Facts) -> dict[str, Any]:
    """The file's servers, or those of both when the policy describes any."""
    return met_guilds(facts.policy, facts.wanted) if facts.owned else dict(facts.wanted)


def more_denied(facts: Facts) -> dict[str, Any]:
    """What either denies."""
    programs = {**facts.wanted, **facts.policy}
    return {
        name: {
            "denied_flags": tuple(
                dict.fromkeys(
                    [
                        *facts.policy.get(name, {}).get("denied_flags", ()),
                        *facts.wanted.get(name, {}).get("denied_flags", ()),
                    ]
                )
            )
        }
        for name in programs
    }


# --- how the file's values read ----------------------------------------------------------


def read_bind(value: str) -> str:
    """The address that a word of the file wishes for."""
    return "127.0.0.1" if value == "loopback" else "0.0.0.0"  # a wish; the policy decides


def read_profiles(value: Mapping[str, Any]) -> dict[str, Any]:
    """Denied flags by program."""
    return {name: {"denied_flags": tuple(profile.get("deniedFlags", ()))} for name, profile in value.items()}


def seconds(value: float) -> float:
    """Milliseconds in seconds."""
    return value / 1000


def minutes(value: str) -> float:
    """``30m`` in minutes; a bare number is that already."""
    number = value.rstrip("dhms")
    return float(number) * {"ms": 1 / 60_000, "s": 1 / 60, "h": 60, "d": 1440}.get(value[len(number) :], 1)


def is_streaming(value: object) -> bool:
    """Anything but ``off`` or false."""
    return value not in (False, "off")

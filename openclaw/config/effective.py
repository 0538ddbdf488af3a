"""``openclaw.json`` under the reviewed policy: for every setting the stricter of the two, and which file decided.

Source: DESIGN §Policy. Where two values have an order, the stricter holds. Where they have none (a port, a model),
``openclaw.json`` chooses and the policy is the default. A list of who or what is let in that the installation's own
policy file names is a ceiling; the empty one we ship is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from openclaw.config.combining import Facts
from openclaw.config.document import Document, held_name
from openclaw.config.issues import ROOT, Issue, Place, dotted
from openclaw.config.policy import OpenClawPolicy
from openclaw.config.sections.root import OpenClawJson
from openclaw.config.settings import DEFAULTS, DISCORD, SETTINGS, Setting
from shared.config.json5 import Path
from shared.execpolicy.policy import ExecPolicy

CONFIG: Final = "openclaw.json"


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The reviewed policy.

    Attributes:
        own: what the installation's own policy files say themselves, by file name without ``.toml``.
    """

    openclaw: OpenClawPolicy
    exec: ExecPolicy
    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """One setting in force.

    Attributes:
        decided_by: the file whose value holds.
        wanted: what ``openclaw.json`` says; None when it says nothing.
        reason: why it is not what `wanted` says; empty when it is.
    """

    path: str
    value: Any
    decided_by: str
    wanted: Any = None
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        shown = {"path": self.path, "value": self.value, "decidedBy": self.decided_by}
        if self.wanted is not None and self.wanted != self.value:
            shown["wanted"] = self.wanted
        return shown | ({"reason": self.reason} if self.reason else {})


@dataclass(frozen=True, slots=True)
class Effective:
    """What is in force.

    Attributes:
        decisions: one for each setting, in the table's order.
    """

    openclaw: OpenClawPolicy
    exec: ExecPolicy
    decisions: tuple[Decision, ...]


def decide_effective(
    config: OpenClawJson, document: Document, ceiling: Ceiling
) -> tuple[Effective | None, list[Issue]]:
    """Lay the file under the policy; pure. None, and why, when a combination of the two cannot hold."""
    given = config.model_dump(by_alias=True, exclude_unset=True)
    values: dict[str, dict[str, Any]] = {
        "openclaw": ceiling.openclaw.model_dump(),
        "exec": ceiling.exec.model_dump(),
    }
    decisions = []
    for setting in SETTINGS:
        policy = _at(values[setting.target[0]], setting.target[1:])
        wanted = _wanted(given, setting.path)
        if wanted is None:
            decisions.append(Decision(dotted(setting.path), policy, setting.file))
            continue
        owned = _at(ceiling.own.get(setting.target[0], {}), setting.target[1:]) is not None
        facts = Facts(policy, setting.read(wanted), owned, ceiling.openclaw)
        met = setting.combine(facts)
        decisions.append(_decision(setting, facts, met))
        _put(values[setting.target[0]], setting.target[1:], met)
    try:
        found = Effective(
            OpenClawPolicy.model_validate(values["openclaw"]),
            ExecPolicy.model_validate(values["exec"]),
            tuple(decisions),
        )
    except ValidationError as error:
        place = Place(str(document.path))
        return None, [
            Issue(ROOT, f"with the policy: {'.'.join(str(p) for p in entry['loc'])}: {entry['msg']}", place)
            for entry in error.errors(include_url=False)
        ]
    return found, []


def _decision(setting: Setting, facts: Facts, met: Any) -> Decision:  # noqa: ANN401 - any setting
    path = dotted(setting.path)
    if met == facts.wanted:
        return Decision(path, met, CONFIG, facts.wanted)
    if met == facts.policy:
        return Decision(path, met, setting.file, facts.wanted, f"{setting.file} is stricter")
    return Decision(path, met, f"{setting.file} and {CONFIG}", facts.wanted, "what both allow")


def _wanted(given: Mapping[str, Any], path: Path) -> Any:  # noqa: ANN401 - any setting
    if path == ("agents", "list", "*", "identity", "name"):
        entries = _at(given, ("agents", "list")) or []
        return next((_at(entry, ("identity", "name")) for entry in entries if entry.get("id") == "main"), None)
    if path[:3] == (*DEFAULTS, "model"):
        model = _at(given, path[:3])
        if isinstance(model, str):
            return {"primary": model, "fallbacks": None}[str(path[3])]
    if path == (*DISCORD, "execApprovals", "approvers") and not _at(given, (*DISCORD, "execApprovals", "enabled")):
        return None if _at(given, (*DISCORD, "execApprovals")) is None else []
    if path == (*DISCORD, "ackReaction"):
        own = _at(given, path)
        return _at(given, ("messages", "ackReaction")) if own is None else own
    return _at(given, path)


def _at(values: Any, path: Sequence[str | int]) -> Any:  # noqa: ANN401 - any JSON value
    for part in path:
        if not isinstance(values, Mapping):
            return None
        values = values.get(part)
    return values


def _put(values: dict[str, Any], path: Sequence[str], value: Any) -> None:  # noqa: ANN401 - any setting
    for part in path[:-1]:
        values = values[part]
    values[path[-1]] = value


def held_secret(config: OpenClawJson, path: Path) -> tuple[str, str]:
    """A secret of the file: ``(literal, held name)``, of which at most one is not empty."""
    value = _at(config.model_dump(by_alias=True, exclude_unset=True), path)
    if not isinstance(value, str) or not value:
        return "", ""
    name = held_name(value, path)
    return ("", name) if name else (value, "")

"""``openclaw.json`` under the reviewed policy: for every setting the stricter of the two, and which file decided.

Source: DESIGN §Policy. Where two values have an order, the stricter holds. Where they have none (a port, a model),
``openclaw.json`` chooses and the policy is the default. A list of who or what is let in that the installation's own
policy file names is a ceiling; the empty one we ship is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from openclaw.config.document import Document, held_name
from openclaw.config.guilds import met_guilds, read_guilds
from openclaw.config.issues import ROOT, Issue, Place, dotted
from openclaw.config.policy import OPERATOR, OpenClawPolicy
from openclaw.config.sections.root import OpenClawJson
from shared.config.json5 import Path
from shared.execpolicy.policy import ExecPolicy

CONFIG: Final = "openclaw.json"
SYSTEM_DIRS: Final = ("/bin", "/usr/bin")
"""The original always trusts these; a list in the file comes on top."""


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
class _Facts:
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


_Combine = Callable[[_Facts], Any]


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table: where it stands in the file, where in the policy, and how the two meet.

    Attributes:
        path: in ``openclaw.json``.
        target: policy file without ``.toml``, then the attributes.
        read: the file's value in the policy's form.
    """

    path: Path
    target: tuple[str, ...]
    combine: _Combine
    read: Callable[[Any], Any] = lambda value: value

    @property
    def file(self) -> str:
        """The policy file's name."""
        return f"policies/{self.target[0]}.toml"


# --- how two values meet -----------------------------------------------------------------


def _choose(facts: _Facts) -> Any:  # noqa: ANN401 - any setting
    return facts.wanted


def _least(facts: _Facts) -> Any:  # noqa: ANN401 - any number
    return min(facts.policy, facts.wanted)


def _both(facts: _Facts) -> bool:
    return bool(facts.policy and facts.wanted)


def _ordered(*strictest_first: str) -> _Combine:
    """The one that comes first in a list from strict to loose."""

    def combine(facts: _Facts) -> Any:  # noqa: ANN401 - one of the words
        return min(facts.policy, facts.wanted, key=strictest_first.index)

    return combine


def _ask(facts: _Facts) -> Any:  # noqa: ANN401 - one of three words
    """``on-miss`` gives way to both others; between refusing and asking about everything the policy's word holds."""
    return facts.wanted if facts.policy == "on-miss" else facts.policy


def _only(facts: _Facts) -> tuple[Any, ...]:
    """What the policy has as well."""
    return tuple(item for item in facts.wanted if item in facts.policy)


def _only_if_named(facts: _Facts) -> tuple[Any, ...]:
    """What the policy has as well, if this installation's policy names any."""
    return _only(facts) if facts.owned else tuple(facts.wanted)


def _profile(facts: _Facts) -> str:
    """Of two sets of which neither holds the other only the smallest is in both."""
    if "full" in (facts.policy, facts.wanted) or facts.policy == facts.wanted:
        return str(facts.policy if facts.wanted == "full" else facts.wanted)
    return "minimal"


NOTHING: Final = ("-",)
"""A tool that nobody has: where two lists have nothing in common, an empty one would mean everything."""


def _allowed_tools(facts: _Facts) -> tuple[str, ...]:
    if not facts.policy or not facts.wanted:
        return tuple(facts.policy or facts.wanted)
    return _only(facts) or NOTHING


def _also_allowed(facts: _Facts) -> tuple[str, ...]:
    """Beside a smaller profile of the file's own anything may stand; beside a smaller one of the policy it may not."""
    tools = facts.ceiling.tools
    return tuple(facts.wanted) if tools.profile == "full" and not tools.allow else _only(facts)


def _both_lists(facts: _Facts) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*facts.policy, *facts.wanted)))


def _approvers(facts: _Facts) -> tuple[str, ...]:
    """The file names people on Discord; this machine's own command line stays as the policy has it."""
    here = tuple(item for item in facts.policy if item == OPERATOR)
    people = [item for item in facts.wanted if not facts.owned or item in facts.policy]
    return (*here, *people)


def _guilds(facts: _Facts) -> dict[str, Any]:
    return met_guilds(facts.policy, facts.wanted) if facts.owned else dict(facts.wanted)


def _more_denied(facts: _Facts) -> dict[str, Any]:
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


def _bind(value: str) -> str:
    return "127.0.0.1" if value == "loopback" else "0.0.0.0"  # a wish; the policy decides


def _read_profiles(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: {"denied_flags": tuple(profile.get("deniedFlags", ()))} for name, profile in value.items()}


def _seconds(value: float) -> float:
    return value / 1000


def _minutes(value: str) -> float:
    """``30m`` in minutes; a bare number is that already."""
    number = value.rstrip("dhms")
    return float(number) * {"ms": 1 / 60_000, "s": 1 / 60, "h": 60, "d": 1440}.get(value[len(number) :], 1)


def _is_streaming(value: object) -> bool:
    return value not in (False, "off")


_AUTH = ("gateway", "auth", "rateLimit")
_DISCORD = ("channels", "discord")
_EXEC = ("tools", "exec")
_ENDPOINTS: Final = ("gateway", "http", "endpoints")
_DEFAULTS = ("agents", "defaults")
_BEAT = (*_DEFAULTS, "heartbeat")

SETTINGS: Final[tuple[Setting, ...]] = (
    Setting(("gateway", "port"), ("openclaw", "port"), _choose),
    Setting(("gateway", "bind"), ("openclaw", "bind"), _ordered("127.0.0.1", "0.0.0.0"), _bind),
    Setting(("gateway", "trustedProxies"), ("openclaw", "trusted_proxies"), _only_if_named, tuple),
    Setting(("gateway", "controlUi", "enabled"), ("openclaw", "control_ui", "enabled"), _both),
    Setting(
        ("gateway", "controlUi", "allowedOrigins"), ("openclaw", "control_ui", "allowed_origins"), _only_if_named, tuple
    ),
    Setting((*_AUTH, "maxAttempts"), ("openclaw", "auth", "max_attempts"), _least),
    Setting((*_AUTH, "windowMs"), ("openclaw", "auth", "window_s"), lambda f: max(f.policy, f.wanted), _seconds),
    Setting((*_AUTH, "lockoutMs"), ("openclaw", "auth", "lockout_s"), lambda f: max(f.policy, f.wanted), _seconds),
    Setting((*_DISCORD, "enabled"), ("openclaw", "discord", "enabled"), _both),
    Setting(
        (*_DISCORD, "groupPolicy"),
        ("openclaw", "discord", "group_policy"),
        _ordered("disabled", "allowlist", "open"),
    ),
    Setting(
        (*_DISCORD, "dmPolicy"),
        ("openclaw", "discord", "dm_policy"),
        _ordered("disabled", "allowlist", "pairing", "open"),
    ),
    Setting((*_DISCORD, "allowFrom"), ("openclaw", "discord", "allow_from"), _only_if_named, tuple),
    Setting((*_DISCORD, "guilds"), ("openclaw", "discord", "guilds"), _guilds, read_guilds),
    Setting((*_DISCORD, "streaming"), ("openclaw", "discord", "streaming"), _choose, _is_streaming),
    Setting((*_DISCORD, "historyLimit"), ("openclaw", "discord", "history_limit"), _least),
    Setting((*_DISCORD, "replyToMode"), ("openclaw", "discord", "reply_to_mode"), _choose),
    Setting((*_DISCORD, "ackReaction"), ("openclaw", "discord", "ack_reaction"), _choose),
    Setting(("messages", "ackReactionScope"), ("openclaw", "discord", "ack_scope"), _choose),
    Setting(("messages", "groupChat", "mentionPatterns"), ("openclaw", "discord", "mention_patterns"), _choose, tuple),
    Setting(("commands", "native"), ("openclaw", "discord", "native_commands"), _both, bool),
    Setting((*_DISCORD, "execApprovals", "approvers"), ("openclaw", "approvals", "approvers"), _approvers, tuple),
    Setting((*_ENDPOINTS, "chatCompletions", "enabled"), ("openclaw", "http", "chat_completions"), _both, bool),
    Setting((*_ENDPOINTS, "responses", "enabled"), ("openclaw", "http", "responses"), _both, bool),
    Setting((*_DEFAULTS, "model", "primary"), ("openclaw", "agent", "model"), _choose),
    Setting((*_DEFAULTS, "model", "fallbacks"), ("openclaw", "agent", "fallbacks"), _choose, tuple),
    Setting((*_DEFAULTS, "timeoutSeconds"), ("openclaw", "agent", "timeout_s"), _least),
    Setting((*_DEFAULTS, "maxConcurrent"), ("openclaw", "agent", "max_concurrent"), _least),
    Setting((*_DEFAULTS, "userTimezone"), ("openclaw", "session", "timezone"), _choose),
    Setting((*_DEFAULTS, "skipBootstrap"), ("openclaw", "workspace", "bootstrap"), _both, lambda value: not value),
    Setting((*_DEFAULTS, "bootstrapMaxChars"), ("openclaw", "workspace", "file_chars"), _least),
    Setting((*_DEFAULTS, "bootstrapTotalMaxChars"), ("openclaw", "workspace", "total_chars"), _least),
    Setting((*_DEFAULTS, "compaction", "reserveTokens"), ("openclaw", "compaction", "reserve_tokens"), _choose),
    Setting((*_DEFAULTS, "compaction", "keepRecentTokens"), ("openclaw", "compaction", "keep_tokens"), _choose),
    Setting((*_BEAT, "every"), ("openclaw", "heartbeat", "every_minutes"), _choose, _minutes),
    Setting((*_BEAT, "activeHours", "start"), ("openclaw", "heartbeat", "active_from"), _choose),
    Setting((*_BEAT, "activeHours", "end"), ("openclaw", "heartbeat", "active_to"), _choose),
    Setting((*_BEAT, "activeHours", "timezone"), ("openclaw", "heartbeat", "timezone"), _choose),
    Setting((*_BEAT, "target"), ("openclaw", "heartbeat", "target"), _ordered("none", "last")),
    Setting((*_BEAT, "ackMaxChars"), ("openclaw", "heartbeat", "ack_chars"), _choose),
    Setting(("session", "reset", "mode"), ("openclaw", "session", "reset"), _choose),
    Setting(("session", "reset", "atHour"), ("openclaw", "session", "at_hour"), _choose),
    Setting(("session", "reset", "idleMinutes"), ("openclaw", "session", "idle_minutes"), _choose),
    Setting(("messages", "queue", "mode"), ("openclaw", "queue", "mode"), _choose),
    Setting(("messages", "queue", "debounceMs"), ("openclaw", "queue", "debounce_s"), _choose, _seconds),
    Setting(("messages", "queue", "cap"), ("openclaw", "queue", "cap"), _least),
    Setting(("messages", "queue", "drop"), ("openclaw", "queue", "drop"), _choose),
    Setting(("cron", "enabled"), ("openclaw", "cron", "enabled"), _both),
    Setting(("cron", "maxConcurrentRuns"), ("openclaw", "cron", "max_concurrent_runs"), _least),
    Setting(("tools", "profile"), ("openclaw", "tools", "profile"), _profile),
    Setting(("tools", "allow"), ("openclaw", "tools", "allow"), _allowed_tools, tuple),
    Setting(("tools", "alsoAllow"), ("openclaw", "tools", "also_allow"), _also_allowed, tuple),
    Setting(("tools", "deny"), ("openclaw", "tools", "deny"), _both_lists, tuple),
    Setting((*_EXEC, "backgroundMs"), ("openclaw", "tools", "background_s"), _least, _seconds),
    Setting(("agents", "list", "*", "identity", "name"), ("openclaw", "agent", "name"), _choose),
    Setting((*_EXEC, "security"), ("exec", "security"), _ordered("deny", "allowlist")),
    Setting((*_EXEC, "ask"), ("exec", "ask"), _ask),
    Setting((*_EXEC, "safeBins"), ("exec", "safe_bins"), _only, tuple),
    Setting(
        (*_EXEC, "safeBinTrustedDirs"),
        ("exec", "trusted_dirs"),
        lambda facts: tuple(item for item in facts.policy if item.rstrip("/") in facts.wanted),
        lambda value: tuple(dict.fromkeys((*SYSTEM_DIRS, *(item.rstrip("/") for item in value)))),
    ),
    Setting((*_EXEC, "safeBinProfiles"), ("exec", "profiles"), _more_denied, _read_profiles),
)
"""Every setting of ``openclaw.json`` that this product acts on through its policy."""

HONOURED: Final[tuple[Path, ...]] = (
    ("$schema",),
    ("meta",),
    ("wizard",),
    ("env",),
    ("gateway", "mode"),
    ("gateway", "auth", "mode"),
    ("gateway", "auth", "token"),
    ("gateway", "reload", "mode"),
    ("gateway", "reload", "debounceMs"),
    (*_DISCORD, "token"),
    (*_DISCORD, "execApprovals", "enabled"),
    (*_DISCORD, "execApprovals", "target"),
    (*_EXEC, "host"),
    ("agents", "list", "*", "id"),
    ("agents", "list", "*", "default"),
    ("messages", "ackReaction"),
)
"""What is acted on beside the table, or only describes the file itself."""

_SAME_AS: Final[Mapping[Path, Any]] = {
    (*_EXEC, "host"): "gateway",
    ("gateway", "mode"): "local",
    ("gateway", "auth", "mode"): "token",
    (*_DISCORD, "execApprovals", "target"): "dm",
}
"""Where only one value means anything here; another one is named by `unused`."""


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
        facts = _Facts(policy, setting.read(wanted), owned, ceiling.openclaw)
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


def _decision(setting: Setting, facts: _Facts, met: Any) -> Decision:  # noqa: ANN401 - any setting
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
    if path[:3] == (*_DEFAULTS, "model"):
        model = _at(given, path[:3])
        if isinstance(model, str):
            return {"primary": model, "fallbacks": None}[str(path[3])]
    if path == (*_DISCORD, "execApprovals", "approvers") and not _at(given, (*_DISCORD, "execApprovals", "enabled")):
        return None if _at(given, (*_DISCORD, "execApprovals")) is None else []
    if path == (*_DISCORD, "ackReaction"):
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


# --- what nothing here acts on -----------------------------------------------------------


def unused(config: OpenClawJson, document: Document) -> list[Issue]:
    """Everything the file sets that this product does not act on, each with its place."""
    given = config.model_dump(by_alias=True, exclude_unset=True)
    found: list[Issue] = []
    _unused(given, (), document, found)
    return found


def _unused(value: Any, path: Path, document: Document, found: list[Issue]) -> None:  # noqa: ANN401
    covered = _covered(path)
    if covered == "no" or (path in _SAME_AS and value != _SAME_AS[path]):
        only = f"; only {_SAME_AS[path]!r} exists here" if path in _SAME_AS else ""
        message = f"is accepted and changes nothing: this product does not use it{only}"
        found.append(Issue(dotted(path), message, document.place_of(path)))
    elif covered == "part" and isinstance(value, Mapping):
        for name, item in value.items():
            _unused(item, (*path, name), document, found)
    elif covered == "part" and isinstance(value, list):
        for position, item in enumerate(value):
            _unused(item, (*path, position), document, found)


_INSIDE: Final[tuple[Path, ...]] = (
    (*_DISCORD, "guilds", "*", "requireMention"),
    (*_DISCORD, "guilds", "*", "users"),
    (*_DISCORD, "guilds", "*", "roles"),
    *((*_DISCORD, "guilds", "*", "channels", "*", name) for name in ("requireMention", "users", "roles")),
    (*_DISCORD, "guilds", "*", "channels", "*", "allow"),
    (*_DISCORD, "guilds", "*", "channels", "*", "enabled"),
    (*_EXEC, "safeBinProfiles", "*", "deniedFlags"),
)
_OPENED: Final = ((*_DISCORD, "guilds"), (*_EXEC, "safeBinProfiles"))
_ACTED_ON: Final = (*(setting.path for setting in SETTINGS if setting.path not in _OPENED), *HONOURED, *_INSIDE)


def _covered(path: Path) -> str:
    """``all`` of it is acted on, ``part`` of what is below may be, or ``no``."""
    for known in _ACTED_ON:
        length = min(len(known), len(path))
        if all(k in ("*", p) for k, p in zip(known[:length], path[:length], strict=True)):
            return "all" if len(path) >= len(known) else "part"
    if path == (*_DEFAULTS, "model"):
        return "all"
    return "no"


def is_used(path: Path) -> bool:
    """Whether a path of the schema (``*`` for any name), or something below it, is acted on."""
    return _covered(path) != "no"


def held_secret(config: OpenClawJson, path: Path) -> tuple[str, str]:
    """A secret of the file: ``(literal, held name)``, of which at most one is not empty."""
    value = _at(config.model_dump(by_alias=True, exclude_unset=True), path)
    if not isinstance(value, str) or not value:
        return "", ""
    name = held_name(value, path)
    return ("", name) if name else (value, "")

"""The deterministic model behind every model emulator: what it answers follows from the conversation alone.

Rules of a script file come first, then directives in the person's text (``!tool …``), then an echo.
docs/sandbox-model.md is the reference for both.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from shared.config.strict import Strict
from shared.errors import ConfigError

Upstream = Literal["claude", "codex", "copilot"]
_UPSTREAMS = ("claude", "codex", "copilot")

_REMINDER = re.compile(r"<system-reminder>.*?(?:</system-reminder>|\Z)", re.DOTALL)
_BACKGROUND_ENDS = "[To be answered]\n"
"""OpenClaw shows a model what was said in the channel before; this line ends that part."""
_WRAPPED = re.compile(r"<message\b[^>]*>(.*?)</message>", re.DOTALL)
_MENTION = re.compile(r"^(?:(?:<@[!&]?\d+>|@[^\s<>]+)[\s,:]*)+")
_BRACKETED_LINES = re.compile(r"^(?:\[[^\n]*\]\s*\n\s*)+")
_SENDER = re.compile(r"^[^\n:!]{1,60}: (?=!|@|<@)")
_NOT_A_PERSON = ("[Request interrupted",)
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_COMMAND_TOOLS = ("Bash", "exec", "bash", "shell", "run")
_WORDS_PER_PIECE = 3
_LONG_PIECE_CHARS = 200
_MAX_LONG_CHARS = 1_000_000
_MAX_PIECES = 10_000
_SLOW_S = 0.1


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation, however the provider spells it.

    Attributes:
        role: who speaks; ``tool`` for a tool's result.
        text: what is said; for ``tool`` the result.
        calls: names of tools the assistant called in this turn, by call id.
        call_id: for ``tool``, which call this answers.
    """

    role: Literal["user", "assistant", "tool"]
    text: str
    calls: Mapping[str, str] = field(default_factory=dict)
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """What a model is asked.

    Attributes:
        turns: oldest first.
        tools: names of the tools on offer.
    """

    upstream: Upstream
    model: str
    system: str
    turns: tuple[Turn, ...]
    tools: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Say:
    """A piece of text, `after_s` seconds after what came before."""

    text: str
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call; ends the answer."""

    tool: str
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stall:
    """Silence in an answer that has begun."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Refuse:
    """An HTTP error in place of an answer; no body means the provider's usual one for the status."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


Step = Say | Call | Stall | Refuse


class Rule(Strict):
    """One rule of a script file; docs/sandbox-model.md explains the keys."""

    match: str = ""
    upstream: Upstream | None = None
    model: str = ""
    times: Annotated[int, Field(ge=1)] | None = None
    reply: str | None = None
    tool: str | None = None
    args: dict[str, Any] = Field(default_factory=dict)
    then: str = "tool {tool} said: {result}"
    fail: Annotated[int, Field(ge=400, le=599)] | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    body: Any = None
    stall_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    chunks: Annotated[int, Field(ge=1, le=_MAX_PIECES)] | None = None
    chunk_delay_s: Annotated[float, Field(ge=0, le=3600)] = 0.0

    @field_validator("match", "model")
    @classmethod
    def _is_pattern(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return value

    @model_validator(mode="after")
    def _does_something(self) -> Rule:
        if self.reply is None and self.tool is None and self.fail is None and not self.stall_s:
            raise ValueError("a rule needs reply, tool, fail or stall_s")
        return self


class _File(Strict):
    rule: tuple[Rule, ...] = ()


class Script:
    """Answers conversations. It remembers only how often a rule or a ``!fail`` has struck."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._rules = tuple(rules)
        self._used: dict[int, set[str]] = {}
        self._refusals: dict[str, int] = {}

    @classmethod
    def load(cls, path: Path) -> Script:
        """Read a script: TOML, or JSON when the name ends in ``.json``.

        Raises:
            ConfigError: it cannot be read; the detail names the rule and the key.
        """
        try:
            text = path.read_text(encoding="utf-8")
            values = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
            return cls(_File.model_validate(values).rule)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(str(part) for part in problem['loc']) or 'file'}: {problem['msg']}"
                for problem in error.errors(include_url=False)
            )
            raise ConfigError(f"script {path}: {problems} (see docs/sandbox-model.md)", code="config.script") from None
        except (OSError, ValueError) as error:
            raise ConfigError(f"script {path} cannot be read: {error}", code="config.script") from None

    def answer(self, conversation: Conversation) -> list[Step]:
        """The steps of the answer to a conversation; never empty."""
        facts = _Facts.of(conversation)
        for number, rule in enumerate(self._rules):
            if (found := _matches(rule, facts)) and self._may_use(number, rule, facts):
                return _by_rule(rule, found, facts)
        name, rest = _split(facts.command)
        directive = _DIRECTIVES.get(name)
        if name == "!fail":
            return self._fail(rest.split(), facts)
        if facts.results:
            return [Say(f"tool {facts.tool} said: {facts.results}")]
        if directive is not None:
            return directive(rest, facts)
        return _pieces(f"echo: {facts.text}")

    def _may_use(self, number: int, rule: Rule, facts: _Facts) -> bool:
        if rule.times is None:
            return True
        used = self._used.setdefault(number, set())
        # A failing rule counts requests, so that a retry gets past it; others count turns, so that the second
        # request of a turn, with the tool's result, still belongs to them.
        key = f"{len(used)}" if rule.fail is not None else facts.turn_key
        if key in used:
            return True
        if len(used) >= rule.times:
            return False
        used.add(key)
        return True

    def _fail(self, words: Sequence[str], facts: _Facts) -> list[Step]:
        status = next((int(word) for word in words[:1] if re.fullmatch(r"[45]\d\d", word)), 500)
        only = next((word for word in words[1:] if word in _UPSTREAMS), facts.conversation.upstream)
        if only != facts.conversation.upstream:
            return _pieces(f"answered by {facts.conversation.upstream} ({facts.conversation.model})")
        if "always" in words[1:]:
            return [Refuse(status)]
        limit = next((int(word) for word in words[1:] if word.isdigit()), 1)
        refused = self._refusals.get(facts.turn_key, 0)
        if refused < limit:
            self._refusals[facts.turn_key] = refused + 1
            return [Refuse(status)]
        return _pieces(f"recovered after {refused} refusal{'s' if refused != 1 else ''} with {status}")


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a conversation comes down to.

    Attributes:
        text: the last thing a person said, unwrapped, without the mention.
        command: the same without quoted lines and a sender's name before a directive.
        results: what tools said since then.
        tool: the last tool called since then.
        turn_key: names this turn of this conversation; the same for a retry and after a tool's result.
    """

    conversation: Conversation
    text: str
    command: str
    people: tuple[str, ...]
    results: str
    tool: str
    turn_key: str

    @classmethod
    def of(cls, conversation: Conversation) -> _Facts:
        turns = conversation.turns
        people = [(index, text) for index, turn in enumerate(turns) if (text := person_text(turn))]
        last = people[-1][0] if people else -1
        later = turns[last + 1 :]
        calls = {call_id: name for turn in later for call_id, name in turn.calls.items()}
        results = [turn for turn in later if turn.role == "tool"]
        text = people[-1][1] if people else ""
        digest = hashlib.sha256("\0".join([conversation.upstream, *(said for _, said in people)]).encode())
        return cls(
            conversation=conversation,
            text=text,
            command=_command(text),
            people=tuple(said for _, said in people),
            results="\n".join(_REMINDER.sub("", turn.text).strip() for turn in results),
            tool=calls.get(results[-1].call_id, "") if results else "",
            turn_key=digest.hexdigest(),
        )


def person_text(turn: Turn) -> str:
    """What a person said in a turn: without the host's reminders, wrapping and leading mention; empty for others."""
    if turn.role != "user":
        return ""
    text = _REMINDER.sub("", turn.text).strip()
    if text.startswith(_NOT_A_PERSON):
        return ""
    if wrapped := _WRAPPED.findall(text):
        text = html.unescape(wrapped[-1]).strip()
    text = text.rpartition(_BACKGROUND_ENDS)[2]
    return _MENTION.sub("", text).strip()


def _command(text: str) -> str:
    text = _BRACKETED_LINES.sub("", text)
    text = _SENDER.sub("", text)
    return _MENTION.sub("", text).strip()


def _matches(rule: Rule, facts: _Facts) -> re.Match[str] | None:
    if rule.upstream not in {None, facts.conversation.upstream}:
        return None
    if rule.model and not re.fullmatch(rule.model, facts.conversation.model):
        return None
    return re.search(rule.match, facts.text)


def _by_rule(rule: Rule, found: re.Match[str], facts: _Facts) -> list[Step]:
    if rule.fail is not None:
        return [Refuse(rule.fail, rule.headers, rule.body)]
    values = {
        "text": facts.text,
        "count": str(len(facts.people)),
        "model": facts.conversation.model,
        "result": facts.results,
        "tool": facts.tool or rule.tool or "",
        **{str(number): group or "" for number, group in enumerate(found.groups(), start=1)},
        **{name: group or "" for name, group in found.groupdict().items()},
    }
    steps: list[Step] = [Stall(rule.stall_s)] if rule.stall_s else []
    if rule.tool is not None and not facts.results:
        name = _offered(rule.tool, facts.conversation.tools)
        if name is None:
            return [*steps, *_pieces(_not_offered(rule.tool, facts))]
        before = _pieces(_fill(rule.reply, values)) if rule.reply else []
        return [*steps, *before, Call(name, _fill_all(rule.args, values))]
    template = rule.then if rule.tool is not None else (rule.reply or "")
    said = _fill(template, values)
    return [*steps, *_pieces(said, count=rule.chunks, delay_s=rule.chunk_delay_s)] or [Say("")]


def _fill(template: str, values: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), template)


def _fill_all(value: Any, values: Mapping[str, str]) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, str):
        return _fill(value, values)
    if isinstance(value, dict):
        return {key: _fill_all(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill_all(item, values) for item in value]
    return value


def _pieces(text: str, *, count: int | None = None, delay_s: float = 0.0) -> list[Step]:
    """Text in pieces, as a model would send it; joined they are the text."""
    if count is None:
        words = re.findall(r"\S+\s*|\s+", text)
        parts = ["".join(words[at : at + _WORDS_PER_PIECE]) for at in range(0, len(words), _WORDS_PER_PIECE)]
    else:
        size = max(1, -(-len(text) // count))
        parts = [text[at : at + size] for at in range(0, len(text), size)]
    return [Say(part, delay_s) for part in parts] or [Say("")]


def _offered(name: str, tools: Sequence[str]) -> str | None:
    """The offered tool meant by a name; a server's prefix (``mcp__host__send_message``) may be left out."""
    if name in tools:
        return name
    return next((tool for tool in tools if tool.endswith(f"__{name}")), None)


def _not_offered(name: str, facts: _Facts) -> str:
    return f"tool {name} is not offered (offered: {', '.join(facts.conversation.tools) or 'none'})"


def _say(rest: str, _facts: _Facts) -> list[Step]:
    return _pieces(rest)


def _split(command: str) -> tuple[str, str]:
    name, *rest = command.split(maxsplit=1) or [""]
    return name, rest[0].strip() if rest else ""


def _tool(rest: str, facts: _Facts) -> list[Step]:
    name, arguments = _split(rest)
    try:
        args = json.loads(arguments) if arguments else {}
    except ValueError as error:
        return _pieces(f"the arguments of !tool are not JSON: {error}")
    if not isinstance(args, dict):
        return _pieces("the arguments of !tool are not a JSON object")
    tool = _offered(name, facts.conversation.tools)
    return _pieces(_not_offered(name, facts)) if tool is None else [Call(tool, args)]


def _run(rest: str, facts: _Facts) -> list[Step]:
    tool = next((found for name in _COMMAND_TOOLS if (found := _offered(name, facts.conversation.tools))), None)
    if tool is None:
        return _pieces(_not_offered("Bash or exec", facts))
    return [Call(tool, {"command": rest})]


def _stall(rest: str, _facts: _Facts) -> list[Step]:
    seconds = _number(rest, 30.0)
    return [Stall(seconds), *_pieces(f"stalled {seconds:g} s")]


def _long(rest: str, _facts: _Facts) -> list[Step]:
    length = min(int(_number(rest, 5000)), _MAX_LONG_CHARS)
    number, size = 0, 0
    lines: list[str] = []
    while size < length:
        number += 1
        line = f"line {number:05d} the quick brown fox jumps over the lazy dog\n"
        lines.append(line)
        size += len(line)
    text = "".join(lines)[:length]
    return [Say(text[at : at + _LONG_PIECE_CHARS]) for at in range(0, length, _LONG_PIECE_CHARS)] or [Say("")]


def _slow(rest: str, _facts: _Facts) -> list[Step]:
    count = min(int(_number(rest, 10)), _MAX_PIECES)
    return [Say(f"chunk {number} ", _SLOW_S) for number in range(1, count + 1)] or [Say("")]


def _count(_rest: str, facts: _Facts) -> list[Step]:
    return _pieces(f"user turns: {len(facts.people)}")


def _history(_rest: str, facts: _Facts) -> list[Step]:
    earlier = facts.people[:-1]
    return _pieces("earlier user turns:\n" + "\n".join(f"{number}. {text}" for number, text in enumerate(earlier, 1)))


def _help(_rest: str, _facts: _Facts) -> list[Step]:
    return _pieces("directives: " + " ".join(sorted([*_DIRECTIVES, "!fail"])))


def _number(text: str, default: float) -> float:
    try:
        value = float(shlex.split(text)[0])
    except (ValueError, IndexError):
        return default
    return value if 0 <= value <= _MAX_LONG_CHARS else default


_DIRECTIVES: dict[str, Callable[[str, _Facts], list[Step]]] = {
    "!say": _say,
    "!tool": _tool,
    "!run": _run,
    "!stall": _stall,
    "!long": _long,
    "!slow": _slow,
    "!count": _count,
    "!history": _history,
    "!help": _help,
}

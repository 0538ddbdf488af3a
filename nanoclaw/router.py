"""Who answers a batch of messages: the light route without a worker, or the group's agent."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from nanoclaw.config import LightPolicy
from nanoclaw.groups import Group, RouteSetting
from shared.channels.base import Attachment, InboundMessage, Sender

Tier = Literal["LIGHT", "STANDARD"]
TIERS: tuple[Tier, ...] = ("LIGHT", "STANDARD")

FORCED_ROUTE = re.compile(r"^\s*(?:@\S+\s+)?!(light|claude)\b", re.IGNORECASE)
"""A person's own choice at the start of a message."""

_NEEDS_AGENT = re.compile(
    r"```|https?://|\b(?:file|folder|directory|code|script|run|execute|install|browse|search|website|remember|remind|"
    r"schedule|every (?:day|week|hour|morning)|repo|git|commit|test|debug|fix|write|create|edit|delete|analy[sz]e)\b|"
    r"파일|폴더|코드|실행|설치|검색|사이트|기억|알려줘 매|매일|매주|예약|일정|저장|수정|삭제|분석|작성",
    re.IGNORECASE,
)
_SMALL_TALK = re.compile(
    r"^\W*(?:hi|hello|hey|yo|thanks?|thank you|thx|good (?:morning|evening|night)|bye|ok(?:ay)?|lol|"
    r"안녕(?:하세요)?|고마워요?|감사합니다|잘 자|굿모닝|ㅎㅎ+|ㅋㅋ+)\W*+(?:\w\S*+\W*+)?$",
    re.IGNORECASE,
)
_SIMPLE_QUESTION = re.compile(
    r"^\W*(?:what(?:'s| is| are)|who(?:'s| is| was)|when (?:is|was|did)|where (?:is|was)|"
    r"how (?:many|much|old|far|tall)|translate|번역|뜻이? 뭐|몇)",
    re.IGNORECASE,
)
_NAME_IN_FRONT = re.compile(r"^\s*@\S+\s+")
_SHORT_CHARS = 160


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """What the decision needs to know beyond the messages.

    Attributes:
        light_ready: the light route is neither full nor resting after a failure.
        since_agent_s: seconds since the agent last answered this chat; None when it never did.
    """

    light_ready: bool = True
    since_agent_s: float | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tier that could have answered.

    Attributes:
        removed_by: name of the rule that took it out; empty for the chosen one.
        why: that rule in words.
    """

    tier: Tier
    removed_by: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """Who answers, and why.

    Attributes:
        reason: in words, for the metrics line.
        confidence: 0 to 1; 1 where there was nothing to guess.
        rule: name of the rule that decided.
        candidates: every tier, with what removed it; empty for a route that was not decided here.
    """

    tier: Tier
    reason: str
    confidence: float = 1.0
    rule: str = ""
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class _Question:
    """What the rules look at.

    Attributes:
        text: all messages' text.
        bare: the same without the assistant's name in front.
    """

    messages: Sequence[InboundMessage]
    text: str
    bare: str
    group: Group
    policy: LightPolicy
    facts: RouteFacts


@dataclass(frozen=True, slots=True)
class _Verdict:
    """A rule chose a tier and so removes the other."""

    tier: Tier
    why: str
    confidence: float = 1.0


Rule = Callable[[_Question], _Verdict | None]
"""Chooses a tier, or has nothing to say."""


def decide_route(messages: Sequence[InboundMessage], group: Group, policy: LightPolicy, facts: RouteFacts) -> Route:
    """Choose the tier: the first rule that has something to say decides, and the route says which one it was.

    In doubt it is the agent: a light answer to a question that needs tools is a wrong one.
    """
    question = _question(messages, group, policy, facts)
    for name, rule in RULES.items():
        if verdict := rule(question):
            return _route(name, verdict)
    return _route("doubt", _Verdict("STANDARD", "nothing says that it is simple", 0.6))


def _question(messages: Sequence[InboundMessage], group: Group, policy: LightPolicy, facts: RouteFacts) -> _Question:
    text = "\n".join(message.text for message in messages)
    return _Question(messages, text, _NAME_IN_FRONT.sub("", text).strip(), group, policy, facts)


def _route(name: str, verdict: _Verdict) -> Route:
    candidates = tuple(
        Candidate(tier) if tier == verdict.tier else Candidate(tier, removed_by=name, why=verdict.why) for tier in TIERS
    )
    return Route(verdict.tier, verdict.why, verdict.confidence, rule=name, candidates=candidates)


def _scheduled(question: _Question) -> _Verdict | None:
    is_scheduled = any(message.task_run for message in question.messages)
    return _Verdict("STANDARD", "a scheduled task") if is_scheduled else None


def _light_off(question: _Question) -> _Verdict | None:
    if question.policy.enabled:
        return None
    if question.policy.enabled is None:  # a policy file alone, as `nanoclaw route explain` reads it
        return _Verdict("STANDARD", "the light route is off, unless .env names COPILOT_API_URL or COPILOT_MODEL")
    return _Verdict("STANDARD", "the light route is off")


def _light_rests(question: _Question) -> _Verdict | None:
    return None if question.facts.light_ready else _Verdict("STANDARD", "the light route is resting")


def _prefix(question: _Question) -> _Verdict | None:
    if match := FORCED_ROUTE.search(question.text):
        return _Verdict("LIGHT" if match[1].lower() == "light" else "STANDARD", "asked for by prefix")
    return None


def _group_setting(question: _Question) -> _Verdict | None:
    if question.group.route == "auto":
        return None
    return _Verdict("LIGHT" if question.group.route == "light" else "STANDARD", "the group's setting")


def _attachments(question: _Question) -> _Verdict | None:
    has_files = any(message.attachments for message in question.messages)
    return _Verdict("STANDARD", "there are attachments") if has_files else None


def _needs_agent(question: _Question) -> _Verdict | None:
    found = _NEEDS_AGENT.search(question.text)
    return _Verdict("STANDARD", "it asks for tools, files or memory", 0.9) if found else None


def _conversation(question: _Question) -> _Verdict | None:
    since = question.facts.since_agent_s
    is_going_on = since is not None and since < question.policy.conversation_s
    return _Verdict("STANDARD", "the agent is in this conversation", 0.9) if is_going_on else None


def _long(question: _Question) -> _Verdict | None:
    is_short = len(question.messages) == 1 and 0 < len(question.bare) <= _SHORT_CHARS
    return None if is_short else _Verdict("STANDARD", "it is not a short single message", 0.7)


def _small_talk(question: _Question) -> _Verdict | None:
    return _Verdict("LIGHT", "small talk", 0.9) if _SMALL_TALK.match(question.bare) else None


def _simple_question(question: _Question) -> _Verdict | None:
    return _Verdict("LIGHT", "a simple question", 0.7) if _SIMPLE_QUESTION.match(question.bare) else None


RULES: Mapping[str, Rule] = {
    "scheduled": _scheduled,
    "light-off": _light_off,
    "light-resting": _light_rests,
    "prefix": _prefix,
    "group-setting": _group_setting,
    "attachments": _attachments,
    "needs-agent": _needs_agent,
    "conversation": _conversation,
    "length": _long,
    "small-talk": _small_talk,
    "simple-question": _simple_question,
}
"""All rules in the order they are asked."""


def explain_route(
    text: str,
    policy: LightPolicy,
    *,
    group_route: RouteSetting = "auto",
    attachments: int = 0,
    facts: RouteFacts | None = None,
) -> dict[str, Any]:
    """Decide for a text that nobody sent, and say what every rule thinks of it; JSON values."""
    sent = tuple(Attachment(str(number), "file", "", 0, "") for number in range(attachments))
    nobody = Sender("0", "somebody")
    message = InboundMessage(
        "explain:0", "", "guild", "0", nobody, text, addressed=True, sent_at=datetime(2000, 1, 1, tzinfo=UTC)
    )
    messages = [replace(message, attachments=sent)]
    group = Group("explain", "explain:0", "", route=group_route)
    facts = facts or RouteFacts()
    route = decide_route(messages, group, policy, facts)
    question = _question(messages, group, policy, facts)
    rules = []
    for name, rule in RULES.items():
        verdict = rule(question)
        chosen = {"tier": verdict.tier, "why": verdict.why} if verdict else {"tier": None, "why": ""}
        rules.append({"rule": name, **chosen, "decides": name == route.rule})
    return {
        "tier": route.tier,
        "reason": route.reason,
        "rule": route.rule,
        "confidence": route.confidence,
        "model": policy.model if route.tier == "LIGHT" else None,
        "candidates": [asdict(candidate) for candidate in route.candidates],
        "rules": rules,
    }

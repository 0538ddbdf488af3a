"""Who answers a batch of messages: the light route without a worker, or the group's agent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nanoclaw.config import LightPolicy
from nanoclaw.groups import Group
from shared.channels.base import InboundMessage

Tier = Literal["LIGHT", "STANDARD"]

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
    r"안녕(?:하세요)?|고마워요?|감사합니다|잘 자|굿모닝|ㅎㅎ+|ㅋㅋ+)\W*(?:\S+\W*)?$",
    re.IGNORECASE,
)
_SIMPLE_QUESTION = re.compile(
    r"^\W*(?:what(?:'s| is| are)|who(?:'s| is| was)|when (?:is|was|did)|where (?:is|was)|"
    r"how (?:many|much|old|far|tall)|translate|번역|뜻이? 뭐|몇)",
    re.IGNORECASE,
)
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
class Route:
    """Who answers, and why; `confidence` between 0 and 1 is for the metrics line."""

    tier: Tier
    reason: str
    confidence: float = 1.0


def decide_route(messages: Sequence[InboundMessage], group: Group, policy: LightPolicy, facts: RouteFacts) -> Route:
    """Choose the tier. In doubt it is the agent: a light answer to a question that needs tools is a wrong one."""
    if not policy.enabled:
        return Route("STANDARD", "the light route is off")
    if not facts.light_ready:
        return Route("STANDARD", "the light route is resting")
    text = "\n".join(message.text for message in messages)
    if forced := _forced(text, group):
        return forced
    if any(message.attachments for message in messages):
        return Route("STANDARD", "there are attachments")
    if _NEEDS_AGENT.search(text):
        return Route("STANDARD", "it asks for tools, files or memory", 0.9)
    if facts.since_agent_s is not None and facts.since_agent_s < policy.conversation_s:
        return Route("STANDARD", "the agent is in this conversation", 0.9)
    stripped = re.sub(r"^\s*@\S+\s+", "", text).strip()
    if len(messages) > 1 or len(stripped) > _SHORT_CHARS or not stripped:
        return Route("STANDARD", "it is not a short single message", 0.7)
    if _SMALL_TALK.match(stripped):
        return Route("LIGHT", "small talk", 0.9)
    if _SIMPLE_QUESTION.match(stripped):
        return Route("LIGHT", "a simple question", 0.7)
    return Route("STANDARD", "nothing says that it is simple", 0.6)


def _forced(text: str, group: Group) -> Route | None:
    if match := FORCED_ROUTE.search(text):
        return Route("LIGHT" if match[1].lower() == "light" else "STANDARD", "asked for by prefix")
    if group.route == "auto":
        return None
    return Route("LIGHT" if group.route == "light" else "STANDARD", "the group's setting")

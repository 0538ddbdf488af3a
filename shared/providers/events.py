"""What a model's answer consists of, whichever provider sent it.

Invariant of every parser in this package: any number of deltas and tool calls, then exactly one `Completed` or
`Failed`, then nothing. A stream that breaks off is `Failed`, never a short success.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from shared.errors import Invalid

FailureKind = Literal[
    "usage_limit",
    "rate_limited",
    "auth",
    "billing",
    "denied",
    "invalid_request",
    "context_too_long",
    "content_filter",
    "overloaded",
    "server",
    "cut",
    "unavailable",
]

StopReason = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool offered to the model.

    Attributes:
        parameters: JSON Schema of the arguments.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer; `cached_tokens` are part of the input, `reasoning_tokens` part of the output."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the reply's text."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of the summary of what the model is thinking."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model wants a tool run.

    Attributes:
        id: must come back with the result.
        arguments: JSON text as the model wrote it, which need not be valid.
    """

    id: str
    name: str
    arguments: str

    def parsed(self) -> dict[str, Any]:
        """The arguments as an object; no text counts as none.

        Raises:
            Invalid: the model did not write a JSON object. Tell it so in the tool's result.
        """
        try:
            value = json.loads(self.arguments or "{}")
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise Invalid(f"the arguments of {self.name} are not a JSON object", code="model.arguments")
        return value


@dataclass(frozen=True, slots=True)
class Completed:
    """The answer is whole.

    Attributes:
        items: the answer as the provider wants it back in the next request's history.
    """

    usage: Usage = Usage()
    stop: StopReason = "stop"
    items: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """There is no (whole) answer.

    Attributes:
        kind: what it means for the caller; `usage_limit` must not be retried before `resets_at`.
        message: the provider's words; shown to the operator, not to a stranger.
        code: the provider's own code, empty when it gave none.
        status: HTTP status, 0 when the failure came inside a stream.
        resets_at: when the limit ends, if it said.
        retry_after_s: seconds to wait, if it said.
    """

    kind: FailureKind
    message: str
    code: str = ""
    status: int = 0
    resets_at: datetime | None = None
    retry_after_s: float | None = None
    context: Mapping[str, Any] = field(default_factory=dict)


ProviderEvent = TextDelta | ReasoningDelta | ToolCall | Completed | Failed

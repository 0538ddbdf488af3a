"""What a tool is, and what it is told when an agent calls it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from nanoclaw.groups import Group
from shared.channels.base import ChatId

JsonObject = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a run a tool is called.

    Attributes:
        run_id: the run; empty when the agent acts outside of one.
        key: this place's name, the same when the run is repeated after a crash: whoever stores what was done under it
            does not do it twice.
        chat: where the run is answered: the group's chat, or a thread of it.
        asked_by: ids of the people whose messages the run answers.
    """

    run_id: str
    key: str
    chat: ChatId
    asked_by: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call.

    Attributes:
        group: on whose behalf; as it is registered now.
        arguments: they fit the tool's schema.
    """

    group: Group
    place: Place
    arguments: JsonObject

    def text(self, name: str) -> str:
        """A text argument, trimmed; empty when it was left out."""
        return str(self.arguments.get(name) or "").strip()


Handler = Callable[[ToolCall], Awaitable[str]]
"""Does it, and says in words what came of it. A `GatewayError` is a refusal: its detail is what the agent reads."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as one group is offered it.

    Attributes:
        description: for the agent: what it does, when to use it, what it cannot do.
        properties: JSON schemas of the arguments by name; others are refused.
        required: arguments that must be there.
        read_only: it changes nothing, so that a plan may use it freely.
    """

    name: str
    description: str
    handler: Handler
    properties: Mapping[str, JsonObject] = field(default_factory=dict)
    required: Sequence[str] = ()
    read_only: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the arguments."""
        return {
            "type": "object",
            "properties": {name: dict(schema) for name, schema in self.properties.items()},
            "required": list(self.required),
            "additionalProperties": False,
        }


class ToolSet(Protocol):
    """Tools that belong together."""

    def offered(self, group: Group) -> Sequence[Tool]:
        """The tools this group may use; the others it never hears of."""
        ...


def text_schema(description: str, *, longest: int, shortest: int = 1) -> dict[str, Any]:
    """The schema of a text argument."""
    return {"type": "string", "description": description, "minLength": shortest, "maxLength": longest}

"""What reading an answer's event stream is made of, whichever format it has."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from typing import Any, Protocol

from shared.errors import GatewayError
from shared.http.sse import iter_sse
from shared.providers.events import Completed, Failed, ProviderEvent, ReasoningDelta, TextDelta

DONE = "[DONE]"


class Parser(Protocol):
    """Understands one format's events; serves one answer."""

    def take(self, event: Mapping[str, Any]) -> list[ProviderEvent]:
        """The next event; a `Completed` or `Failed` ends the answer."""
        ...

    def finish(self) -> list[ProviderEvent]:
        """What is left to say when the stream has ended in good order."""
        ...


async def read_events(chunks: AsyncIterable[bytes], parser: Parser) -> AsyncIterator[ProviderEvent]:
    """Parse a 200 answer's body; every failure, a broken connection included, is a `Failed` at the end."""
    try:
        async for event in iter_sse(chunks):
            if event.data == DONE:
                break
            for parsed in _parsed(parser, event.data):
                yield parsed
                if isinstance(parsed, Completed | Failed):
                    return
    except GatewayError as error:
        yield Failed("cut", error.detail, code=error.code)
        return
    for parsed in parser.finish():
        yield parsed


def cut() -> list[ProviderEvent]:
    """The verdict on a stream that ended before its answer did."""
    return [Failed("cut", "the answer ended before it was complete", code="cut")]


def text_of(kind: type[TextDelta] | type[ReasoningDelta], text: object) -> list[ProviderEvent]:
    """A piece of text as an event; none for nothing."""
    return [kind(text)] if isinstance(text, str) and text else []


def _parsed(parser: Parser, data: str) -> list[ProviderEvent]:
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return [Failed("server", "the provider sent an event that is not JSON")]
    return parser.take(event) if isinstance(event, dict) else []

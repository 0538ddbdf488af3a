"""Names of people and channels, asked for once and remembered for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from shared.channels.slack.translate import Facts, Names
from shared.channels.slack.webapi import SlackApi
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import GatewayError, NotFound
from shared.json_values import mapping
from shared.obs.log import get_logger

_log = get_logger(__name__)

_KEEP_S = 3600.0
_FORGET_FAILURE_S = 60.0
_PATIENCE_S = 3.0
_MOST = 2000


@dataclass(frozen=True, slots=True)
class _Known:
    name: str
    until_s: float


class NameBook:
    """Looks names up. One that cannot be had in time is missing, and its id stands for it: no message waits for long.

    Args:
        api: asked with the bot's token; channel names need the scope channels:read, and are missing without it.
        clock: for how long a name is believed.
    """

    def __init__(self, api: SlackApi, clock: Clock = SYSTEM_CLOCK) -> None:
        self._api = api
        self._clock = clock
        self._known: dict[str, _Known] = {}

    async def of(self, facts: Facts) -> Names:
        """The names needed to read a message."""
        people = await self._look_up(sorted(facts.people), self._person)
        channels = {} if facts.channel.startswith("D") else await self._look_up([facts.channel], self._channel)
        return Names(people, channels)

    async def _look_up(self, ids: Iterable[str], ask: Callable[[str], Awaitable[str]]) -> Mapping[str, str]:
        found = {}
        for id_ in ids:
            known = self._known.get(id_)
            if known is None or known.until_s < self._clock.monotonic():
                known = self._known[id_] = await self._ask(id_, ask)
                while len(self._known) > _MOST:
                    del self._known[next(iter(self._known))]
            if known.name:
                found[id_] = known.name
        return found

    async def _ask(self, id_: str, ask: Callable[[str], Awaitable[str]]) -> _Known:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                name = await ask(id_)
        except (GatewayError, TimeoutError) as error:
            _log.debug("slack.name_unknown", id=id_, reason=str(error) or type(error).__name__)
            final = isinstance(error, GatewayError) and not error.retryable
            return _Known("", self._clock.monotonic() + (_KEEP_S if final else _FORGET_FAILURE_S))
        return _Known(name, self._clock.monotonic() + _KEEP_S)

    async def _person(self, id_: str) -> str:
        reply = await self._api.call("look a person up", "users.info", user=id_)
        user = mapping(reply.body.get("user"))
        profile = mapping(user.get("profile"))
        for value in (profile.get("display_name"), profile.get("real_name"), user.get("name")):
            if isinstance(value, str) and value.strip():
                return value.strip()
        raise NotFound(f"Slack knows no name of {id_}")

    async def _channel(self, id_: str) -> str:
        reply = await self._api.call("look a channel up", "conversations.info", channel=id_)
        return str(mapping(reply.body.get("channel")).get("name") or "")

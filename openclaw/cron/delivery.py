"""Where an answer goes: a chat, a web address, or nowhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, Protocol

from openclaw.cron.models import CronRun
from openclaw.recipients import chat_of_place
from openclaw.sessions import MAIN_SESSION, Sessions
from shared.channels.base import Channel, ChatId
from shared.channels.outbox import Outbox
from shared.errors import Invalid, Unavailable
from shared.gatewayclient.web import WebhookAnswer, WebhookRequest
from shared.storage import Also

_REFUSED: Final = 300
_SERVER_ERRORS: Final = 500
_LATER: Final = (408, 425, 429)


class Delivery(Protocol):
    """Takes answers of scheduled runs."""

    async def chat_of(self, run: CronRun) -> ChatId:
        """The chat an answer goes to.

        Raises:
            Invalid: the job names none, and nobody has spoken to the main session from a chat yet; or no bot is
                configured.
            Unavailable: the platform is away.
        """
        ...

    async def announce(self, key: str, chat: ChatId, text: str, also: Also) -> None:
        """Store a message to be sent; `also` is done in the same transaction."""
        ...

    async def post(self, url: str, key: str, payload: dict[str, Any]) -> None:
        """Send a payload to a web address.

        Raises:
            Denied: policy does not let it go there.
            Unavailable: nobody took it.
        """
        ...


class WebhookGateway(Protocol):
    """The gateway's way to web addresses."""

    async def send_webhook(self, request: WebhookRequest) -> WebhookAnswer:
        """Tell an address."""
        ...


class NoDelivery:
    """A gateway without chat channels."""

    async def chat_of(self, run: CronRun) -> ChatId:  # noqa: ARG002 - the protocol's
        """There is none."""
        raise Invalid("no chat channel is configured", code="cron.no_chat")

    async def announce(self, key: str, chat: ChatId, text: str, also: Also) -> None:  # noqa: ARG002 - the protocol's
        """There is no chat, as `chat_of` has said before."""
        raise Invalid("no chat channel is configured", code="cron.no_chat")

    async def post(self, url: str, key: str, payload: dict[str, Any]) -> None:  # noqa: ARG002 - the protocol's
        """There is no way out."""
        raise Invalid("this gateway has no way to the web", code="cron.no_web")


class ChatDelivery(NoDelivery):
    """Delivery through the outbox.

    Args:
        channel: the connector; None without a bot token.
        sessions: where the main session was spoken to last.
        web: tells web addresses; None without a gateway.
    """

    def __init__(
        self,
        outbox: Outbox,
        channel: Callable[[], Channel | None],
        sessions: Callable[[], Sessions | None],
        web: WebhookGateway | None = None,
    ) -> None:
        self._web = web
        self._outbox = outbox
        self._channel = channel
        self._sessions = sessions

    async def chat_of(self, run: CronRun) -> ChatId:
        """See `Delivery`."""
        delivery = run.spec.delivery
        to = delivery.to if delivery is not None and delivery.mode == "announce" and delivery.to else self._last(run)
        return await chat_of_place(to, self._channel())

    def _last(self, run: CronRun) -> str:
        sessions = self._sessions()
        row = sessions.get(run.spec.session_key or MAIN_SESSION) if sessions else None
        if row is None or row.channel != "discord" or not row.last_to:
            raise Invalid(
                "there is no chat to announce in: nobody wrote to the main session from Discord yet, and the job names "
                "none (delivery.to: channel:<id> or user:<id>)",
                code="cron.no_chat",
            )
        return row.last_to

    async def announce(self, key: str, chat: ChatId, text: str, also: Also) -> None:
        """See `Delivery`."""
        await self._outbox.post(key, chat, text, also=also)

    async def post(self, url: str, key: str, payload: dict[str, Any]) -> None:
        """See `Delivery`."""
        if self._web is None:
            await super().post(url, key, payload)
            return
        body = json.dumps(payload, ensure_ascii=False)
        answer = await self._web.send_webhook(WebhookRequest(url=url, key=key, body=body))
        if answer.status in _LATER or answer.status >= _SERVER_ERRORS:
            raise Unavailable(f"the webhook answered {answer.status}", code="cron.webhook")
        if answer.status >= _REFUSED:
            raise Invalid(f"the webhook answered {answer.status}", code="cron.webhook")

"""Cards about posts: shown to those who decide, changed as things change, and their buttons heard.

What a card should say is asked of the gateway again and again, and what the outbox has is made to read like it. So a
card is neither lost nor shown twice by a restart of either side.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Protocol

from shared.channels.base import ButtonPress, ChatId, DirectChats, Form, OutboundFile
from shared.channels.outbox import Outbox
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import AuthRequired, Conflict, Denied, GatewayError, Invalid, NotFound, Unavailable
from shared.gatewayclient.models import PostAnswer, PostCard, PostInfo, seen_mark
from shared.lifecycle.backoff import Backoff
from shared.obs.log import get_logger
from shared.posting.card_text import Pressed, buttons, card_text, read_action
from shared.secrets.files import write_private

_log = get_logger(__name__)

_WAIT_S: Final = 45.0
_RETRY_S: Final = 15.0
_PICTURES: Final = 4
_PNG: Final = b"\x89PNG"
_FORM_CHARS: Final = 4000
_PATIENCE: Final = timedelta(minutes=2)
"""After this long without a card at any approver, the owner is told in words."""


class CardGateway(Protocol):
    """What is asked of the gateway; `GatewayClient` has it."""

    async def post_cards(self, seen: str, wait_s: float) -> list[PostCard]:
        """What people were asked lately."""
        ...

    async def answer_post(self, post_id: str, answer: PostAnswer) -> PostInfo:
        """A person's yes or no."""
        ...

    async def read_file(self, media_id: str) -> bytes:
        """A file that is to be posted."""
        ...

    async def post_unshown(self, post_id: str) -> None:
        """No approver could be shown the card."""
        ...


class PostCards:
    """Shows a tenant's posts to its approvers.

    Args:
        gateway: knows the posts.
        outbox: says them.
        changed: told when something about a post changed.
        clock: for patience.
    """

    def __init__(
        self,
        gateway: CardGateway,
        outbox: Outbox,
        *,
        changed: Callable[[PostCard], None] = lambda _: None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._gateway = gateway
        self._outbox = outbox
        self._changed = changed
        self._clock = clock
        self._versions: dict[str, int] = {}
        self._posts: dict[str, PostInfo] = {}
        self._missing_since: dict[str, datetime] = {}
        self._told: set[str] = set()

    async def run(self) -> None:
        """Keep all cards true until cancelled; a gateway that is away is waited for."""
        backoff, seen = Backoff(base_s=0.5, ceiling_s=30.0), ""
        while True:
            try:
                cards = await self._gateway.post_cards(seen, _WAIT_S if seen else 0.0)
                is_whole = await self.show_all(cards)
            except GatewayError as error:
                _log.debug("posts.gateway_away", code=error.code)
                await asyncio.sleep(backoff.next_delay_s())
                continue
            backoff.reset()
            seen = seen_mark(cards)
            if not is_whole:
                seen = ""
                await asyncio.sleep(_RETRY_S)

    async def show_all(self, cards: list[PostCard]) -> bool:
        """Make the outbox read like these cards; false when one could not be shown for now."""
        is_whole = True
        self._posts = {card.post.id: card.post for card in cards}
        for card in cards:
            if self._versions.get(card.post.id) != card.version:
                self._versions[card.post.id] = card.version
                self._changed(card)
            shown = [await self._show(card, place) for place in card.places]
            if card.post.state != "awaiting_approval" or not card.places:
                continue
            is_whole = is_whole and all(shown)
            await self._look_after(card, is_shown=any(shown))
        return is_whole

    async def _show(self, card: PostCard, place: str) -> bool:
        key = f"{card.post.id}_{place}"
        text, wanted = card_text(card), buttons(card)
        try:
            rows = await self._outbox.rows(key)
            if not rows:
                if card.post.state != "awaiting_approval":
                    return True  # settled before anybody saw it
                chat = await self._chat(place)
                with TemporaryDirectory(prefix="clawgate-card-") as folder:
                    files = await self._pictures(card, Path(folder))
                    await self._outbox.post(key, chat, text, buttons=wanted, files=files)
                _log.info("posts.card_shown", post=card.post.id, place=place)
                return True
            drafts = self._outbox.drafts(key, rows[0].chat, text, buttons=wanted, files=rows[-1].files)
            if [(d.text, d.buttons) for d in drafts] != [(row.text, row.buttons) for row in rows]:
                await self._outbox.rewrite(key, drafts, shown={})
            return all(row.state in {"pending", "sent"} for row in rows)
        except GatewayError as error:
            _log.info("posts.card_unshown", post=card.post.id, place=place, reason=error.detail)
            return False

    async def _pictures(self, card: PostCard, folder: Path) -> tuple[OutboundFile, ...]:
        """The very bytes that will be posted, as many as one message takes."""
        files = []
        for number, media_id in enumerate(card.pictures[:_PICTURES], start=1):
            data = await self._gateway.read_file(media_id)
            path = folder / str(number)
            await asyncio.to_thread(write_private, path, data)
            files.append(OutboundFile(f"{number}.{'png' if data.startswith(_PNG) else 'jpg'}", path))
        return tuple(files)

    async def _chat(self, place: str) -> ChatId:
        if ":" in place:
            return place
        # Discord's ids are numbers, Slack's are not.
        channel: object = self._outbox.channel(f"dc:{place}" if place.isdecimal() else f"sl:{place}")
        if isinstance(channel, DirectChats):
            return await channel.direct_chat(place)
        raise Unavailable("this channel cannot begin direct messages: set channel in policies/social.toml")

    async def _look_after(self, card: PostCard, *, is_shown: bool) -> None:
        name = f"{card.post.id}:{card.post.digest}"
        if is_shown or name in self._told:
            self._missing_since.pop(name, None)
            return
        now = self._clock.now()
        if now - self._missing_since.setdefault(name, now) >= _PATIENCE:
            await self._gateway.post_unshown(card.post.id)
            self._told.add(name)

    async def on_press(self, press: ButtonPress) -> str | Form | None:
        """A button was pressed; the answer is for the presser alone. None when the button is not a post's."""
        pressed = read_action(press.action)
        if pressed is None:
            return None
        if pressed.answer == "edit" and press.text is None:
            return self._form(press.action, pressed)
        sender = press.sender
        answer = PostAnswer(
            answer=pressed.answer,
            digest=pressed.digest,
            approver=sender.id,
            name=" ".join(sender.name.split())[:60],
            text=press.text or "",
        )
        try:
            info = await self._gateway.answer_post(pressed.post_id, answer)
        except (Conflict, Denied, NotFound) as error:
            return f"{error.detail[:1].upper()}{error.detail[1:]}."
        except (Unavailable, AuthRequired):
            return "The gateway does not answer just now, so nothing was decided: press again in a moment."
        except Invalid as error:
            return f"Not changed: {error.detail}."
        match pressed.answer:
            case "approve":
                return "Approved: it " + info.summary
            case "edit":
                return "Changed: everybody is asked again, about the new text."
        return "Rejected: it is not posted."

    def _form(self, action: str, pressed: Pressed) -> str | Form:
        post = self._posts.get(pressed.post_id)
        if post is None or post.state != "awaiting_approval" or not post.digest.startswith(pressed.digest):
            return "The post is not the one you see any more: look at the card again."
        if len(post.text) > _FORM_CHARS:
            return f"The text is too long for this window: `clawgate posts edit {post.id}`, or the Control UI."
        otherwise = f"Here is no window for it: `clawgate posts edit {post.id}`, or the Control UI."
        return Form(action, "Edit the post", "Text, exactly as it shall appear", post.text, _FORM_CHARS, otherwise)

"""The ``message`` tool: say something in a chat, beside the answer of the run."""

from __future__ import annotations

import hashlib
from typing import Annotated, Final

from pydantic import Field

from openclaw.agent.tools import Arguments, Tool, ToolContext, make_tool
from openclaw.recipients import Recipients
from shared.channels.outbox import Outbox
from shared.errors import Denied, Invalid

_TEXT_CHARS: Final = 16_000


class MessageArguments(Arguments):
    """``message``."""

    text: Annotated[str, Field(min_length=1, max_length=_TEXT_CHARS)]
    to: Annotated[
        str, Field(max_length=40, description="channel:<id> or user:<id>; this conversation when left out.")
    ] = ""


class MessageTool:
    """Puts messages into the outbox."""

    def __init__(self, outbox: Outbox, recipients: Recipients) -> None:
        self._outbox = outbox
        self._recipients = recipients

    @property
    def tool(self) -> Tool:
        """For the registry."""
        return make_tool(
            "message",
            "Send a message now, beside your answer: to this conversation, or (in the owner's own conversations) to a "
            "Discord channel or person the bot knows. Your answer itself needs no tool.",
            MessageArguments,
            self._send,
            label="Message",
            group="messaging",
        )

    async def _send(self, given: MessageArguments, context: ToolContext) -> str:
        if not given.text.strip():
            raise Invalid("the text is empty", code="message.empty")
        if not given.to:
            if not context.chat:
                raise Invalid("this conversation is in the Control UI: name a place, or just answer", code="message.to")
            chat = context.chat
        elif context.is_private:
            chat = await self._recipients.chat(given.to)
        else:
            raise Denied("from here only this conversation can be written to: leave 'to' out", code="message.elsewhere")
        # The same words to the same place in one run are one message, also when the run is repeated after a crash.
        digest = hashlib.sha256(f"{chat}\0{given.text}".encode(errors="replace")).hexdigest()[:12]
        await self._outbox.post(f"{context.run_id}_m{digest}", chat, given.text)
        return f"on its way to {given.to or 'this conversation'}"

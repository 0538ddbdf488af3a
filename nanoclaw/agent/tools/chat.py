"""Speaking in a chat: a message, a file, a question."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from nanoclaw.agent.tools.base import Tool, ToolCall, text_schema
from nanoclaw.folders import inner_path
from nanoclaw.groups import Group, GroupRegistry
from nanoclaw.privileges import decide_group_action
from nanoclaw.prompt import strip_internal
from nanoclaw.questions.models import Question
from nanoclaw.questions.service import Questions
from shared.beneath import read_beneath
from shared.channels.base import ChatId, OutboundFile
from shared.channels.outbox import Outbox
from shared.channels.spool import shown_name
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import Denied, Invalid
from shared.secrets.files import write_private

MAX_FILE_BYTES = 10 * 1024 * 1024
"""Largest file that is sent. Source: Discord's limit for everybody."""

_MESSAGE_LIMIT = 20_000
_CAPTION_LIMIT = 1900
_QUESTION_LIMIT = 1500
_OPTIONS_LIMIT = 5
_QUOTE_LIMIT = 1000
_LABEL_LIMIT = 80  # Source: Discord's limit for a button

_GROUP = text_schema("Main group only: folder of another group to send it to. Leave out for this chat.", longest=31)


class ChatTools:
    """`send_message`, `send_file` and `ask_user`.

    Args:
        folder_of: a group's folder on this machine.
        ask_timeout_s: how long people have to answer.
    """

    def __init__(
        self,
        outbox: Outbox,
        questions: Questions,
        registry: GroupRegistry,
        *,
        folder_of: Callable[[Group], Path],
        ask_timeout_s: float,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._outbox = outbox
        self._questions = questions
        self._registry = registry
        self._folder_of = folder_of
        self._ask_timeout_s = ask_timeout_s
        self._clock = clock

    def offered(self, group: Group) -> Sequence[Tool]:
        """Everybody may speak; main also elsewhere."""
        target: dict[str, Any] = {"group": _GROUP} if group.is_main else {}
        return (
            Tool(
                "send_message",
                "Send a message to this chat now, before your final answer. Use it for progress of a longer job; do "
                "not repeat it in the final answer.",
                self._send_message,
                {"text": text_schema("Discord Markdown.", longest=_MESSAGE_LIMIT), **target},
                ["text"],
            ),
            Tool(
                "send_file",
                "Send a file of your working directory to this chat, at most 10 MiB.",
                self._send_file,
                {
                    "path": text_schema("The file, inside your working directory.", longest=1024),
                    "name": text_schema("Name people see; the file's own when left out.", longest=100),
                    "caption": text_schema("Words sent with it.", longest=_CAPTION_LIMIT),
                    **target,
                },
                ["path"],
            ),
            Tool(
                "ask_user",
                "Ask the people of this chat something and wait for the answer: a press of one of the option buttons, "
                f"or the next message. Waits up to {self._minutes}. Use it only when you cannot go on without.",
                self._ask_user,
                {
                    "question": text_schema("The whole question, in Discord Markdown.", longest=_QUESTION_LIMIT),
                    "options": {
                        "type": "array",
                        "description": "Labels of up to five buttons. Leave out for a free answer.",
                        "items": {"type": "string", "minLength": 1, "maxLength": _LABEL_LIMIT},
                        "minItems": 1,
                        "maxItems": _OPTIONS_LIMIT,
                        "uniqueItems": True,
                    },
                },
                ["question"],
            ),
        )

    @property
    def _minutes(self) -> str:
        minutes = self._ask_timeout_s / 60
        return f"{minutes:g} minutes" if minutes >= 1 else f"{self._ask_timeout_s:g} seconds"

    def _target(self, call: ToolCall) -> tuple[ChatId, str]:
        """The chat that is meant, and whose it is when that is another group.

        Raises:
            Denied: it is another one, and the caller is not main.
            NotFound: there is none of that name.
        """
        name = call.text("group")
        if not name or name == call.group.folder:
            return call.place.chat, ""
        verdict = decide_group_action(call.group, "speak", name)
        if not verdict.allowed:
            raise Denied(f"not sent: {verdict.reason}")
        other = self._registry.find(name)
        return other.chat, f" to {other.folder}"

    async def _send_message(self, call: ToolCall) -> str:
        chat, whose = self._target(call)
        text = strip_internal(call.text("text"))
        if not text:
            raise Invalid("nothing was sent: without its internal parts the text is empty")
        key = call.place.key
        said = [row.text for row in await self._outbox.rows(key)]
        if said and said != [draft.text for draft in self._outbox.drafts(key, chat, text)]:
            # An earlier try of this run said something here. Often these are only other words for it, so that to say
            # both would be twice; where they are not, the agent must know that nothing was sent.
            return (
                "not sent: before this run was repeated, you had sent this in its place already: "
                f'"{" ".join(said)[:_QUOTE_LIMIT]}". If that does not say it, send what is missing with another call.'
            )
        await self._outbox.post(key, chat, text)
        return f"sent{whose}"

    async def _send_file(self, call: ToolCall) -> str:
        chat, whose = self._target(call)
        path = inner_path(call.text("path"))
        name = call.text("name") or path.name
        caption = strip_internal(call.text("caption"))
        key = call.place.key
        if sent := [file.name for row in await self._outbox.rows(key) for file in row.files]:
            again = "" if shown_name(name) in sent else f"; {name} was not: send it with another call"
            return f"{', '.join(sent)} was sent before this run was repeated{again}"
        folder = self._folder_of(call.group)
        with tempfile.TemporaryDirectory(prefix="clawgate-send-") as private:
            # The agent can change its folder at any time: what is sent is a copy that it cannot reach.
            copy = Path(private) / "file"
            size = await asyncio.to_thread(_copy_out, folder, path.parts, copy)
            await self._outbox.post(key, chat, caption, files=(OutboundFile(name, copy),))
        return f"sent {name} ({size:,} bytes){whose}"

    async def _ask_user(self, call: ToolCall) -> str:
        text = strip_internal(call.text("question"))
        options = tuple(strip_internal(str(option)) for option in call.arguments.get("options") or ())
        if not text or not all(options) or len(set(options)) != len(options):
            raise Invalid("not asked: the question or an option is empty without its internal parts, or given twice")
        now = self._clock.now()
        # A repeated run that words it differently asks another question, which must not get this one's answer.
        wording = hashlib.sha256("\0".join((text, *options)).encode()).hexdigest()[:8]
        closed = await self._questions.ask(
            Question(
                key=f"{call.place.key}.{wording}",
                run_id=call.place.run_id,
                folder=call.group.folder,
                chat=call.place.chat,
                text=text,
                options=options,
                asked_by=call.place.asked_by,
                asked_at=now,
                expires_at=now + timedelta(seconds=self._ask_timeout_s),
            )
        )
        if closed.state == "answered":
            return f"{closed.answered_by} answered: {closed.answer}"
        return (
            f"Nobody answered within {self._minutes}. Go on without an answer if you can do so safely; otherwise say "
            "in your final answer what you need to know, and end."
        )


def _copy_out(folder: Path, parts: Sequence[str], copy: Path) -> int:
    data = read_beneath(folder, parts[:-1], parts[-1], MAX_FILE_BYTES)
    write_private(copy, data)
    return len(data)

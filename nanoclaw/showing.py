"""What an agent is shown of a batch: the messages as text, and the pictures that came with them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any

from nanoclaw.attachments import Attachments, kind_of
from nanoclaw.config import AttachmentsPolicy
from nanoclaw.groups import Group
from nanoclaw.images import MAX_BYTES, Picture, read_picture
from nanoclaw.prompt import FileNote, format_messages, format_scheduled, label_of
from nanoclaw.tasks.models import TaskRun
from shared.beneath import read_beneath
from shared.channels.base import Attachment, InboundMessage, MessageId
from shared.errors import GatewayError

_PICTURES_BYTES = 8 * 1024 * 1024
"""All pictures of a prompt together: one line to a worker may be 16 MiB long, and base64 takes a third more."""
_TEXT_BYTES_A_CHAR = 4
_TEXTS = 8
"""All text files of a prompt together: so many times the longest one that is shown."""

Prompt = str | list[dict[str, Any]]
"""Text, or content blocks of the Messages API."""


_Key = tuple[MessageId, str]
"""A message and a file of it."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """A picture that is shown."""

    name: str
    picture: Picture
    data: bytes


class _Budget:
    """How much may still be shown; given to the newest messages first."""

    def __init__(self, pictures: int, inline_chars: int) -> None:
        self.inline_chars = inline_chars
        self._pictures = pictures
        self._bytes = _PICTURES_BYTES
        self._chars = _TEXTS * inline_chars

    def takes_picture(self, size_bytes: int) -> bool:
        if self._pictures <= 0 or size_bytes > self._bytes:
            return False
        self._pictures -= 1
        self._bytes -= size_bytes
        return True

    def takes_text(self, chars: int) -> bool:
        if chars > min(self.inline_chars, self._chars):
            return False
        self._chars -= chars
        return True


class Showing:
    """Builds prompts.

    Args:
        attachments: knows what became of the messages' files.
        policy: how much of them is shown.
        zone: for the times.
        folder_of: the folder of a group, what the files' paths are relative to.
    """

    def __init__(
        self,
        attachments: Attachments,
        policy: AttachmentsPolicy,
        *,
        zone: tzinfo,
        folder_of: Callable[[Group], Path],
    ) -> None:
        self._attachments = attachments
        self._policy = policy
        self._zone = zone
        self._folder_of = folder_of

    def scheduled(self, run: TaskRun, text: str) -> str:
        """The prompt of a scheduled task."""
        return format_scheduled(run, text, self._zone)

    async def prompt(
        self,
        asked: Sequence[InboundMessage],
        context: Sequence[InboundMessage],
        group: Group,
        *,
        with_pictures: bool = True,
    ) -> Prompt:
        """The prompt for a batch; waits for files that are still on their way.

        Args:
            asked: messages to be answered.
            context: said before.
            group: whose agent is asked.
            with_pictures: false names them only, by path.
        """
        if not any(message.attachments for message in (*context, *asked)):
            return format_messages(asked, self._zone, context=context)
        settled = await self._attachments.settled([*context, *asked], group)
        context, asked = settled[: len(context)], settled[len(context) :]
        pictures = self._policy.prompt_images if with_pictures else 0
        return await asyncio.to_thread(
            _build, asked, context, self._zone, self._folder_of(group), self._policy.inline_chars, pictures
        )


def _build(
    asked: Sequence[InboundMessage],
    context: Sequence[InboundMessage],
    zone: tzinfo,
    folder: Path,
    inline_chars: int,
    prompt_images: int,
) -> Prompt:
    messages = [*context, *asked]
    budget = _Budget(prompt_images, inline_chars)
    pictures: dict[_Key, _Shown] = {}
    texts: dict[_Key, str] = {}
    for message in reversed(messages):
        for file in message.attachments:
            if (shown := _picture(file, folder, budget)) is not None:
                pictures[message.id, file.id] = shown
            elif text := _short_text(file, folder, budget):
                texts[message.id, file.id] = text
    in_order = [(message.id, file.id) for message in messages for file in message.attachments]
    numbers = {key: number for number, key in enumerate((key for key in in_order if key in pictures), start=1)}

    def notes_of(message: InboundMessage) -> list[FileNote]:
        keys = [(message.id, file.id) for file in message.attachments]
        return [
            _note(file, numbers.get(key, 0), texts.get(key, ""))
            for file, key in zip(message.attachments, keys, strict=True)
        ]

    notes = {message.id: notes_of(message) for message in messages}
    prompt = format_messages(asked, zone, context=context, files=notes)
    if not pictures:
        return prompt
    return [{"type": "text", "text": prompt}, *_blocks((number, pictures[key]) for key, number in numbers.items())]


def _blocks(pictures: Iterable[tuple[int, _Shown]]) -> Iterable[dict[str, Any]]:
    for number, shown in pictures:
        yield {"type": "text", "text": f"Image {number}: {shown.name}"}
        data = base64.b64encode(shown.data).decode()
        yield {
            "type": "image",
            "source": {"type": "base64", "media_type": shown.picture.media_type, "data": data},
        }


def _picture(file: Attachment, folder: Path, budget: _Budget) -> _Shown | None:
    if not file.path or kind_of(file) != "image":
        return None
    try:
        data = _read(file, folder, MAX_BYTES)
    except GatewayError:
        return None
    picture = read_picture(data)
    if picture is None or not picture.is_showable or not budget.takes_picture(len(data)):
        return None
    return _Shown(" ".join(file.name.split()), picture, data)


def _note(file: Attachment, number: int, text: str) -> FileNote:
    label = f"Image {number}" if number else label_of(file)
    if file.problem:
        return FileNote(label, file.name, f"({file.problem})")
    if not file.path:
        return FileNote(label, file.name, "(still being fetched)" if kind_of(file) != "other" else "")
    return FileNote(label, file.name, f"saved as {file.path}", text)


def _short_text(file: Attachment, folder: Path, budget: _Budget) -> str:
    """A text file's content; empty when it is too long, or no text after all."""
    if not file.path or kind_of(file) != "text":
        return ""
    try:
        text = _read(file, folder, budget.inline_chars * _TEXT_BYTES_A_CHAR).decode("utf-8-sig")
    except (GatewayError, UnicodeDecodeError):
        return ""
    return text if "\0" not in text and budget.takes_text(len(text)) else ""


def _read(file: Attachment, folder: Path, limit_bytes: int) -> bytes:
    *steps, name = file.path.split("/")
    return read_beneath(folder, steps, name, limit_bytes)

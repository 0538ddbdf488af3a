"""Files that people send: fetched at once, since their addresses expire, and kept in the group's folder.

A file lies in ``attachments/<message id>/<name>`` of the folder that the group's agent works in. The agent can write
there too, so every step is opened without following links (`shared.beneath`), and what is read back is checked anew.
What became of each file is remembered with its message: a repeated run, or the next process, fetches nothing twice.
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from nanoclaw.config import AttachmentsPolicy
from nanoclaw.groups import Group
from shared.beneath import names_beneath, remove_beneath, size_beneath, write_beneath
from shared.channels.base import Attachment, Channel, ChatId, InboundMessage, MessageId
from shared.channels.inbox import Inbox
from shared.errors import GatewayError, NotFound
from shared.lifecycle.backoff import Backoff
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

_log = get_logger(__name__)

FOLDER = "attachments"
_MB = 1024 * 1024
_AT_ONCE = 4
_TRIES = 3
_PATIENCE_S = 30.0
_NAME_BYTES = 100
_TEXT_TYPE = re.compile(
    r"text/.*|application/(?:json|xml|(?:x-)?yaml|toml|javascript|sql|x-sh|x-python|x-ndjson|rtf)|.*\+(?:json|xml)"
)
_TEXT_NAME = re.compile(
    r".*\.(?:txt|md|rst|log|csv|tsv|jsonl?|xml|ya?ml|toml|ini|cfg|conf|env|html?|css|[mc]?[jt]sx?|py|rb|rs|go|java|kt|"
    r"[ch](?:pp)?|cs|php|swift|(?:ba|z)?sh|ps1|sql|r|lua|pl|tex|diff|patch|srt|vtt|svg)",
    re.IGNORECASE,
)
_IMAGE_NAME = re.compile(r".*\.(?:png|jpe?g|gif|webp)", re.IGNORECASE)
_VAGUE_TYPES = frozenset({"", "application/octet-stream", "video/mp2t"})
"""Types that say nothing; the last is what TypeScript files are taken for."""

FileKind = Literal["image", "text", "other"]


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a file is fetched; when not, `reason` says why, and is empty for what is only ever named."""

    is_fetched: bool
    reason: str = ""


def kind_of(attachment: Attachment) -> FileKind:
    """What a file says it is, by its type and by the ending of its name."""
    content_type = attachment.content_type.partition(";")[0].strip().lower()
    if content_type in _VAGUE_TYPES:
        if _TEXT_NAME.fullmatch(attachment.name):
            return "text"
        return "image" if _IMAGE_NAME.fullmatch(attachment.name) else "other"
    if _TEXT_TYPE.fullmatch(content_type):
        return "text"
    return "image" if content_type.startswith("image/") else "other"


def decide_file(attachment: Attachment, policy: AttachmentsPolicy, *, fetched: int, fetched_bytes: int) -> Decision:
    """Say whether a file of a message is fetched.

    Args:
        attachment: the file.
        policy: the limits.
        fetched: how many files of the message before it are.
        fetched_bytes: and how large they are together.
    """
    if kind_of(attachment) == "other" and not policy.other_files:
        return Decision(is_fetched=False)
    if attachment.size_bytes > policy.max_file_mb * _MB:
        return Decision(is_fetched=False, reason=f"not fetched: larger than {policy.max_file_mb:g} MB")
    if fetched >= policy.max_files:
        return Decision(is_fetched=False, reason=f"not fetched: only {policy.max_files} files of a message are")
    if fetched_bytes + attachment.size_bytes > policy.max_message_mb * _MB:
        reason = f"not fetched: only {policy.max_message_mb:g} MB of a message's files are"
        return Decision(is_fetched=False, reason=reason)
    return Decision(is_fetched=True)


def safe_name(name: str, taken: Iterable[str] = ()) -> str:
    """A file name that its sender cannot use for anything: one step, no control, no leading dot, at most 100 bytes.

    Letters of all languages stay; a name that is taken gets a number.
    """
    base = unicodedata.normalize("NFC", name.encode(errors="replace").decode()).replace("\\", "/").rpartition("/")[2]
    clean = "".join(c if c.isalnum() or c in "._- ()" or unicodedata.category(c)[0] == "M" else "_" for c in base)
    stem, dot, ending = clean.strip(" .").lstrip("-").rpartition(".")
    if not dot:
        stem, ending = ending, ""
    ending = f".{ending}" if ending and len(ending.encode()) <= 16 else ""
    stem = stem.encode()[: _NAME_BYTES - len(ending.encode()) - 4].decode(errors="ignore").strip(" .") or "file"
    known = set(taken)
    numbers = ("", *(f"-{number}" for number in range(2, len(known) + 3)))
    return next(full for number in numbers if (full := f"{stem}{number}{ending}") not in known)


class Attachments:
    """Fetches the files of messages, and knows which of them are there.

    Args:
        inbox: remembers what became of them.
        channel_for: where they are fetched.
        folder_of: the folder of a group.
    """

    def __init__(
        self,
        inbox: Inbox,
        policy: AttachmentsPolicy,
        *,
        channel_for: Callable[[ChatId], Channel],
        folder_of: Callable[[Group], Path],
    ) -> None:
        self._inbox = inbox
        self._policy = policy
        self._channel_for = channel_for
        self._folder_of = folder_of
        self._tasks = TaskPool("attachments")
        self._fetching: dict[MessageId, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)

    def begin(self, message: InboundMessage, group: Group) -> None:
        """Fetch the files of a stored message in the background."""
        if self._is_open(message) and message.id not in self._fetching:
            task = self._tasks.start(self._fetch(message, self._folder_of(group)), name=message.id)
            self._fetching[message.id] = task
            task.add_done_callback(lambda _: self._fetching.pop(message.id, None))

    async def settled(self, messages: Sequence[InboundMessage], group: Group) -> list[InboundMessage]:
        """The messages with what became of their files, once that is known or has taken too long."""
        fresh = [await self._newest(message) for message in messages]
        for message in fresh:
            self.begin(message, group)
        if running := [self._fetching[message.id] for message in fresh if message.id in self._fetching]:
            await asyncio.wait(running, timeout=_PATIENCE_S)
            fresh = [await self._newest(message) for message in fresh]
        return fresh

    async def discard(self, message: InboundMessage, group: Group) -> None:
        """Remove the files of a message that its author took back."""
        if not message.attachments:
            return
        if task := self._fetching.get(message.id):
            task.cancel()
            await asyncio.wait({task})
        await asyncio.to_thread(remove_beneath, self._folder_of(group), (FOLDER,), safe_name(message.id))

    async def close(self) -> None:
        """Stop fetching; what is not there yet is fetched when it is needed."""
        await self._tasks.close()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _is_open(self, message: InboundMessage) -> bool:
        return any(decision.is_fetched or decision.reason for _, decision in self._undecided(message))

    def _undecided(self, message: InboundMessage) -> list[tuple[Attachment, Decision]]:
        """The files whose fate is not known, with what is to become of them."""
        fetched = fetched_bytes = 0
        found = []
        for attachment in message.attachments:
            decision = decide_file(attachment, self._policy, fetched=fetched, fetched_bytes=fetched_bytes)
            if decision.is_fetched:
                fetched, fetched_bytes = fetched + 1, fetched_bytes + attachment.size_bytes
            if not (attachment.path or attachment.problem):
                found.append((attachment, decision))
        return found

    async def _newest(self, message: InboundMessage) -> InboundMessage:
        if not self._is_open(message):
            return message
        item = await self._inbox.find(message.chat, message.id)
        return message if item is None else replace(message, attachments=item.message.attachments)

    async def _fetch(self, message: InboundMessage, root: Path) -> None:
        undecided = self._undecided(message)
        fates = [replace(file, problem=decision.reason) for file, decision in undecided if decision.reason]
        wanted = [file for file, decision in undecided if decision.is_fetched]
        names = dict(zip((file.id for file in message.attachments), self._names(message), strict=True))
        steps = (FOLDER, safe_name(message.id))
        fates += await asyncio.gather(*(self._keep(message, file, root, steps, names[file.id]) for file in wanted))
        await self._inbox.note_attachments(message.chat, message.id, fates)
        kept = [fate for fate in fates if fate.path]
        _log.info("attachments.fetched", chat=message.chat, message=message.id, kept=len(kept), of=len(fates))
        if kept:
            await asyncio.to_thread(_make_room, root, int(self._policy.keep_mb * _MB), steps[-1])

    @staticmethod
    def _names(message: InboundMessage) -> list[str]:
        names = list[str]()
        for attachment in message.attachments:
            names.append(safe_name(attachment.name, names))
        return names

    async def _keep(
        self, message: InboundMessage, file: Attachment, root: Path, steps: tuple[str, ...], name: str
    ) -> Attachment:
        """Fetch one file and write it down; returns it with its path, or with the problem."""
        async with self._slots:
            try:
                data = await self._bytes(message, file)
            except GatewayError as error:
                return replace(file, problem=f"could not be fetched: {error.detail}")
            try:
                await asyncio.to_thread(write_beneath, root, steps, name, data)
            except GatewayError as error:
                return replace(file, problem=f"could not be kept: {error.detail}")
            except OSError as error:
                return replace(file, problem=f"could not be kept: {error.strerror}")
        return replace(file, path="/".join((*steps, name)))

    async def _bytes(self, message: InboundMessage, file: Attachment) -> bytes:
        channel = self._channel_for(message.chat)
        backoff = Backoff(base_s=0.5, ceiling_s=4.0)
        limit_bytes = int(self._policy.max_file_mb * _MB)
        while True:
            try:
                return await channel.fetch_attachment(file, limit_bytes)
            except NotFound:
                # Its address may only have expired: the message has a new one.
                again = await channel.reread(message.chat, message.id) if not backoff.attempts else None
                file = next((new for new in (again.attachments if again else ()) if new.id == file.id), file)
                if again is None:
                    raise
                backoff.attempts += 1
            except GatewayError as error:
                if not error.retryable or backoff.attempts >= _TRIES - 1:
                    raise
                await asyncio.sleep(backoff.next_delay_s())


def _make_room(root: Path, limit_bytes: int, newest: str) -> None:
    """Remove the files of the oldest messages until the rest is small enough."""
    with suppress(GatewayError):
        names = sorted(names_beneath(root, (FOLDER,)), key=lambda name: (len(name), name))
        sizes = {name: size_beneath(root, (FOLDER, name)) for name in names}
        total = sum(sizes.values())
        for name in names:
            if total <= limit_bytes or name == newest:
                return
            total -= sizes[name]
            remove_beneath(root, (FOLDER,), name)

"""What every `Channel` must do: subclass `ChannelContract` in a test module and give it a `bed`."""

# ruff: noqa: S101 - a suite of assertions

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.channels.base import (
    Channel,
    ChatId,
    InboundMessage,
    MessageId,
    OutboundFile,
    OutboundMessage,
    platform_of,
)
from shared.channels.spool import MAX_FILE_BYTES
from shared.channels.text import length
from shared.errors import Invalid, NotFound
from shared.testing.waiting import until


@dataclass(slots=True)
class Bed:
    """A running, online channel and a hand on the other side.

    Attributes:
        channel: the channel under test.
        chat: a chat it may write in.
        say: write there as a person; returns the message's id.
        texts: what the channel's own messages there say now, in order.
        files: names and contents of the files of each of them.
        rewrite: change one of that person's messages.
        take_back: delete one of them.
        heard: fill it from the channel's ``on_message``.
        edits: fill it from its ``on_edit``.
        deletes: fill it from its ``on_delete``, with the message's id.
    """

    channel: Channel
    chat: ChatId
    say: Callable[[str], Awaitable[MessageId]]
    texts: Callable[[], list[str]]
    files: Callable[[], list[list[tuple[str, bytes]]]]
    rewrite: Callable[[MessageId, str], Awaitable[None]]
    take_back: Callable[[MessageId], Awaitable[None]]
    heard: list[InboundMessage] = field(default_factory=list)
    edits: list[InboundMessage] = field(default_factory=list)
    deletes: list[MessageId] = field(default_factory=list)


class ChannelContract:
    """The suite. `bed` opens a fresh platform with the channel online on it."""

    @abstractmethod
    def bed(self) -> AbstractAsyncContextManager[Bed]:
        """A fresh bed."""

    async def test_it_is_online(self) -> None:
        """An online channel says so, and who it is."""
        async with self.bed() as bed:
            assert await bed.channel.wait_online(1)
            assert bed.channel.status.state == "online"
            assert bed.channel.status.user_id

    async def test_messages_arrive_in_order(self) -> None:
        """Order within a chat is kept."""
        async with self.bed() as bed:
            for n in range(20):
                await bed.say(f"message {n}")
            await until(lambda: len(bed.heard) == 20)
            assert [message.text for message in bed.heard] == [f"message {n}" for n in range(20)]
            assert {message.chat for message in bed.heard} == {bed.chat}

    async def test_a_nonce_makes_one_message(self) -> None:
        """Sending again with the same nonce gives the same message."""
        async with self.bed() as bed:
            message = OutboundMessage(bed.chat, "once", "n" * 25)
            assert await bed.channel.send(message) == await bed.channel.send(message)
            assert bed.texts() == ["once"]

    async def test_a_repeat_finds_what_was_made(self) -> None:
        """A message that an earlier try made is not made again."""
        async with self.bed() as bed:
            first = await bed.channel.send(OutboundMessage(bed.chat, "once", "n" * 25))
            repeat = OutboundMessage(bed.chat, "once", "n" * 25, is_repeat=True)
            assert await bed.channel.send(repeat) == first
            fresh = OutboundMessage(bed.chat, "never made before", "m" * 25, is_repeat=True)
            assert await bed.channel.send(fresh) != first
            assert bed.texts() == ["once", "never made before"]

    async def test_own_messages_are_not_heard(self) -> None:
        """What the channel writes does not come back as inbound."""
        async with self.bed() as bed:
            await bed.channel.send(OutboundMessage(bed.chat, "mine", "n1"))
            await bed.say("theirs")
            await until(lambda: bed.heard)
            assert [message.text for message in bed.heard] == ["theirs"]

    async def test_editing_and_deleting(self) -> None:
        """Edits replace; deleting twice is success; editing what is gone is `NotFound`."""
        async with self.bed() as bed:
            sent = await bed.channel.send(OutboundMessage(bed.chat, "draft", "n1"))
            await bed.channel.edit(bed.chat, sent, "final")
            assert bed.texts() == ["final"]
            await bed.channel.delete(bed.chat, sent)
            await bed.channel.delete(bed.chat, sent)
            assert bed.texts() == []
            with pytest.raises(NotFound):
                await bed.channel.edit(bed.chat, sent, "late")

    async def test_the_limit_is_the_limit(self) -> None:
        """Text of `text_limit` units is accepted, one more is `Invalid`."""
        async with self.bed() as bed:
            text = "x" * bed.channel.text_limit
            assert bed.channel.measure(text) == length(text) == bed.channel.text_limit
            await bed.channel.send(OutboundMessage(bed.chat, text, "n1"))
            with pytest.raises(Invalid):
                await bed.channel.send(OutboundMessage(bed.chat, text + "x", "n2"))

    async def test_a_sent_message_is_found_again(self) -> None:
        """`find_sent` knows ours from theirs, by text, time and what is known already."""
        async with self.bed() as bed:
            since = datetime.now(UTC) - timedelta(minutes=2)  # noqa: TID251 - the platform's clock is the real one
            await bed.say("the answer")
            first = await bed.channel.send(OutboundMessage(bed.chat, "the answer", "n1"))
            second = await bed.channel.send(OutboundMessage(bed.chat, "the answer", "n2"))
            nothing: frozenset[MessageId] = frozenset()
            find = bed.channel.find_sent
            assert await find(bed.chat, "the answer", since=since, not_among=nothing) == first
            assert await find(bed.chat, "the answer", since=since, not_among=frozenset({first})) == second
            assert await find(bed.chat, "another", since=since, not_among=nothing) is None
            later = since + timedelta(minutes=10)
            assert await find(bed.chat, "the answer", since=later, not_among=nothing) is None

    async def test_history_is_others_messages_oldest_first(self) -> None:
        """`history` leaves our own out, starts after an id, and keeps the newest when there are too many."""
        async with self.bed() as bed:
            first = await bed.say("zero")
            await bed.channel.send(OutboundMessage(bed.chat, "mine", "n1"))
            for n in range(1, 6):
                await bed.say(f"message {n}")
            everything = [message.text async for message in bed.channel.history(bed.chat, first, 100)]
            assert everything == [f"message {n}" for n in range(1, 6)]
            newest = [message.text async for message in bed.channel.history(bed.chat, first, 2)]
            assert newest == ["message 4", "message 5"]

    async def test_edits_and_deletes_of_others_are_told(self) -> None:
        """An edit comes as the whole message, a delete as its id; the same is read when asked for."""
        async with self.bed() as bed:
            first, second = await bed.say("first"), await bed.say("second")
            await bed.rewrite(first, "first, changed")
            await bed.take_back(second)
            await until(lambda: bed.edits and second in bed.deletes)
            assert [(edit.id, edit.text, edit.chat) for edit in bed.edits] == [(first, "first, changed", bed.chat)]
            found = await bed.channel.reread(bed.chat, first)
            assert found is not None
            assert (found.id, found.text) == (first, "first, changed")
            assert await bed.channel.reread(bed.chat, second) is None

    async def test_files_go_with_a_message(self, tmp_path: Path) -> None:
        """Files are sent with text or without, once for a nonce, found again, and left alone by an edit."""
        (tmp_path / "a").write_bytes(b"one")
        (tmp_path / "b").write_bytes(b"")
        files = (OutboundFile("notes.txt", tmp_path / "a"), OutboundFile("보고서.csv", tmp_path / "b"))
        async with self.bed() as bed:
            since = datetime.now(UTC) - timedelta(minutes=2)  # noqa: TID251 - the platform's clock is the real one
            message = OutboundMessage(bed.chat, "see", "n1", files=files)
            sent = await bed.channel.send(message)
            assert await bed.channel.send(message) == sent
            await bed.channel.edit(bed.chat, sent, "look")
            bare = await bed.channel.send(OutboundMessage(bed.chat, "", "n2", files=files[:1]))
            both = [("notes.txt", b"one"), ("보고서.csv", b"")]
            assert list(zip(bed.texts(), bed.files(), strict=True)) == [("look", both), ("", both[:1])]
            found = await bed.channel.find_sent(bed.chat, "", since=since, not_among=frozenset({sent}))
            assert found == bare

    async def test_files_no_message_can_carry_are_refused_with_the_reason(self, tmp_path: Path) -> None:
        """Eleven files, one of more than 10 MiB, one that is gone, a link: `Invalid`, and nothing is sent."""
        small, large = tmp_path / "small", tmp_path / "large"
        small.write_bytes(b"x")
        with large.open("wb") as file:
            file.truncate(MAX_FILE_BYTES + 1)
        (tmp_path / "link").symlink_to(small)
        bad = {
            "11 files": tuple(OutboundFile(f"{n}.txt", small) for n in range(11)),
            "10.0 MiB": (OutboundFile("large.bin", large),),
            "is gone": (OutboundFile("gone.txt", tmp_path / "gone"),),
            "link.txt": (OutboundFile("link.txt", tmp_path / "link"),),
        }
        async with self.bed() as bed:
            for words, files in bad.items():
                with pytest.raises(Invalid, match=words):
                    await bed.channel.send(OutboundMessage(bed.chat, "see", "n1", files=files))
            assert bed.texts() == []

    async def test_typing_never_fails(self) -> None:
        """Typing is shown while the context is open, and an unknown chat is no error."""
        async with self.bed() as bed:
            async with bed.channel.typing(bed.chat):
                await bed.channel.send(OutboundMessage(bed.chat, "done", "n1"))
            platform = platform_of(bed.chat)
            async with bed.channel.typing(f"{platform}:1"):
                pass

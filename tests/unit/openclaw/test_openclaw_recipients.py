"""Where a place is: a bot that is only away is asked again, one that does not exist never is."""

from __future__ import annotations

import pytest

from openclaw.recipients import chat_of_place
from shared.channels.base import ChannelHandlers
from shared.errors import Invalid, Unavailable
from shared.testing.channel_bed import MemoryChannel


async def ignore(*_arguments: object) -> None:
    return None


@pytest.fixture
def channel() -> MemoryChannel:
    return MemoryChannel(ChannelHandlers(on_message=ignore))


async def test_a_channel_and_a_persons_messages_are_found(channel: MemoryChannel) -> None:
    assert await chat_of_place("channel:42", channel) == "dc:42"
    assert await chat_of_place("user:42", channel) == "dc:942"


async def test_while_the_bot_is_away_a_person_is_asked_for_later_and_a_channel_is_known(channel: MemoryChannel) -> None:
    channel.set_online(online=False)
    with pytest.raises(Unavailable) as away:
        await chat_of_place("user:42", channel)
    assert away.value.retryable
    assert await chat_of_place("channel:42", channel) == "dc:42", "the outbox waits for the bot"


@pytest.mark.parametrize("to", ["channel:42", "user:42"])
async def test_without_a_bot_nobody_can_be_written_to_and_nothing_is_tried_again(to: str) -> None:
    with pytest.raises(Invalid, match="no Discord bot is configured") as refused:
        await chat_of_place(to, None)
    assert refused.value.code == "recipient.no_bot"
    assert not refused.value.retryable


@pytest.mark.parametrize("to", ["", "42", "dc:42", "user:", "user:x", "channel:٣", "channel:42 ", "user:" + "1" * 21])
async def test_what_is_no_place_is_refused_before_anybody_is_asked(channel: MemoryChannel, to: str) -> None:
    with pytest.raises(Invalid) as refused:
        await chat_of_place(to, channel)
    assert refused.value.code == "recipient.form"

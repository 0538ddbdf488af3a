"""The Slack channel against the sandbox's Slack: what ends it, what it says then, what passes."""

import asyncio

import pytest
from slack_bed import channel_for, fault, slack_world

from shared.channels.base import OutboundMessage
from shared.channels.slack.make import slack_channel
from shared.errors import AuthRequired, ConfigError, Unavailable
from shared.testing.channel_bed import running


@pytest.mark.parametrize(
    ("spoil", "kind", "words"),
    [
        ({"bot_token": "xoxb-wrong"}, AuthRequired, "SLACK_BOT_TOKEN"),
        ({"app_token": "xapp-wrong"}, AuthRequired, "SLACK_APP_TOKEN"),
    ],
    ids=["bot", "app"],
)
async def test_a_refused_token_is_final_and_says_which(spoil, kind, words):
    async with slack_world() as place:
        channel = channel_for(place, **spoil)
        async with running(channel, online=False) as task:
            await asyncio.wait_for(task, 5)
        assert channel.status.state == "failed"
        assert isinstance(channel.status.failure, kind)
        assert words in channel.status.reason
        with pytest.raises(Unavailable):
            await channel.send(OutboundMessage(place.chat, "hi", "n1"))


async def test_missing_scopes_are_final_and_named():
    async with slack_world(scopes=("chat:write", "app_mentions:read")) as place:
        channel = channel_for(place)
        async with running(channel, online=False) as task:
            await asyncio.wait_for(task, 5)
        assert isinstance(channel.status.failure, ConfigError)
        assert "channels:history, users:read" in channel.status.reason


async def test_an_app_token_without_its_scope_is_final():
    async with slack_world() as place:
        place.app.app_scopes = ()
        channel = channel_for(place)
        async with running(channel, online=False) as task:
            await asyncio.wait_for(task, 5)
        assert "connections:write" in channel.status.reason


async def test_socket_mode_switched_off_is_final():
    async with slack_world() as place:
        channel = channel_for(place)
        async with running(channel) as task:
            place.sockets.disconnect(place.app, "link_disabled")
            await asyncio.wait_for(task, 5)
        assert isinstance(channel.status.failure, ConfigError)
        assert "Socket Mode" in channel.status.reason


async def test_a_token_revoked_while_we_run_keeps_the_message_and_fails_the_channel():
    async with slack_world(fault("chat.postMessage", "token_revoked")) as place:
        channel = channel_for(place)
        async with running(channel) as task:
            with pytest.raises(Unavailable):
                await channel.send(OutboundMessage(place.chat, "hi", "n1"))
            await asyncio.wait_for(task, 5)
        assert isinstance(channel.status.failure, AuthRequired)


@pytest.mark.parametrize(
    "trouble",
    [
        fault("auth.test", status=503),
        fault("auth.test", "reset"),
        fault("apps.connections.open", status=429, headers={"Retry-After": "0"}),
        fault("apps.connections.open", "malformed"),
        fault("socket.connect", status=500),
        fault("socket.connect", "reset"),
    ],
    ids=lambda f: f"{f.op}-{f.kind}",
)
async def test_whatever_passes_is_tried_again(trouble):
    async with slack_world(trouble) as place:
        channel = channel_for(place)
        async with running(channel):
            assert channel.status.user_id == place.app.user.id


@pytest.mark.parametrize(
    ("bot", "app", "words"),
    [
        ("xoxb-1", "", "SLACK_APP_TOKEN is not"),
        ("", "xapp-1", "SLACK_BOT_TOKEN is not"),
        ("xapp-1", "xoxb-1", "SLACK_BOT_TOKEN is not a token of its kind"),
        ("xoxb-1", "xoxp-1", "begins with xapp-"),
    ],
)
def test_half_a_configuration_is_refused_in_words(bot, app, words):
    with pytest.raises(ConfigError) as refused:
        slack_channel(bot, app, {})
    assert words in refused.value.detail
    assert "-1" not in refused.value.detail


def test_without_tokens_slack_is_off():
    assert slack_channel("", "", {}) is None

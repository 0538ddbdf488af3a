"""The emulated Slack, as Slack's own client library finds it."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from gateway.sandbox.faults import Fault, FaultPlan
from gateway.sandbox.slack.limits import Rule
from gateway.sandbox.slack.server import SlackEmulator
from gateway.sandbox.slack.sockets import Redelivery
from gateway.sandbox.slack.world import World
from shared.testing.waiting import until


@asynccontextmanager
async def workspace(*faults, **options):
    world = World()
    owner, app = world.add_user("owner", real_name="Owner"), world.add_app("nano")
    general = world.add_channel("general", owner, app.user)
    options = {"limits": {}, "redelivery": Redelivery(0.1, (0.0, 0.1, 0.1))} | options
    async with SlackEmulator(world, FaultPlan.of(faults), **options) as server, aiohttp.ClientSession() as session:
        clients = {
            name: AsyncWebClient(token=token, base_url=f"{server.api_base}/", session=session)
            for name, token in (("bot", app.bot_token), ("person", world.token_of(owner)), ("nobody", "xoxb-wrong"))
        }
        yield SimpleNamespace(
            world=world, server=server, owner=owner, app=app, general=general, session=session, **clients
        )


@asynccontextmanager
async def listening(place, *, acknowledge=True):
    """The vendor's Socket Mode client; yields what it heard."""
    heard = []

    async def listener(client, request):
        heard.append(request)
        if acknowledge:
            await client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))

    # Its own web client: it closes the session it is given.
    async with aiohttp.ClientSession() as session:
        web = AsyncWebClient(token=place.app.bot_token, base_url=f"{place.server.api_base}/", session=session)
        client = SocketModeClient(app_token=place.app.app_token, web_client=web, ping_interval=0.2)
        client.socket_mode_request_listeners.append(listener)
        try:
            await client.connect()
            await until(lambda: place.server.sockets.connected(place.app))
            yield heard
        finally:
            tasks = [client.message_processor, client.message_receiver, client.current_session_monitor]
            await client.close()
            await asyncio.gather(*(task for task in tasks if task), return_exceptions=True)


async def test_the_web_api_does_what_the_library_expects():
    async with workspace() as place:
        me = await place.bot.auth_test()
        assert (me["user_id"], me["bot_id"]) == (place.app.user.id, place.app.user.bot_id)
        metadata = {"event_type": "made", "event_payload": {"nonce": "n1"}}
        sent = await place.bot.chat_postMessage(channel=place.general.id, text="one 👍", metadata=metadata)
        await place.person.chat_postMessage(channel=place.general.id, text="two", thread_ts=sent["ts"])
        await place.bot.chat_update(channel=place.general.id, ts=sent["ts"], text="edited")
        plain = await place.bot.conversations_history(channel=place.general.id)
        (entry,) = plain["messages"]
        assert (entry["text"], entry["reply_count"], "metadata" in entry) == ("edited", 1, False)
        full = await place.bot.conversations_history(channel=place.general.id, include_all_metadata=True)
        assert full["messages"][0]["metadata"] == metadata
        thread = await place.bot.conversations_replies(channel=place.general.id, ts=sent["ts"])
        assert [message["text"] for message in thread["messages"]] == ["edited", "two"]
        person = await place.bot.users_info(user=place.owner.id)
        assert person["user"]["profile"]["real_name"] == "Owner"
        await place.bot.chat_delete(channel=place.general.id, ts=sent["ts"])
        assert place.server.unknown_routes == []


async def test_pages_follow_each_other():
    async with workspace() as place:
        for n in range(25):
            place.world.say(place.owner, place.general, f"message {n}")
        texts, cursor, pages = [], None, 0
        while cursor != "":
            page = await place.bot.conversations_history(channel=place.general.id, limit=10, cursor=cursor)
            texts += [message["text"] for message in page["messages"]]
            cursor, pages = page["response_metadata"]["next_cursor"], pages + 1
        assert (texts, pages) == ([f"message {n}" for n in reversed(range(25))], 3)


@pytest.mark.parametrize(
    ("who", "call", "error"),
    [
        ("nobody", ("auth.test", {}), "invalid_auth"),
        ("bot", ("reactions.add", {"channel": "C00000000", "timestamp": "1.0", "name": "+1"}), "missing_scope"),
        ("bot", ("conversations.info", {"channel": "C00000000"}), "missing_scope"),
        ("bot", ("chat.postMessage", {"channel": "C0NOWHERE", "text": "x"}), "channel_not_found"),
        ("bot", ("chat.postMessage", {"channel": "C00000001", "text": "x"}), "not_in_channel"),
        ("bot", ("chat.postMessage", {"channel": "C00000002", "text": "x"}), "channel_not_found"),
        ("bot", ("chat.postMessage", {"channel": "C00000000", "text": " "}), "no_text"),
        ("bot", ("chat.postMessage", {"channel": "C00000000", "text": "x" * 4001}), "msg_too_long"),
        ("bot", ("chat.postMessage", {"channel": "C00000000", "text": "x", "nonce": "1"}), "invalid_arguments"),
        ("bot", ("chat.update", {"channel": "C00000000", "ts": "1.0", "text": "x"}), "message_not_found"),
        ("bot", ("apps.connections.open", {}), "not_allowed_token_type"),
        ("bot", ("chat.postNonsense", {}), "unknown_method"),
    ],
)
async def test_it_refuses_what_slack_refuses(who, call, error):
    async with workspace() as place:
        place.world.add_channel("elsewhere", place.owner)
        place.world.add_channel("secret", place.owner, is_private=True)
        method, arguments = call
        with pytest.raises(SlackApiError) as refused:
            await getattr(place, who).api_call(method, json=arguments)
        assert refused.value.response["error"] == error
        if error == "missing_scope":
            assert refused.value.response["needed"] not in refused.value.response.headers["X-OAuth-Scopes"].split(",")
        if error == "unknown_method":
            assert place.server.unknown_routes == ["/api/chat.postNonsense"]


async def test_too_many_calls_are_told_when_to_come_back():
    async with workspace(limits={"users.info": Rule(2, 30.0)}) as place:
        for _ in range(2):
            await place.bot.users_info(user=place.owner.id)
        with pytest.raises(SlackApiError) as refused:
            await place.bot.users_info(user=place.owner.id)
        assert refused.value.response.status_code == 429
        assert 0 < int(refused.value.response.headers["Retry-After"]) <= 30
        assert place.server.limits.hits == {"users.info": 1}


async def test_a_mention_comes_as_two_events_and_an_own_message_as_one():
    async with workspace() as place, listening(place) as heard:
        said = place.world.say(place.owner, place.general, f"<@{place.app.user.id}> hello")
        await place.bot.chat_postMessage(channel=place.general.id, text="mine")
        await until(lambda: len(heard) == 3)
        events = [request.payload["event"] for request in heard]
        assert [event["type"] for event in events] == ["message", "app_mention", "message"]
        assert [event["ts"] for event in events[:2]] == [said.ts, said.ts]
        assert events[2]["bot_id"] == place.app.user.bot_id
        await asyncio.sleep(0.3)  # everything was acknowledged, so nothing comes again
        assert len(heard) == 3


async def test_what_is_not_acknowledged_comes_again_and_is_dropped_in_the_end():
    async with workspace() as place, listening(place, acknowledge=False) as heard:
        place.world.say(place.owner, place.general, "anybody?")
        await until(lambda: place.server.sockets.dropped)
        assert [(request.retry_attempt, request.retry_reason) for request in heard] == [
            (0, ""),
            (1, "timeout"),
            (2, "timeout"),
            (3, "timeout"),
        ]


async def test_a_lost_acknowledgement_brings_an_event_twice():
    lost = Fault(upstream="slack", op="socket.event.message", kind="drop_ack")
    async with workspace(lost) as place, listening(place) as heard:
        place.world.say(place.owner, place.general, "once")
        await until(lambda: len(heard) == 2)
        assert [request.payload["event"]["text"] for request in heard] == ["once", "once"]


async def test_a_client_asked_to_refresh_comes_back():
    async with workspace() as place, listening(place) as heard:
        place.server.sockets.disconnect(place.app)
        await until(lambda: len(place.server.of("apps.connections.open")) == 2)
        await until(lambda: place.server.sockets.connected(place.app) == 1)
        place.world.say(place.owner, place.general, "still there?")
        await until(lambda: heard)


async def test_edits_and_deletions_are_told():
    async with workspace() as place, listening(place) as heard:
        said = await place.person.chat_postMessage(channel=place.general.id, text="frist")
        await place.person.chat_update(channel=place.general.id, ts=said["ts"], text="first")
        await place.person.chat_delete(channel=place.general.id, ts=said["ts"])
        await until(lambda: len(heard) == 3)
        _, changed, deleted = (request.payload["event"] for request in heard)
        assert (changed["subtype"], changed["message"]["text"]) == ("message_changed", "first")
        assert (deleted["subtype"], deleted["deleted_ts"]) == ("message_deleted", said["ts"])


async def test_a_ticket_is_good_for_one_connection():
    async with workspace() as place:
        app = AsyncWebClient(token=place.app.app_token, base_url=f"{place.server.api_base}/", session=place.session)
        url = (await app.api_call("apps.connections.open"))["url"]
        async with place.session.ws_connect(url) as socket:
            assert (await socket.receive_json())["type"] == "hello"
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await place.session.ws_connect(url)

"""The protocol as any client sees it: plain sockets and plain HTTP, no discord.py."""

import asyncio
import json
import zlib
from contextlib import asynccontextmanager

import httpx
import pytest
import websockets
from discord_emulator_support import FREE, POLICY_INTENTS, town

from gateway.sandbox.discord.limits import LimitPolicy
from gateway.sandbox.faults import Fault


class Wire:
    def __init__(self, socket, *, deflate: bool = False) -> None:
        self.socket = socket
        self.inflater = zlib.decompressobj() if deflate else None

    async def get(self) -> dict:
        raw = await asyncio.wait_for(self.socket.recv(), 3)
        if self.inflater is not None:
            assert isinstance(raw, bytes)
            assert raw.endswith(b"\x00\x00\xff\xff")
            raw = self.inflater.decompress(raw)
        return json.loads(raw)

    async def put(self, op: int, data) -> None:
        await self.socket.send(json.dumps({"op": op, "d": data}))

    async def until(self, name: str) -> dict:
        while (frame := await self.get())["t"] != name:
            pass
        return frame

    async def identify(self, token: str, **more) -> dict:
        await self.put(2, {"token": token, "intents": POLICY_INTENTS, "properties": {}, **more})
        return await self.get()

    async def close_code(self) -> int:
        try:
            while True:
                await asyncio.wait_for(self.socket.recv(), 3)
        except websockets.ConnectionClosed as closed:
            return closed.rcvd.code


@asynccontextmanager
async def wire(place, query: str = "?v=10&encoding=json"):
    async with websockets.connect(place.emulator.gateway_url + query, compression=None) as socket:
        plain = Wire(socket, deflate="zlib" in query)
        hello = await plain.get()
        assert hello["op"] == 10
        assert hello["d"]["heartbeat_interval"] == 41_250
        yield plain


@asynccontextmanager
async def rest(place, token: str | None = None):
    headers = {"Authorization": token if token is not None else f"Bot {place.token}"}
    async with httpx.AsyncClient(base_url=place.emulator.api_base, headers=headers) as http:
        yield http


@pytest.mark.parametrize("query", ["", "?v=10&encoding=json", "?v=10&encoding=json&compress=zlib-stream"])
async def test_a_session_begins_with_or_without_compression(query):
    async with town() as place, wire(place, query) as client:
        ready = await client.identify(place.token)
        assert (ready["t"], ready["s"]) == ("READY", 1)
        assert ready["d"]["resume_gateway_url"] == place.emulator.gateway_url
        created = await client.get()
        assert (created["t"], created["s"]) == ("GUILD_CREATE", 2)
        assert [member["user"]["username"] for member in created["d"]["members"]] == ["J"]
        await place.world.say(place.owner, place.general.id, "hi")
        event = await client.get()
        assert event["d"]["guild_id"] == str(place.guild.id)
        assert "user" not in event["d"]["member"]


async def test_a_resume_replays_exactly_what_was_missed():
    async with town() as place:
        async with wire(place) as client:
            session_id = (await client.identify(place.token))["d"]["session_id"]
            await client.get()
            await client.socket.close(4000)
        await place.world.say(place.owner, place.general.id, "one")
        await place.world.say(place.owner, place.general.id, "two")
        async with wire(place) as client:
            await client.put(6, {"token": place.token, "session_id": session_id, "seq": 2})
            frames = [await client.get() for _ in range(3)]
            assert [(f["t"], f["s"], f["d"].get("content")) for f in frames] == [
                ("MESSAGE_CREATE", 3, "one"),
                ("MESSAGE_CREATE", 4, "two"),
                ("RESUMED", 5, None),
            ]


async def test_a_session_ends_with_a_goodbye_or_a_new_token():
    async with town() as place:
        async with wire(place) as client:
            session_id = (await client.identify(place.token))["d"]["session_id"]
            await client.socket.close(1000)
        async with wire(place) as client:
            await client.put(6, {"token": place.token, "session_id": session_id, "seq": 1})
            assert await client.get() == {"op": 9, "d": False}
            assert (await client.identify(place.token))["t"] == "READY"


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([{"op": 3, "d": {}}], 4003),
        ([{"op": 99, "d": None}], 4001),
        (["not json"], 4002),
        ([{"op": 1, "d": "x" * 5000}], 4002),
        ([{"op": 2, "d": {"token": "a.b.c", "intents": 1}}], 4004),
        ([{"op": 2, "d": {"token": None}}], 4002),
        ([{"op": 6, "d": {"token": "TOKEN", "session_id": "x", "seq": "y"}}, {"op": 2, "d": {"token": "TOKEN"}}], 4013),
        ([{"op": 2, "d": {"token": "TOKEN", "intents": 1}}, {"op": 2, "d": {"token": "TOKEN", "intents": 1}}], 4005),
        ([{"op": 2, "d": {"token": "TOKEN", "intents": 1, "shard": [1, 1]}}], 4010),
        ([{"op": 1, "d": None}] * 121, 4008),
    ],
)
async def test_a_frame_that_breaks_the_rules_closes_with_its_code(frames, code):
    async with town() as place, wire(place) as client:
        for frame in frames:
            text = frame if isinstance(frame, str) else json.dumps(frame).replace("TOKEN", place.token)
            await client.socket.send(text)
        assert await client.close_code() == code


async def test_an_unknown_version_is_refused():
    async with town() as place, wire(place, "?v=6&encoding=json") as client:
        assert await client.close_code() == 4012


async def test_answers_carry_exact_types_and_rate_limit_headers():
    async with town(limits=LimitPolicy()) as place, rest(place) as http:
        answer = await http.get("/users/@me")
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["via"]
        for remaining in (4, 3, 2, 1, 0):
            answer = await http.post(f"/channels/{place.general.id}/messages", json={"content": "x"})
            assert answer.headers["x-ratelimit-remaining"] == str(remaining)
        refused = await http.post(f"/channels/{place.general.id}/messages", json={"content": "x"})
        assert refused.status_code == 429
        assert refused.headers["x-ratelimit-scope"] == "user"
        assert 0 < refused.json()["retry_after"] <= 5
        other = await http.post(f"/channels/{place.lab.id}/messages", json={"content": "x"})
        assert other.status_code == 200


async def test_the_global_limit_counts_all_routes_together():
    limits = LimitPolicy(rules=FREE.rules, per_second=3)
    async with town(limits=limits) as place, rest(place) as http:
        codes = [(await http.get(path)).status_code for path in ("/users/@me", "/gateway/bot", "/users/@me/guilds")]
        assert codes == [200, 200, 200]
        refused = await http.get("/users/@me")
        assert (refused.status_code, refused.json()["global"]) == (429, True)
        assert refused.headers["x-ratelimit-global"] == "true"


async def test_too_many_invalid_requests_end_at_the_edge():
    limits = LimitPolicy(rules=FREE.rules, per_second=10_000, invalid_limit=3)
    async with town(limits=limits) as place, rest(place, "Bot wrong") as http:
        codes = [(await http.get("/users/@me")).status_code for _ in range(5)]
        assert codes == [401, 401, 401, 401, 429]
        banned = await http.get("/users/@me")
        assert "via" not in banned.headers
        assert banned.text.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing/here", 404, 0),
        ("PUT", "/users/@me", 405, 0),
        ("GET", "/channels/abc", 400, 50035),
        ("GET", "/channels/{general}/messages?limit=101", 400, 50035),
        ("GET", "/channels/1/messages", 404, 10003),
        ("GET", "/guilds/1", 404, 10004),
        ("GET", "/users/1", 404, 10013),
        ("PUT", "/channels/{general}/messages/1/reactions/%F0%9F%91%8D/@me", 404, 10008),
        ("PUT", "/applications/1/commands", 403, 20012),
        ("POST", "/interactions/1/x/callback", 404, 10062),
        ("POST", "/webhooks/1/x", 404, 10015),
        ("POST", "/channels/{general}/messages", 400, 50109),
    ],
)
async def test_wrong_calls_get_discords_answers(method, path, status, code):
    async with town() as place, rest(place) as http:
        answer = await http.request(method, path.replace("{general}", str(place.general.id)))
        assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_person_drives_the_api_with_a_token_of_their_own():
    async with town() as place, rest(place, place.owner.token) as person, rest(place) as bot:
        messages = f"/channels/{place.general.id}/messages"
        said = (await person.post(messages, json={"content": f"{place.mention} hello"})).json()
        assert said["author"]["username"] == "owner"
        await bot.post(messages, json={"content": "hi", "message_reference": {"message_id": int(said["id"])}})
        found = (await person.get(messages, params={"after": said["id"]})).json()
        assert [(m["author"]["username"], m["content"]) for m in found] == [("J", "hi")]
        assert (await person.patch(f"{messages}/{said['id']}", json={"content": "bye"})).json()["content"] == "bye"
        emoji = f"{messages}/{said['id']}/reactions/%F0%9F%91%8D/@me"
        assert (await person.put(emoji)).status_code == 204
        assert (await person.delete(emoji)).status_code == 204
        dm = (await person.post("/users/@me/channels", json={"recipient_id": str(place.app.id)})).json()
        assert dm["type"] == 1
        assert (await person.delete(f"{messages}/{said['id']}")).status_code == 204
        assert (await person.get("/gateway/bot")).status_code == 403
        assert (
            await person.get("/users/@me", headers={"Authorization": f"Bot {place.owner.token}"})
        ).status_code == 401


async def test_a_person_signs_in_at_the_gateway_and_presses_a_button():
    async with town() as place, wire(place) as bot, wire(place) as person:
        await bot.identify(place.token)
        ready = await person.identify(place.owner.token, intents=0)
        assert ready["d"]["user"]["username"] == "owner"
        async with rest(place) as http:
            row = {"type": 1, "components": [{"type": 2, "style": 1, "label": "Go", "custom_id": "go"}]}
            body = {"content": "press", "components": [row]}
            message = (await http.post(f"/channels/{place.general.id}/messages", json=body)).json()
        await person.until("MESSAGE_CREATE")
        async with rest(place, place.owner.token) as http:
            press = {
                "type": 3,
                "application_id": str(place.app.id),
                "channel_id": str(place.general.id),
                "guild_id": str(place.guild.id),
                "message_id": message["id"],
                "session_id": ready["d"]["session_id"],
                "nonce": "77",
                "data": {"component_type": 2, "custom_id": "go"},
            }
            assert (await http.post("/interactions", json=press)).status_code == 204
            wrong = await http.post("/interactions", json=press | {"data": {"component_type": 2, "custom_id": "no"}})
            assert wrong.json()["code"] == 50035
        event = (await bot.until("INTERACTION_CREATE"))["d"]
        assert event["member"]["user"]["username"] == "owner"
        async with rest(place, "") as http:
            callback = f"/interactions/{event['id']}/{event['token']}/callback"
            assert (await http.post(callback, json={"type": 6})).status_code == 204
        done = await person.until("INTERACTION_SUCCESS")
        assert done["d"] == {"id": event["id"], "nonce": "77"}


async def test_mentions_follow_what_the_sender_allows():
    async with town() as place, rest(place) as http:
        messages = f"/channels/{place.general.id}/messages"
        text = f"@everyone <@{place.owner.id}>"

        async def pings(**rules) -> tuple:
            sent = (await http.post(messages, json={"content": text, **rules})).json()
            return sent["mention_everyone"], [user["username"] for user in sent["mentions"]]

        assert await pings() == (True, ["owner"])
        assert await pings(allowed_mentions={"parse": []}) == (False, [])
        assert await pings(allowed_mentions={"parse": [], "users": [place.owner.id]}) == (False, ["owner"])
        both = {"content": text, "allowed_mentions": {"parse": ["users"], "users": ["1"]}}
        assert (await http.post(messages, json=both)).json()["code"] == 50035


async def test_the_nonce_is_enforced_for_a_while_only_and_only_when_asked():
    from shared.clock import FakeClock

    clock = FakeClock()
    async with town(clock=clock) as place, rest(place) as http:
        messages = f"/channels/{place.general.id}/messages"

        async def send(**more) -> str:
            return (await http.post(messages, json={"content": "x", "nonce": "n1", **more})).json()["id"]

        first = await send(enforce_nonce=True)
        assert await send(enforce_nonce=True) == first
        assert await send() != first
        clock.advance(400)
        assert await send(enforce_nonce=True) != first
        long = await http.post(messages, json={"content": "x", "nonce": "n" * 26})
        assert long.json()["code"] == 50035


async def test_a_stalled_answer_arrives_late_and_a_skewed_clock_is_seen():
    async with town() as place, rest(place) as http:
        place.faults.add(Fault(upstream="discord", op="users.me", kind="stall", body={"seconds": 0.2}))
        started = asyncio.get_running_loop().time()
        assert (await http.get("/users/@me")).status_code == 200
        assert asyncio.get_running_loop().time() - started >= 0.2
        straight = float((await http.get("/users/@me")).headers["x-ratelimit-reset"])
        place.faults.add(Fault(upstream="discord", op="users.*", kind="clock_skew", body={"seconds": 900}))
        assert float((await http.get("/users/@me")).headers["x-ratelimit-reset"]) - straight > 890


async def test_a_token_revoked_by_a_fault_ends_the_bot():
    async with town() as place, wire(place) as client, rest(place) as http:
        await client.identify(place.token)
        place.faults.add(Fault(upstream="discord", op="users.me", kind="token_revoked"))
        assert (await http.get("/users/@me")).status_code == 401
        assert await client.close_code() == 4004

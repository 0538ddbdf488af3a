"""Whatever JSON comes in, the emulator answers as Discord would: a success or a 4xx, never a crash."""

import json
import random

import httpx
import pytest
import websockets
from discord_emulator_support import town

from gateway.sandbox.discord import rest_interactions, rest_messages, rest_places

ODD = [None, True, -1, 1 << 70, "", "x", [], [None], [1, "a"], {}, {"id": []}]
NAMES = [
    "content", "nonce", "embeds", "components", "flags", "message_reference", "allowed_mentions", "attachments",
    "sticker_ids", "recipient_id", "recipients", "name", "type", "data", "username", "messages", "topic", "archived",
    "auto_archive_duration", "options", "description", "channel_id", "message_id", "application_id", "enforce_nonce",
]  # fmt: skip


def bodies(seed: int):
    rng = random.Random(seed)

    def value(depth: int = 0):
        if depth < 3 and rng.random() < 0.5:
            if rng.random() < 0.5:
                return [value(depth + 1) for _ in range(rng.randrange(3))]
            keys = rng.sample([*NAMES, "id", "custom_id", "style", "label", "parse", "users", "fields", "footer"], 4)
            return {key: value(depth + 1) for key in keys}
        return rng.choice([*ODD, 1, 2, 3, 4, 5])

    for odd in ODD:
        yield {"content": "x", "embeds": [{"title": "t", "footer": odd, "fields": odd}], "recipients": odd}
        yield {"content": "x", "components": [{"type": 1, "components": [{"type": 2, "label": odd, "custom_id": "c"}]}]}
        yield {"content": "x", "components": [{"type": 3, "custom_id": "c", "options": odd}], "messages": odd}
        yield {"content": "x", "allowed_mentions": {"parse": odd, "users": odd}, "name": "n", "topic": odd}
        yield [{"name": "n", "description": "d", "options": odd, "contexts": odd, "default_member_permissions": odd}]
        yield {
            "name": "n",
            "description": "d",
            "options": [{"name": "o", "description": "d", "type": 3, "choices": odd}],
        }
        yield {"type": 2, "channel_id": "C", "data": odd}
        yield {"custom_id": "f", "title": "t", "components": [{"type": 1, "components": odd}], "choices": odd}
    for _ in range(5):
        yield rng.choice([*ODD, {name: value() for name in rng.sample(NAMES, 6)}, [{n: value() for n in NAMES[:12]}]])


def takes_body(route) -> bool:
    last = route.template.rsplit("/", 1)[-1]
    return (
        route.method in ("POST", "PUT", "PATCH")
        and last not in ("typing", "@me", "{user}")
        and "pins" not in route.template
    )


ROUTES = [*rest_places.ROUTES, *rest_messages.ROUTES, *rest_interactions.ROUTES]


@pytest.mark.parametrize("route", [r for r in ROUTES if takes_body(r)], ids=lambda r: f"{r.method} {r.template}")
async def test_no_body_makes_the_api_fail(route):
    async with town() as place:
        said = await place.world.say(place.owner, place.general.id, "x")
        places = {
            "channel": place.general.id,
            "message": said.id,
            "guild": place.guild.id,
            "application": place.app.id,
            "user": place.friend.id,
            "emoji": "%F0%9F%91%8D",
            "webhook": place.app.id,
        }
        path = route.template
        for name in ("channel", "message", "guild", "application", "user", "emoji", "webhook"):
            path = path.replace(f"{{{name}}}", str(places[name]))
        path = path.replace("{token}", "t").replace("{interaction}", "1").replace("{command}", "1")
        token = place.owner.token if route.op == "interaction.start" else f"Bot {place.token}"
        headers = {"Authorization": token}
        async with httpx.AsyncClient(base_url=place.emulator.api_base, headers=headers) as http:
            for body in bodies(len(path)):
                text = json.dumps(body).replace('"C"', str(place.general.id))
                answer = await http.request(route.method, path, content=text)
                assert answer.status_code < 500, (body, answer.text)


async def test_no_answer_to_an_interaction_makes_it_fail():
    async with town() as place, httpx.AsyncClient(base_url=place.emulator.api_base) as http:
        row = {"type": 1, "components": [{"type": 2, "style": 1, "label": "b", "custom_id": "b"}]}
        headers = {"Authorization": f"Bot {place.token}"}
        messages = f"/channels/{place.general.id}/messages"
        for number, body in enumerate(bodies(1)):
            sent = (await http.post(messages, json={"content": "?", "components": [row]}, headers=headers)).json()
            started = await place.world.click(place.owner, int(sent["id"]), "b")
            callback = f"/interactions/{started.id}/{started.token}/callback"
            answer = await http.post(callback, json={"type": 4 + number % 6, "data": body})
            assert answer.status_code < 500, (body, answer.text)
            hook = f"/webhooks/{place.app.id}/{started.token}"
            assert (await http.post(hook, json=body)).status_code < 500, body
            assert (await http.patch(f"{hook}/messages/@original", json=body)).status_code < 500, body


async def test_no_frame_makes_the_gateway_fail(caplog):
    async with town() as place:
        for op in (1, 2, 3, 4, 6, 8, 14, "2", None, [], {}):
            for data in [
                *ODD,
                {"token": place.token, "intents": 1, "shard": ["a", "b"]},
                {"guild_id": [], "limit": "x"},
            ]:
                async with websockets.connect(place.emulator.gateway_url) as socket:
                    await socket.recv()
                    identify = {"op": 2, "d": {"token": place.token, "intents": 513}}
                    for frame in (identify, {"op": op, "d": data}) if op == 8 else ({"op": op, "d": data},):
                        await socket.send(json.dumps(frame))
                    await socket.close(1000)
    assert not [record for record in caplog.records if record.name.startswith("uvicorn")]

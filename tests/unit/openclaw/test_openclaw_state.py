"""Devices, pairing by direct message, the limiter, the policy file and the transcript."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from pydantic import ValidationError

from openclaw.agent.turns import completion_messages, responses_items, turns_of
from openclaw.config import OpenClawPolicy, load_config
from openclaw.devices import Asking, Devices
from openclaw.gateway import MIGRATIONS
from openclaw.limiter import AttemptLimiter
from openclaw.pairing import CODE_ALPHABET, DmPairing
from openclaw.protocol.frames import ClientInfo
from openclaw.protocol.methods.chat import history_messages
from openclaw.sessions import Sessions, canonical_key
from openclaw.transcript import Entry, Transcripts, text_message
from shared.clock import FakeClock
from shared.config.paths import Paths
from shared.errors import ConfigError, Invalid, NotFound
from shared.openclawclient.device import DeviceKey
from shared.secrets.files import Secret
from shared.storage import Database

CLIENT = ClientInfo(id="cli", mode="cli", version="1", platform="linux")


@asynccontextmanager
async def database(folder):
    db = Database(folder / "t.db", migrations=MIGRATIONS)
    await db.open()
    try:
        yield db
    finally:
        await db.close()


def asking(key, scopes=("operator.read",)):
    return Asking(key.device_id, key.public_key, CLIENT, "operator", scopes, None)


async def test_repeated_knocks_are_one_request_that_expires(tmp_path):
    clock, key, told = FakeClock(), DeviceKey.generate(), []
    async with database(tmp_path) as db:
        devices = Devices(db, Secret("s"), clock)
        devices.announce = lambda name, payload: told.append(name)
        first = await devices.ask(asking(key))
        clock.advance(200)
        assert await devices.ask(asking(key, ("operator.write",))) == first
        (pending,) = devices.listing()["pending"]
        assert pending["scopes"] == ["operator.read", "operator.write"]
        assert told == ["device.pair.requested"]
        clock.advance(299)
        assert len(devices.listing()["pending"]) == 1
        clock.advance(2)
        with pytest.raises(NotFound, match="unknown requestId"):
            await devices.approve(first)
        second = await devices.ask(asking(key))
        assert second != first
        assert [row["requestId"] for row in devices.listing()["pending"]] == [second]


async def test_tokens_are_kept_while_they_fit_and_nothing_stored_opens_a_door(tmp_path):
    clock, key = FakeClock(), DeviceKey.generate()
    async with database(tmp_path) as db:
        devices = Devices(db, Secret("gateway"), clock)
        await devices.approve_silently(asking(key, ("operator.admin",)))
        token, _ = await devices.admit(asking(key))
        assert (await devices.admit(asking(key)))[0] == token
        assert devices.check_token(key.device_id, "operator", token, ["operator.read"])
        assert not devices.check_token(key.device_id, "operator", token, ["weird"])
        assert not devices.check_token(key.device_id, "node", token, [])
        again = Devices(db, Secret("gateway"), clock)
        await again.load()
        assert again.check_token(key.device_id, "operator", token, [])
        other_secret = Devices(db, Secret("changed"), clock)
        await other_secret.load()
        assert not other_secret.check_token(key.device_id, "operator", token, [])
        await devices.revoke(key.device_id, "operator")
        assert not devices.check_token(key.device_id, "operator", token, [])
        fresh, _ = await devices.admit(asking(key))
        assert fresh != token
        rotated, _ = await devices.rotate(key.device_id, "operator", ["operator.read"])
        assert devices.check_token(key.device_id, "operator", rotated, ["operator.read"])
        assert not devices.check_token(key.device_id, "operator", fresh, [])
        with pytest.raises(Invalid, match="unknown deviceId/role"):
            await devices.rotate(key.device_id, "operator", ["other.scope"])
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("t.db*"))
    assert not any(secret.encode() in stored for secret in (token, fresh, rotated))


async def test_a_token_revoked_while_its_device_connects_lets_nobody_in(tmp_path):
    key = DeviceKey.generate()
    async with database(tmp_path) as db:
        devices = Devices(db, Secret("s"), FakeClock())
        await devices.approve_silently(asking(key))
        token, _ = await devices.admit(asking(key))
        assert devices.check_token(key.device_id, "operator", token, [])
        await devices.revoke(key.device_id, "operator")  # after the check above, before the connect went on
        with pytest.raises(NotFound, match="token ended"):
            await devices.admit(asking(key), by_token=token)
        assert not devices.check_token(key.device_id, "operator", token, [])


async def test_codes_for_strangers(tmp_path):
    clock = FakeClock()
    async with database(tmp_path) as db:
        pairing = DmPairing(db, clock=clock)
        first = await pairing.request("1", "a")
        assert first.is_new
        assert len(first.code) == 8
        assert set(first.code) <= set(CODE_ALPHABET)
        assert await pairing.request("1", "a") == type(first)(first.code, is_new=False)
        await pairing.request("2", "b")
        await pairing.request("3", "c")
        assert (await pairing.request("4", "d")).code == "", "three may wait, no more"
        clock.advance(3601)
        with pytest.raises(NotFound):
            await pairing.approve(first.code)
        again = await pairing.request("1", "a")
        assert again.is_new
        assert await pairing.approve(f" {again.code.lower()} ") == ("1", "a")
        assert pairing.allowed == {"1"}
        with pytest.raises(NotFound):
            await pairing.approve(again.code)


def test_a_source_that_fails_too_often_waits_and_then_may_try_again():
    clock = FakeClock()
    limiter = AttemptLimiter(3, 60, 300, clock)
    for _ in range(2):
        limiter.failed("x")
    clock.advance(61)
    limiter.failed("x")
    assert limiter.locked_for_s("x") == 0, "old failures do not count"
    limiter.failed("x")
    limiter.failed("x")
    assert limiter.locked_for_s("x") == 300
    clock.advance(100)
    limiter.failed("x")
    assert limiter.locked_for_s("x") == 200, "attempts do not extend the lock"
    assert limiter.locked_for_s("y") == 0
    clock.advance(201)
    assert limiter.locked_for_s("x") == 0


def test_the_shipped_policy_loads_and_denies_by_default(tmp_path):
    policy = load_config(Paths(state=tmp_path, runtime=tmp_path))
    assert policy.port == 18789
    assert policy.discord.group_policy == "allowlist"
    assert policy.discord.dm_policy == "pairing"
    assert policy == OpenClawPolicy()


def test_an_unknown_key_is_named_with_its_nearest_neighbour(tmp_path):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies/openclaw.toml").write_text("[discord]\ngroup_polic = 'open'\n")
    with pytest.raises(ConfigError, match=r"openclaw.toml:2: .*group_polic.*did you mean 'group_policy'"):
        load_config(Paths(state=tmp_path, runtime=tmp_path))


@pytest.mark.parametrize(
    "fields",
    [
        {"bind": "0.0.0.0"},
        {"control_ui": {"allowed_origins": ["https://*.example.org"]}},
        {"control_ui": {"allowed_origins": ["https://a.example/path"]}},
        {"trusted_proxies": ["everything"]},
        {"agent": {"model": "gpt-5"}},
        {"discord": {"allow_from": ["owner"]}},
    ],
)
def test_loose_policies_are_refused(fields):
    with pytest.raises(ValidationError):
        OpenClawPolicy.model_validate(fields)


def test_session_keys():
    assert canonical_key("main") == "agent:main:main"
    assert canonical_key(" Agent:Main:X ") == "agent:main:x"
    for bad in ("", "../x", "a b", "x" * 200):
        with pytest.raises(Invalid):
            canonical_key(bad)


async def test_a_line_without_an_index_entry_is_found_again(tmp_path):
    clock = FakeClock()
    async with database(tmp_path) as db:
        first = Transcripts(db, tmp_path / "s", clock)
        await first.append("sid", "r1", text_message("user", "one", clock.now()))
    clock.advance(1)
    async with database(tmp_path / "other") as empty:
        found = await Transcripts(empty, tmp_path / "s", clock).last("sid", 10)
        assert [(entry.run_id, entry.text) for entry in found] == [("r1", "one")]
        assert len(await Transcripts(empty, tmp_path / "s", clock).of_run("sid", "r1")) == 1


def entry(role, text="", **more):
    message = text_message(role, text, FakeClock().now() + timedelta(seconds=1), **more)
    return Entry("e", "r", message)


def test_a_call_without_a_result_gets_one_and_a_result_without_a_call_goes():
    call = {"type": "toolCall", "id": "c1", "name": "t", "arguments": "{}"}
    asked = Entry("e", "r", {"role": "assistant", "content": [call]})
    stray = entry("toolResult", "x", toolCallId="gone")
    turns = turns_of([stray, entry("user", "go"), asked, entry("user", "again")], max_chars=1000)
    assert [turn.role for turn in turns] == ["user", "assistant", "tool", "user"]
    assert [item["type"] for item in responses_items(turns, "m")] == [
        "message",
        "function_call",
        "function_call_output",
        "message",
    ]
    assert [message["role"] for message in completion_messages(turns)] == ["user", "assistant", "tool", "user"]


def test_the_newest_turns_are_kept_when_not_all_fit():
    entries = [entry("user", "a" * 50), entry("assistant", "b" * 50), entry("user", "c" * 50)]
    assert [turn.text[0] for turn in turns_of(entries, max_chars=60)] == ["c"]
    assert [turn.text[0] for turn in turns_of(entries, max_chars=10)] == ["c"], "the last one always goes along"


def test_history_is_cut_where_the_protocol_says():
    shown = history_messages([entry("user", "x" * 13_000), entry("user", "y")])
    assert shown[0]["content"][0]["text"].endswith("…(truncated)…")
    many = [{"type": "text", "text": "z" * 11_000} for _ in range(13)]
    (big,) = history_messages([Entry("e", "r", {"role": "user", "content": many, "timestamp": 1})])
    assert big["__openclaw"] == {"truncated": True, "reason": "oversized"}


def test_a_device_key_is_kept_in_a_private_file_and_a_bad_file_is_refused(tmp_path):
    path = tmp_path / "identity" / "device.json"
    key = DeviceKey.load_or_create(path)
    assert DeviceKey.load_or_create(path).device_id == key.device_id
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("{}")
    with pytest.raises(ConfigError, match="not a device identity"):
        DeviceKey.load_or_create(path)


async def test_two_changes_of_a_session_at_once_are_both_kept(tmp_path):
    async with database(tmp_path) as db:
        sessions = Sessions(db)
        await sessions.load()
        await sessions.open("agent:main:x")
        await asyncio.gather(
            sessions.used("agent:main:x", input_tokens=5),
            sessions.patch("agent:main:x", {"thinkingLevel": "high"}),
            sessions.used("agent:main:x", input_tokens=7),
        )
        again = Sessions(db)
        await again.load()
        for row in (sessions.get("agent:main:x"), again.get("agent:main:x")):
            assert row is not None
            assert (row.settings, row.input_tokens) == ({"thinkingLevel": "high"}, 12)

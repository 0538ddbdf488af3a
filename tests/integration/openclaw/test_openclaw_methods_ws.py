"""Methods that change something or wait for something, over real sockets."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from openclaw_rig import TOKEN, running_rig, until
from websockets.asyncio.client import connect

from openclaw.protocol.methods.unavailable import REASONS
from openclaw.protocol.scopes import NODE_METHODS
from shared.openclawclient.client import ClientProfile, RequestRefused

CONNECT = {
    "minProtocol": 3,
    "maxProtocol": 3,
    "client": {"id": "cli", "version": "dev", "platform": "linux", "mode": "cli"},
    "auth": {"token": TOKEN},
    "scopes": ["operator.admin"],
}
DECIDER = ("operator.approvals",)


async def said(client, key, text, run_id):
    await client.request("chat.send", {"sessionKey": key, "message": text, "idempotencyKey": run_id})
    return await until(client.events(), runId=run_id, state="final")


async def event(client, name):
    async for heard in client.events():
        if heard.name == name:
            return heard.payload
    raise AssertionError("the socket closed before the event came")


async def refused(client, method, params):
    with pytest.raises(RequestRefused) as caught:
        await client.request(method, params)
    return caught.value.detail


async def test_a_session_is_patched_and_a_null_clears(tmp_path):
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        patched = await ui.request("sessions.patch", {"key": "notes", "label": "Notes", "thinkingLevel": "low"})
        assert patched["key"] == "agent:main:notes"
        assert (patched["entry"]["label"], patched["entry"]["thinkingLevel"]) == ("Notes", "low")
        assert (await ui.request("sessions.resolve", {"label": "Notes"}))["key"] == "agent:main:notes"
        assert (await ui.request("sessions.list", {"label": "Notes"}))["count"] == 1
        assert await refused(ui, "sessions.patch", {"key": "other", "label": "Notes"}) == "label already in use: Notes"
        cleared = await ui.request("sessions.patch", {"key": "notes", "label": None})
        assert "label" not in cleared["entry"]
        assert cleared["entry"]["thinkingLevel"] == "low"


async def test_a_level_has_its_effect_or_is_refused(tmp_path):
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        await ui.request("sessions.patch", {"key": "main", "thinkingLevel": "high"})
        await said(ui, "main", "hello", "k1")
        assert rig.model.requests[-1][1]["reasoning"]["effort"] == "high"
        assert (await ui.request("chat.history", {"sessionKey": "main"}))["thinkingLevel"] == "high"
        for level, value in (("verboseLevel", "full"), ("reasoningLevel", "stream"), ("responseUsage", "tokens")):
            assert "can only be off" in await refused(ui, "sessions.patch", {"key": "main", level: value})
            await ui.request("sessions.patch", {"key": "main", level: "off"})
        wish = {"sessionKey": "main", "message": "hi"}
        for method in ("chat.send", "agent"):
            same = await ui.request(method, wish | {"idempotencyKey": f"{method}-same", "thinking": "high"})
            assert same["status"] in {"started", "accepted"}
            other = wish | {"idempotencyKey": f"{method}-other"}
            assert "sessions.patch" in await refused(ui, method, other | {"thinking": "low"})
            assert "deliver is not supported" in await refused(ui, method, other | {"deliver": True})
            assert "attachments are not" in await refused(ui, method, other | {"attachments": [{}]})
        assert "operator's" in await refused(ui, "agent", other | {"extraSystemPrompt": "be rude"})
        asked = [request for _, request in rig.model.requests]
        assert all("be rude" not in str(request) for request in asked)


async def test_a_message_may_bring_a_shorter_time(tmp_path):
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        asked = {"sessionKey": "main", "message": "!hold", "idempotencyKey": "k", "timeoutMs": 200}
        events = ui.events()
        await ui.request("chat.send", asked)
        ended = await until(events, runId="k", state="aborted")
        assert ended["stopReason"] == "timeout"
        assert rig.model.requests


async def test_a_model_is_chosen_by_its_known_name_only(tmp_path):
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        patched = await ui.request("sessions.patch", {"key": "main", "model": "gpt-5-mini"})
        assert patched["resolved"] == {"modelProvider": "github-copilot", "model": "gpt-5-mini"}
        assert "nobody" in await refused(ui, "sessions.patch", {"key": "main", "model": "nobody/knows-it"})
        await said(ui, "main", "hello", "k1")
        assert {request["model"] for _, request in rig.model.requests} == {"gpt-5-mini"}
        await ui.request("sessions.patch", {"key": "main", "model": None})
        await said(ui, "main", "hello", "k2")
        assert rig.model.requests[-1][1]["model"] == "gpt-5.1"


async def test_commands_are_not_loosened_by_a_session(tmp_path):
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        message = await refused(ui, "sessions.patch", {"key": "main", "execSecurity": "full"})
        assert "policies/exec.toml" in message


async def test_chat_widgets_do_not_administer_sessions(tmp_path):
    widget = ClientProfile(id="webchat", mode="webchat")
    async with running_rig(tmp_path) as rig, rig.ui(profile=widget) as client:
        for method, params in (("sessions.patch", {"key": "x", "label": "y"}), ("sessions.delete", {"key": "x"})):
            assert (await refused(client, method, params)).startswith("webchat clients cannot")


async def test_a_deleted_session_is_gone_and_its_words_are_kept_aside(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        await said(client, "notes", "remember milk", "k1")
        deleted = await client.request("sessions.delete", {"key": "notes"})
        assert deleted["deleted"] is True
        assert "remember milk" in await asyncio.to_thread(Path(deleted["archived"][0]).read_text)
        assert (await client.request("sessions.list", {}))["count"] == 0
        assert (await client.request("sessions.delete", {"key": "notes"}))["deleted"] is False
        assert "main session" in await refused(client, "sessions.delete", {"key": "main"})


async def test_a_compacted_session_keeps_its_newest_lines_and_goes_on(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        for number in range(3):
            await said(client, "main", f"word {number}", f"k{number}")
        assert (await client.request("sessions.compact", {"key": "main"}))["compacted"] is False
        cut = await client.request("sessions.compact", {"key": "main", "maxLines": 2})
        assert (cut["compacted"], cut["kept"]) == (True, 2)
        history = (await client.request("chat.history", {"sessionKey": "main"}))["messages"]
        assert [message["content"][0]["text"] for message in history] == ["word 2", "echo: word 2"]
        await said(client, "main", "after", "k9")
        history = (await client.request("chat.history", {"sessionKey": "main"}))["messages"]
        assert len(history) == 4


async def test_a_transcript_cut_by_a_crash_is_indexed_anew(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        for number in range(2):
            await said(client, "main", f"word {number}", f"k{number}")
    (path,) = (tmp_path / "agents" / "main" / "sessions").glob("*.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + "".join(lines[-2:]))  # replaced, but the index was not
    async with running_rig(tmp_path) as rig, rig.client() as client:
        history = (await client.request("chat.history", {"sessionKey": "main"}))["messages"]
        assert [message["content"][0]["text"] for message in history] == ["word 1", "echo: word 1"]


async def test_usage_is_added_up_and_outlives_the_session(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        await said(client, "main", "hello", "k1")
        await said(client, "notes", "hello", "k2")
        series = await client.request("sessions.usage.timeseries", {"key": "main"})
        assert [point["totalTokens"] for point in series["points"]] == [14]
        logs = await client.request("sessions.usage.logs", {"key": "main"})
        assert [row["role"] for row in logs["logs"]] == ["user", "assistant"]
        await client.request("sessions.delete", {"key": "notes"})
        cost = await client.request("usage.cost", {"days": 7})
        assert (cost["days"], cost["totals"]["input"], cost["totals"]["output"]) == (7, 22, 6)
        report = await client.request("sessions.usage", {})
        assert {row["key"] for row in report["sessions"]} == {"agent:main:main", "agent:main:notes"}
        assert report["aggregates"]["byProvider"][0]["provider"] == "openai-codex"
        assert report["aggregates"]["messages"]["user"] == 2
        assert "utcOffset" in await refused(client, "usage.cost", {"mode": "specific", "utcOffset": "noon"})


async def test_standing_files_are_written_and_nothing_else_is(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        listing = await client.request("agents.files.list", {"agentId": "main"})
        assert {file["missing"] for file in listing["files"]} == {True}
        wrote = {"agentId": "main", "name": "SOUL.md", "content": "Be kind.\n"}
        assert (await client.request("agents.files.set", wrote))["ok"] is True
        got = await client.request("agents.files.get", {"agentId": "main", "name": "SOUL.md"})
        assert (got["file"]["content"], got["file"]["missing"]) == ("Be kind.\n", False)
        assert "unsupported file" in await refused(client, "agents.files.set", {**wrote, "name": "../openclaw.json"})
        (tmp_path / "workspace" / "USER.md").symlink_to("/etc/passwd")
        linked = await client.request("agents.files.get", {"agentId": "main", "name": "USER.md"})
        assert linked["file"]["missing"] is True


async def test_injected_words_are_told_and_kept(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        assert await refused(client, "chat.inject", {"sessionKey": "main", "message": "x"}) == "session not found"
        await said(client, "main", "hello", "k1")
        added = await client.request("chat.inject", {"sessionKey": "main", "message": "By the way", "label": "note"})
        heard = await until(client.events(), runId=f"inject-{added['messageId']}")
        assert (heard["state"], heard["seq"], heard["sessionKey"]) == ("final", 0, "main")
        history = (await client.request("chat.history", {"sessionKey": "main"}))["messages"]
        assert history[-1]["content"][0]["text"] == "[note]\n\nBy the way"


async def answers(rig, method, params):
    """Both answers to one request, on a socket of its own."""
    async with connect(rig.url, compression=None, proxy=None) as socket:
        await socket.send(json.dumps({"type": "req", "id": "0", "method": "connect", "params": CONNECT}))
        await socket.send(json.dumps({"type": "req", "id": "1", "method": method, "params": params}))
        got = []
        async with asyncio.timeout(5):
            while len(got) < 2:
                frame = json.loads(await socket.recv())
                if frame.get("id") == "1":
                    got.append(frame)
        return got


async def test_agent_answers_twice_and_can_be_waited_for(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        first, final = await answers(rig, "agent", {"message": "hello", "idempotencyKey": "run-1"})
        assert (first["payload"]["runId"], first["payload"]["status"]) == ("run-1", "accepted")
        assert (final["payload"]["status"], final["payload"]["summary"]) == ("ok", "completed")
        assert final["payload"]["result"]["payloads"] == [{"text": "echo: hello", "mediaUrl": None}]
        assert (await client.request("agent.wait", {"runId": "run-1"}))["status"] == "ok"
        assert (await client.request("agent.wait", {"runId": "nobody", "timeoutMs": 1}))["status"] == "timeout"
        again, _ = await answers(rig, "agent", {"message": "hello", "idempotencyKey": "run-1"})
        assert again["payload"]["status"] == "accepted"
        assert len(rig.model.requests) == 1


async def test_a_failed_agent_run_says_so_with_its_payload(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        _, final = await answers(rig, "agent", {"message": "!fail 400 all", "idempotencyKey": "run-1"})
        assert (final["ok"], final["error"]["code"]) == (False, "UNAVAILABLE")
        assert final["payload"]["status"] == "error"
        assert (await client.request("agent.wait", {"runId": "run-1"}))["status"] == "error"


async def test_agent_wait_ends_with_the_run_and_not_before(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        await client.request("chat.send", {"sessionKey": "main", "message": "!hold", "idempotencyKey": "k1"})
        await asyncio.wait_for(rig.model.started.wait(), 5)
        assert (await client.request("agent.wait", {"runId": "k1", "timeoutMs": 20}))["status"] == "timeout"
        waiting = asyncio.create_task(client.request("agent.wait", {"runId": "k1"}))
        await asyncio.sleep(0)
        rig.model.release.set()
        assert (await waiting)["status"] == "ok"


async def test_waking_is_heard_now_or_with_the_next_turn(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        await client.request("wake", {"mode": "next-heartbeat", "text": "the kettle boils"})
        assert rig.model.requests == []
        await client.request("wake", {"mode": "now", "text": "the door rang"})
        await until(client.events(), state="final", sessionKey="agent:main:main")
        (_, request), *_ = rig.model.requests
        assert "the kettle boils" in json.dumps(request)
        assert "the door rang" in json.dumps(request)


async def test_a_beacon_shows_in_the_presence(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        await client.request("system-event", {"text": "Node: kitchen", "instanceId": "k", "mode": "node", "new": 1})
        heard = await event(client, "presence")
        assert "Node: kitchen" in {entry.get("text") for entry in heard["presence"]}


async def test_heartbeats_are_not_switched_on(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        assert (await client.request("set-heartbeats", {"enabled": False}))["enabled"] is False
        assert "no heartbeat" in await refused(client, "set-heartbeats", {"enabled": True})


async def test_what_is_not_here_says_why(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        assert not set(REASONS) & set(client.hello["features"]["methods"])
        for method, (_, reason) in REASONS.items():
            if method in NODE_METHODS:
                assert await refused(client, method, {}) == "unauthorized role: operator"
                continue
            with pytest.raises(RequestRefused) as caught:
                await client.request(method, {"anything": "goes"})
            assert (caught.value.wire_code, reason in caught.value.detail) == ("UNAVAILABLE", True)


async def test_a_client_asks_for_a_decision_and_hears_it(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client, rig.client(scopes=DECIDER) as decider:
        asked = {"command": "make tea", "id": "tea-1", "env": {"KETTLE": "secret"}, "twoPhase": True}
        request = asyncio.create_task(answers(rig, "exec.approval.request", asked))
        heard = await event(decider, "exec.approval.requested")
        assert (heard["id"], heard["request"]["command"], heard["request"]["envKeys"]) == (
            "tea-1",
            "make tea",
            ["KETTLE"],
        )
        assert "taken" in await refused_with_code(client, "exec.approval.request", {**asked, "twoPhase": False})
        await decider.request("exec.approval.resolve", {"id": "tea-1", "decision": "allow-once"})
        first, final = await request
        assert first["payload"]["status"] == "accepted"
        assert final["payload"]["decision"] == "allow-once"
        assert (await event(decider, "exec.approval.resolved"))["decision"] == "allow-once"
        waited = await decider.request("exec.approval.waitDecision", {"id": "tea-1"})
        assert waited["decision"] == "allow-once"


async def refused_with_code(client, method, params):
    with pytest.raises(RequestRefused) as caught:
        await client.request(method, params)
    return caught.value.details["code"]


async def test_without_anybody_to_decide_a_request_ends_at_once(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        answer = await client.request("exec.approval.request", {"command": "make tea"})
        assert answer["decision"] is None
        assert await refused(client, "exec.approval.waitDecision", {"id": "x"}) == "approval expired or not found"


async def test_allowed_commands_are_listed_and_revoked_but_never_added(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        before = await client.request("exec.approvals.get", {})
        rules = before["file"]["agents"]["main"]
        file = before["file"] | {"agents": {"main": {"allowlist": [*rules["allowlist"], {"pattern": "/usr/bin/curl"}]}}}
        assert "base hash required" in await refused(client, "exec.approvals.set", {"file": before["file"]})
        stale = {"file": before["file"], "baseHash": "0" * 64}
        assert "changed since last load" in await refused(client, "exec.approvals.set", stale)
        added = {"file": file, "baseHash": before["hash"]}
        assert "not added" in await refused(client, "exec.approvals.set", added)
        loose = before["file"] | {"defaults": {"security": "full"}}
        message = await refused(client, "exec.approvals.set", {"file": loose, "baseHash": before["hash"]})
        assert "defaults.security" in message
        same = await client.request("exec.approvals.set", {"file": before["file"], "baseHash": before["hash"]})
        assert same == before


async def test_signing_out_of_discord_is_not_for_clients(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        answer = await client.request("channels.logout", {"channel": "discord"})
        assert (answer["cleared"], answer["envToken"]) == (False, True)
        assert "invalid channels.logout channel" in await refused(client, "channels.logout", {"channel": "telegraph"})
        params = {"to": "channel:1", "message": "hi", "idempotencyKey": "k"}
        assert "not connected" in await refused(client, "send", params)


async def test_many_who_come_at_once_are_told_as_one_change(tmp_path):
    async with running_rig(tmp_path) as rig, rig.ui() as watcher, AsyncExitStack() as crowd:
        for _ in range(12):
            await crowd.enter_async_context(rig.client(profile=ClientProfile(id="test", mode="backend"), device=None))
        told = 0
        async for heard in watcher.events():
            if heard.name != "presence":
                continue
            told += 1
            if sum(entry["mode"] == "backend" for entry in heard.payload["presence"]) == 12:
                break
        assert told < 12

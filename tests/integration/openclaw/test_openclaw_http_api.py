"""Chat completions, responses and single tools over HTTP, and the figures on their own listener."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from openclaw_rig import POLICY, running_rig

from openclaw.agent.tools import Tool, ToolRegistry
from openclaw.api import requests
from openclaw.config import OpenClawPolicy
from shared.errors import Invalid
from shared.providers import ToolSpec

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"


def with_http(**http):
    return OpenClawPolicy.model_validate({**POLICY.model_dump(), "http": http})


OPEN = with_http(chat_completions=True, responses=True, tools=["shout"])


async def _shout(arguments, context):
    if "text" not in arguments:
        raise Invalid("text is missing")
    return f"{arguments['text'].upper()} in {context.session_key}, {arguments.get('action', 'no action')}"


def tools():
    spec = ToolSpec("shout", "Says it louder.", {"type": "object", "properties": {}})
    return ToolRegistry([Tool(spec, _shout, "Shout", "test")])


def events_of(text):
    blocks = [block for block in text.split("\n\n") if block.strip()]
    found = []
    for block in blocks:
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            found.append((fields.get("event", ""), fields["data"]))
    return found


@pytest.mark.parametrize("path", [CHAT, RESPONSES, "/tools/invoke"])
async def test_everything_is_off_until_it_is_switched_on(tmp_path, path):
    async with running_rig(tmp_path) as rig, rig.http() as http:
        answer = await http.post(path, json={})
        assert answer.status_code == 404
        assert answer.json()["error"]["type"] == "not_found"


async def test_a_chat_completion_is_answered_in_one_piece(tmp_path):
    async with running_rig(tmp_path, policy=OPEN) as rig, rig.http() as http:
        messages = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "one"},
            {"role": "user", "content": [{"type": "text", "text": "second"}]},
        ]
        answer = await http.post(CHAT, json={"model": "openclaw:main", "messages": messages, "temperature": 0.1})
        body = answer.json()
        assert answer.status_code == 200
        assert body["object"] == "chat.completion"
        assert body["id"].startswith("chatcmpl_")
        assert body["choices"][0]["message"] == {"role": "assistant", "content": "echo: second"}
        assert body["choices"][0]["finish_reason"] == "stop"
        assert body["usage"]["total_tokens"] == 0
        sent = json.dumps(rig.model.requests[-1][1])
        assert all(words in sent for words in ("Be brief.", "User: first", "Assistant: one"))


async def test_a_chat_completion_streams_role_words_and_done(tmp_path):
    async with running_rig(tmp_path, policy=OPEN) as rig, rig.http() as http:
        answer = await http.post(CHAT, json={"messages": [{"role": "user", "content": "!slow 5"}], "stream": True})
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-content-type-options"] == "nosniff"
        *chunks, done = [data for _, data in events_of(answer.text)]
        assert done == "[DONE]"
        deltas = [json.loads(chunk)["choices"][0] for chunk in chunks]
        assert deltas[0]["delta"] == {"role": "assistant"}
        assert deltas[-1]["finish_reason"] == "stop"
        words = [delta["delta"]["content"] for delta in deltas if "content" in delta["delta"]]
        assert len(words) > 1
        assert "".join(words) == "word0 word1 word2 word3 word4 "


async def test_a_response_is_answered_whole_and_as_events_in_order(tmp_path):
    async with running_rig(tmp_path, policy=OPEN) as rig, rig.http() as http:
        whole = (await http.post(RESPONSES, json={"input": "hi", "instructions": "Kindly."})).json()
        assert whole["object"] == "response"
        assert whole["status"] == "completed"
        assert whole["output"][0]["content"][0]["text"] == "echo: hi"
        items = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "!slow 3"}]}]
        streamed = await http.post(RESPONSES, json={"input": items, "stream": True})
        found = events_of(streamed.text)
        assert found[-1][1] == "[DONE]"
        names = [name.removeprefix("response.") for name, _ in found[:-1]]
        assert [name for i, name in enumerate(names) if name not in names[:i]] == [
            "created",
            "in_progress",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "completed",
        ]
        payloads = [json.loads(data) for _, data in found[:-1]]
        assert [payload["sequence_number"] for payload in payloads] == list(range(len(payloads)))
        assert payloads[-1]["response"]["output"][0]["content"][0]["text"] == "word0 word1 word2 "


async def test_a_user_has_one_session_and_a_named_session_is_used(tmp_path):
    async with running_rig(tmp_path, policy=OPEN) as rig, rig.http() as http, rig.client() as client:
        for text in ("one", "two"):
            await http.post(CHAT, json={"user": "Ann", "messages": [{"role": "user", "content": text}]})
        await http.post(RESPONSES, json={"input": "three"}, headers={"x-openclaw-session-key": "main"})
        sessions = (await client.request("sessions.list", {}))["sessions"]
        assert {row["key"].split(":")[2] for row in sessions} == {"openai-user", "main"}
        history = await client.request("chat.history", {"sessionKey": "main"})
        assert [message["role"] for message in history["messages"]] == ["user", "assistant"]


async def test_a_run_that_fails_says_so_whole_and_in_a_stream(tmp_path):
    async with running_rig(tmp_path, policy=OPEN) as rig, rig.http() as http:
        question = {"messages": [{"role": "user", "content": "!fail 400 all"}]}
        whole = await http.post(CHAT, json=question)
        assert whole.status_code in {502, 503}
        assert whole.json()["error"]["type"] == "api_error"
        streamed = await http.post(CHAT, json={**question, "stream": True})
        assert json.loads(events_of(streamed.text)[-2][1])["error"]["type"] == "api_error"


async def test_the_run_stops_when_the_client_leaves(tmp_path):
    async with running_rig(tmp_path, policy=OPEN) as rig:
        async with rig.http() as http:
            question = {"messages": [{"role": "user", "content": "!hold"}], "stream": True}
            async with http.stream("POST", CHAT, json=question) as answer:
                body = answer.aiter_bytes()
                await anext(body)
                await asyncio.wait_for(rig.model.started.wait(), 5)
        await asyncio.wait_for(rig.model.left.wait(), 5)
        async with asyncio.timeout(5):
            while rig.gateway.services.runs.active_count:
                await asyncio.sleep(0.01)


WRONG = [
    (CHAT, b"{", "JSON"),
    (CHAT, b"[]", "object"),
    (CHAT, b"{}", "messages"),
    (CHAT, b'{"messages":[]}', "messages"),
    (CHAT, b'{"messages":[{"role":"robot","content":"x"}]}', "allowed values"),
    (CHAT, b'{"messages":[{"role":"user","content":"  "}]}', "user's"),
    (CHAT, b'{"messages":[{"role":"assistant","content":"x"}]}', "user's"),
    (CHAT, b'{"model":"gpt-5","messages":[{"role":"user","content":"x"}]}', "unknown model"),
    (CHAT, b'{"model":"openclaw:other","messages":[{"role":"user","content":"x"}]}', "unknown agent"),
    (CHAT, b'{"messages":[{"role":"user","content":"x"}],"tools":[{}]}', "its own tools"),
    (CHAT, b'{"messages":[{"role":"user","content":"a\\u0000b"}]}', "null bytes"),
    (CHAT, b'{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]}', "type"),
    (RESPONSES, b'{"input":[{"type":"function_call_output","call_id":"1","output":"x"}]}', "allowed values"),
    (RESPONSES, b'{"input":"x","previous_response_id":"resp_1"}', "x-openclaw-session-key"),
    (RESPONSES, b"{}", "input"),
    ("/tools/invoke", b'{"tool":"shout","extra":1}', "extra"),
]


async def test_what_is_wrong_is_refused_in_words(tmp_path):
    async with running_rig(tmp_path, policy=OPEN, tools=tools()) as rig, rig.http() as http:
        for path, body, words in WRONG:
            answer = await http.post(path, content=body)
            assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
            assert words in answer.json()["error"]["message"]
        assert rig.model.requests == []


async def test_only_offered_tools_run(tmp_path):
    async with running_rig(tmp_path, policy=OPEN, tools=tools()) as rig, rig.http() as http:
        done = await http.post("/tools/invoke", json={"tool": "shout", "action": "now", "args": {"text": "hey"}})
        assert done.json() == {
            "ok": True,
            "result": {"content": [{"type": "text", "text": "HEY in agent:main:main, now"}]},
        }
        failed = await http.post("/tools/invoke", json={"tool": "shout"})
        assert (failed.status_code, failed.json()["error"]["message"]) == (400, "text is missing")
        gone = await http.post("/tools/invoke", json={"tool": "exec", "args": {"command": "id"}})
        assert gone.status_code == 404
        assert gone.json() == {"ok": False, "error": {"type": "not_found", "message": "Tool not available: exec"}}


@pytest.mark.parametrize("name", ["exec", "cron", "gateway", "sessions_send"])
def test_tools_that_act_cannot_be_offered_at_all(name):
    with pytest.raises(ValueError, match="cannot be offered"):
        with_http(tools=[name])


async def test_bodies_have_bounds(tmp_path, monkeypatch):
    monkeypatch.setattr(requests, "BODY_TIMEOUT_S", 0.2)
    async with running_rig(tmp_path, policy=OPEN) as rig, rig.http() as http:
        assert (await http.post(CHAT, content=b"x" * ((1 << 20) + 1))).status_code == 413

        async def pieces():
            for _ in range(20):
                yield b"x" * (1 << 16)

        assert (await http.post(CHAT, content=pieces())).status_code == 413
        assert (await http.get(CHAT)).headers["allow"] == "POST"
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.gateway.port)
        head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {http.headers['authorization']}\r\n"
        writer.write(f"{head}Content-Length: 9\r\n\r\n".encode())
        assert b" 408 " in await asyncio.wait_for(reader.readline(), 5)
        writer.close()


async def test_without_the_token_nobody_is_served_and_guessing_is_slowed_down(tmp_path):
    visitor = {"Host": "claw.example.org", "X-Forwarded-For": "203.0.113.7"}
    async with running_rig(tmp_path, policy=OPEN) as rig, rig.http(headers=visitor) as http:
        for headers in ({}, {"Authorization": "Basic x"}, {"Authorization": "Bearer wrong"}):
            answer = await http.post(CHAT, json={}, headers=headers)
            assert answer.status_code == 401
            assert answer.json() == {"error": {"message": "Unauthorized", "type": "unauthorized"}}
        for _ in range(9):
            await http.post(CHAT, json={}, headers={"Authorization": "Bearer wrong"})
        locked = await http.post(CHAT, json={}, headers=dict(rig.http().headers))
        assert locked.status_code == 429
        assert 0 < int(locked.headers["retry-after"]) <= 300
        assert locked.json()["error"]["type"] == "rate_limited"
        async with rig.http() as own:
            assert (await own.post(CHAT, json={})).status_code == 400


async def test_figures_are_on_a_listener_of_their_own(tmp_path):
    policy = OpenClawPolicy.model_validate({**OPEN.model_dump(), "metrics": {"port": 0}})
    async with running_rig(tmp_path, policy=policy) as rig, rig.http() as http, rig.client():
        await http.post(CHAT, json={"messages": [{"role": "user", "content": "hi"}]})
        async with httpx.AsyncClient(trust_env=False) as plain:
            url = f"http://127.0.0.1:{rig.gateway.metrics_port}"
            found = await plain.get(f"{url}/metrics")
            assert found.headers["content-type"].startswith("text/plain; version=0.0.4")
            lines = found.text.splitlines()
            assert 'openclaw_connections{role="operator"} 1.0' in lines
            assert 'openclaw_connects_total{outcome="ok"} 1.0' in lines
            assert 'openclaw_http_requests_total{endpoint="chat_completions",status="200"} 1.0' in lines
            assert 'openclaw_devices{state="paired"} 1.0' in lines
            assert any(line.startswith("process_resident_memory_bytes ") for line in lines)
            assert (await plain.get(f"{url}/")).status_code == 404
            assert (await plain.get(f"{url}/metrics", headers={"Host": "evil.example"})).status_code == 404
        assert (await http.get("/metrics")).headers["content-type"].startswith("text/html")

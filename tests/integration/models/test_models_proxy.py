import asyncio
import json
from pathlib import Path

import httpx
import pytest

from gateway.credentials.priority import ClaudeAuthPolicy
from gateway.credentials.settings import OAuthPolicy
from gateway.modelproxy.in_flight import InFlightLimits
from gateway.sandbox.faults import Fault
from shared.clock import FakeClock
from shared.http.sse import SseParser
from shared.providers import Completed, Failed, TextDelta, ToolSpec, chat_completions, responses
from shared.providers.failures import parse_failure

CLI_HEADERS = {
    "authorization": "Bearer placeholder",
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "claude-code-20250219,oauth-2025-04-20,extended-cache-ttl-2025-04-11",
    "x-app": "cli",
    "user-agent": "claude-cli/2.1.330",
    "accept-encoding": "gzip, br",
    "cookie": "a=b",
    "x-forwarded-for": "10.0.0.1",
}


def message(text: str, **more: object) -> dict[str, object]:
    return {"model": "claude-sonnet-4-5", "max_tokens": 64, "messages": [{"role": "user", "content": text}], **more}


NOT_SERVED = [("GET", "/v1/messages"), ("POST", "/chat/completions"), ("GET", "/"), ("POST", "/v1/workers")]
LISTED_KEYS = {"id", "object", "type", "created", "created_at", "owned_by", "display_name"}
FROM_A_PAGE = [{"origin": "http://localhost:1"}, {"host": "evil.example"}, {"host": "localhost.evil:80"}]


async def ask(client: httpx.AsyncClient, text: str, **more: object) -> httpx.Response:
    return await client.post("/v1/messages?beta=true", json=message(text, **more), headers=CLI_HEADERS)


def said(response: httpx.Response) -> str:
    return "".join(block.get("text", "") for block in response.json()["content"])


def streamed_text(raw: bytes) -> tuple[str, list[str]]:
    events = SseParser().feed(raw)
    parsed = [json.loads(event.data) for event in events]
    text = "".join(e["delta"].get("text", "") for e in parsed if e["type"] == "content_block_delta")
    return text, [event.event for event in events]


async def test_a_worker_is_answered_with_the_real_credential_and_never_its_own(rig, tmp_path) -> None:
    async with rig(tmp_path) as r:
        answer = await ask(r.worker, "hello")
        assert (answer.status_code, said(answer)) == (200, "echo: hello")
        [seen] = r.world.of("claude", "messages")
        assert (seen.credential, seen.query) == ("oauth", "beta=true")
        assert "x-api-key" not in seen.headers
        assert set(seen.headers["anthropic-beta"].split(",")) == {
            "claude-code-20250219",
            "oauth-2025-04-20",
            "extended-cache-ttl-2025-04-11",
        }
        assert seen.headers["accept-encoding"] == "identity"
        assert (seen.headers["x-app"], seen.headers["user-agent"]) == ("cli", "claude-cli/2.1.330")
        assert not {"cookie", "x-forwarded-for"} & seen.headers.keys()
        assert answer.headers["request-id"] == (await r.recorded()).request_id
        assert "anthropic-organization-id" not in answer.headers


async def test_a_stream_passes_byte_for_byte_and_is_recorded(rig, tmp_path) -> None:
    async with rig(tmp_path) as r:
        answer = await ask(r.worker, "one two three four five", stream=True)
        text, events = streamed_text(answer.content)
        assert text == "echo: one two three four five"
        assert (events[0], events[-1]) == ("message_start", "message_stop")
        record = await r.recorded()
        assert (record.status, record.outcome, record.auth) == (200, "answered", "oauth")
        assert (record.tenant, record.group, record.worker_id) == ("nanoclaw", "family", "w1")
        assert record.model == "claude-sonnet-4-5"
        assert record.input_tokens > 0
        assert record.output_tokens > 0
        assert 0 < record.first_byte_ms <= record.total_ms


async def test_the_first_bytes_arrive_before_the_last_are_made(rig, tmp_path) -> None:
    async with rig(tmp_path) as r:
        body = message("!slow 3", stream=True)
        async with r.worker.stream("POST", "/v1/messages", json=body, headers=CLI_HEADERS) as answer:
            chunks = answer.aiter_bytes()
            await anext(chunks)
            assert not r.records
            async for _ in chunks:
                pass
        assert (await r.recorded()).total_ms - (await r.recorded()).first_byte_ms > 150


async def test_a_refused_sign_in_is_replaced_by_the_key_before_the_worker_notices(rig, tmp_path) -> None:
    async with rig(tmp_path) as r:
        r.world.revoke("claude")
        assert (await ask(r.worker, "hello")).status_code == 200
        first, second = r.world.of("claude", "messages")
        assert (first.status, first.credential) == (401, "")
        assert (second.status, second.credential) == (200, "api_key")
        assert "authorization" not in second.headers
        assert "oauth" not in second.headers["anthropic-beta"]
        assert (await r.recorded()).auth == "api_key"
        assert (await ask(r.worker, "again")).status_code == 200
        assert len(r.world.of("claude", "messages")) == 3  # the refused token rests


async def test_a_new_sign_in_is_used_at_once(rig, tmp_path) -> None:
    async with rig(tmp_path) as r:
        r.world.revoke("claude")
        await ask(r.worker, "hello")
        r.world.seed_credentials(claude=tmp_path / "claude.json")
        await ask(r.worker, "hello")
        assert (await r.recorded()).auth == "oauth"


async def test_a_revoked_sign_in_said_with_403_counts_as_a_refusal(rig, tmp_path) -> None:
    body = {"type": "error", "error": {"type": "permission_error", "message": "OAuth token has been revoked."}}
    fault = Fault(upstream="claude", op="messages", kind="status", status=403, body=body)
    async with rig(tmp_path, fault) as r:
        assert (await ask(r.worker, "hello")).status_code == 200
        assert (await r.recorded()).auth == "api_key"


async def test_a_rate_limit_never_spends_the_key(rig, tmp_path) -> None:
    async with rig(tmp_path) as r:
        answer = await ask(r.worker, "!fail 429 always")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert answer.json()["error"]["type"] == "rate_limit_error"
        assert [entry.credential for entry in r.world.of("claude", "messages")] == ["oauth"]


async def test_an_expired_sign_in_is_not_even_tried(rig, tmp_path) -> None:
    clock = FakeClock()
    async with rig(tmp_path, clock=clock) as r:
        clock.advance(9 * 3600)
        assert (await ask(r.worker, "hello")).status_code == 200
        assert [entry.credential for entry in r.world.of("claude", "messages")] == ["api_key"]


async def test_without_any_credential_the_worker_reads_what_to_run(rig, tmp_path) -> None:
    async with rig(tmp_path, fallback=False, seed=False) as r:
        answer = await ask(r.worker, "hello")
        assert answer.status_code == 401
        assert answer.json()["error"]["type"] == "authentication_error"
        assert "claude /login" in answer.json()["error"]["message"]
        assert answer.headers["x-should-retry"] == "false"
        assert (await r.recorded()).outcome == "refused"


async def test_a_refusal_with_nothing_else_to_try_is_passed_on(rig, tmp_path) -> None:
    async with rig(tmp_path, fallback=False) as r:
        r.world.revoke("claude")
        answer = await ask(r.worker, "hello")
        assert answer.status_code == 401
        assert len(r.world.of("claude", "messages")) == 1


async def test_a_route_outside_the_capability_is_refused_with_the_reason(rig, tmp_path) -> None:
    async with rig(tmp_path) as r:
        answer = await r.tenant.post("/v1/model/messages", json=message("hi"))
        assert answer.status_code == 403
        assert "messages" in answer.json()["error"]["message"]
        answer = await r.public.post("/v1/completions", json=message("hi"))
        assert answer.status_code == 404
        assert not r.world.requests


async def test_a_worker_socket_serves_messages_and_nothing_else(rig, tmp_path) -> None:
    async with rig(tmp_path) as r:
        assert (await r.worker.head("/api/hello")).status_code == 200
        for method, path in (
            ("GET", "/v1/messages"),
            ("POST", "/chat/completions"),
            ("GET", "/"),
            ("POST", "/v1/workers"),
        ):
            assert (await r.worker.request(method, path)).status_code == 404
        assert not r.world.requests


async def test_a_worker_cannot_have_the_provider_go_where_it_may_not(rig, tmp_path) -> None:
    async with rig(tmp_path) as r:
        for more, field in (
            ({"tools": [{"type": "web_fetch_20250910", "name": "web_fetch"}]}, "tools.0.type"),
            ({"mcp_servers": [{"type": "url", "url": "https://evil.example/mcp", "name": "x"}]}, "mcp_servers"),
        ):
            answer = await ask(r.worker, "fetch it", **more)
            error = answer.json()["error"]
            assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
            assert error["message"].startswith(field)
            assert "web_fetch" in error["message"]
            assert answer.headers["x-should-retry"] == "false"
        assert not r.world.requests
        # Of a key that stands twice readers differ on which counts: what was looked at is what is sent.
        twice = b'{"tools":[{"type":"web_fetch_20250910"}],"tools":[],' + json.dumps(message("hi")).encode()[1:]
        betas = CLI_HEADERS | {"anthropic-beta": "mcp-client-2025-04-04,effort-2025-11-24"}
        assert (await r.worker.post("/v1/messages?x=1", content=twice, headers=betas)).status_code == 200
        [seen] = r.world.of("claude", "messages")
        assert (seen.body, seen.query) == (message("hi", tools=[]), "")
        assert seen.headers["anthropic-beta"] == "effort-2025-11-24,oauth-2025-04-20"


async def begin(socket: Path, sent: int) -> asyncio.StreamWriter:
    """A call whose body is never whole."""
    _, writer = await asyncio.open_unix_connection(str(socket))
    writer.write(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n" + b" " * sent)
    await writer.drain()
    return writer


async def when_it_says(client: httpx.AsyncClient, status: int) -> httpx.Response:
    async with asyncio.timeout(10):
        while (answer := await ask(client, "hello")).status_code != status:
            await asyncio.sleep(0.005)
    return answer


@pytest.mark.parametrize(
    ("limits", "calls", "sent"),
    [(InFlightLimits(worker_calls=3), 3, 10), (InFlightLimits(bytes=1 << 20), 2, (1 << 19) - 8)],
)
async def test_one_worker_cannot_fill_the_gateways_memory(rig, tmp_path, limits, calls: int, sent: int) -> None:
    async with rig(tmp_path, limits=limits) as r:
        unfinished = [await begin(tmp_path / "w1", sent) for _ in range(calls)]
        answer = await when_it_says(r.worker, 429)
        assert answer.json()["error"]["type"] == "rate_limit_error"
        assert "under way" in answer.json()["error"]["message"]
        assert (answer.headers["retry-after"], answer.headers["x-should-retry"]) == ("2", "true")
        for writer in unfinished:
            writer.close()
        assert said(await when_it_says(r.worker, 200)) == "echo: hello"


async def test_a_socket_without_a_worker_answers_403(rig, tmp_path) -> None:
    async with rig(tmp_path) as r:
        transport = httpx.AsyncHTTPTransport(uds=str(tmp_path / "stranger"))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", trust_env=False) as stranger:
            assert (await ask(stranger, "hi")).status_code == 403
        assert not r.world.requests


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
async def test_a_body_that_is_no_object_is_refused_here(rig, tmp_path, content: bytes) -> None:
    async with rig(tmp_path) as r:
        answer = await r.worker.post("/v1/messages", content=content, headers=CLI_HEADERS)
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
        assert not r.world.requests


async def test_a_body_too_large_is_refused_before_it_is_read(rig, tmp_path) -> None:
    async with rig(tmp_path) as r:
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "w1"))
        writer.write(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n")
        assert b" 413 " in await reader.readline()
        writer.close()
        assert not r.world.requests


async def test_leaving_early_cancels_the_upstream_call(rig, tmp_path) -> None:
    async with rig(tmp_path) as r:
        body = message("!stall 30", stream=True)
        async with r.worker.stream("POST", "/v1/messages", json=body, headers=CLI_HEADERS) as answer:
            await anext(answer.aiter_bytes())
        async with asyncio.timeout(2):
            while not (r.records and r.world.requests[0].client_gone):
                await asyncio.sleep(0.005)
        record = await r.recorded()
        assert (record.outcome, record.is_final) == ("client_gone", False)


async def test_what_came_of_an_answer_is_known_when_its_caller_leaves_in_the_middle(rig, tmp_path) -> None:
    async with rig(tmp_path) as r:
        body = message("!slow 9", stream=True)
        async with r.worker.stream("POST", "/v1/messages", json=body, headers=CLI_HEADERS) as answer:
            seen = b""
            async for chunk in answer.aiter_bytes():
                seen += chunk
                if seen.count(b"text_delta") > 1:
                    break
        record = await r.recorded()
        assert (record.outcome, record.is_final) == ("client_gone", False)
        assert record.said_bytes > 0
        await ask(r.worker, "hello", stream=True)
        record = await r.recorded()
        assert (record.outcome, record.is_final, record.said_bytes) == ("answered", True, len("echo: hello"))


async def test_leaving_before_any_answer_cancels_the_upstream_call(rig, tmp_path) -> None:
    stall = Fault(upstream="claude", op="messages", kind="stall", body={"seconds": 30})
    async with rig(tmp_path, stall) as r:
        with pytest.raises(httpx.ReadTimeout):
            await r.worker.post("/v1/messages", json=message("x"), headers=CLI_HEADERS, timeout=0.1)
        async with asyncio.timeout(2):
            while not (r.records and r.world.requests[0].client_gone):
                await asyncio.sleep(0.005)
        assert ((await r.recorded()).status, (await r.recorded()).outcome) == (499, "client_gone")


async def test_a_cut_stream_ends_in_an_error_event_after_whole_events(rig, tmp_path) -> None:
    async with rig(tmp_path, Fault(upstream="claude", op="messages", kind="half_body", applied=True)) as r:
        answer = await ask(r.worker, "one two three four five six seven eight nine", stream=True)
        _, events = streamed_text(answer.content.rsplit(b"event: error", 1)[0])
        last = SseParser().feed(answer.content)[-1]
        assert "message_stop" not in events
        assert (last.event, json.loads(last.data)["error"]["type"]) == ("error", "api_error")
        assert (await r.recorded()).outcome == "cut"


@pytest.mark.parametrize("kind", ["reset", "half_body"])
async def test_no_whole_answer_is_a_retryable_503(rig, tmp_path, kind: str) -> None:
    async with rig(tmp_path, Fault(upstream="claude", op="messages", kind=kind, applied=kind == "half_body")) as r:
        answer = await ask(r.worker, "hello")
        assert (answer.status_code, answer.headers["x-should-retry"]) == (503, "true")
        assert (await r.recorded()).outcome == "failed"
        assert (await ask(r.worker, "hello")).status_code == 200


async def test_an_edges_page_becomes_words_in_the_callers_dialect(rig, tmp_path) -> None:
    async with rig(tmp_path, Fault(upstream="claude", op="messages", kind="edge_page")) as r:
        answer = await ask(r.worker, "hello")
        assert (answer.status_code, answer.headers["content-type"]) == (403, "application/json")
        error = answer.json()["error"]
        assert error["type"] == "permission_error"
        assert "(Access denied)" in error["message"]
        assert "another network" in error["message"]
        assert len(r.world.requests) == 1


@pytest.mark.parametrize("status", [400, 429, 200])
async def test_of_an_endless_refusal_only_the_beginning_is_looked_at_and_told(rig, tmp_path, status: int) -> None:
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": "eyJ" * 2_000_000}}
    async with rig(tmp_path, Fault(upstream="claude", op="messages", kind="status", status=status, body=body)) as r:
        answer = await ask(r.worker, "hello")
        assert answer.status_code == (502 if status == 200 else status)
        assert answer.json()["error"]["message"].startswith('{"type"')
        assert len(answer.content) < 2000
        assert (await r.recorded()).outcome == "answered"
        assert (await ask(r.worker, "hello")).status_code == 200


async def test_codex_answers_a_tenant_and_the_parser_understands_it(rig, tmp_path) -> None:
    async with rig(tmp_path) as r:
        tool = ToolSpec("exec", "run", {"type": "object"})
        items = [responses.user_item("!run uptime")]
        first = await codex(r, responses.build_request("gpt-5.1", "be kind", items, [tool], session_id="s1"))
        [call] = [event for event in first if type(event).__name__ == "ToolCall"]
        assert (call.name, call.parsed()) == ("exec", {"command": "uptime"})
        assert first[-1].stop == "tool_calls"
        items += [*first[-1].items, responses.tool_result_item(call.id, "up 3 days")]
        second = await codex(r, responses.build_request("gpt-5.1", "be kind", items, [tool]))
        assert "".join(e.text for e in second if isinstance(e, TextDelta)) == "tool exec said: up 3 days"
        seen = r.world.of("codex")[0]
        assert (seen.headers["session_id"], seen.headers["chatgpt-account-id"]) == ("s1", "sandbox-account")
        assert ((await r.recorded()).provider, (await r.recorded()).output_tokens > 0) == ("codex", True)


async def codex(r, body: dict) -> list:
    async with r.tenant.stream("POST", "/v1/model/responses", json=body) as answer:
        assert answer.status_code == 200, await answer.aread()
        return [event async for event in responses.parse_events(answer.aiter_bytes())]


async def test_a_codex_usage_limit_keeps_its_reset_time(rig, tmp_path) -> None:
    async with rig(tmp_path) as r:
        body = responses.build_request("gpt-5.1", "x", [responses.user_item("!fail 429")])
        answer = await r.tenant.post("/v1/model/responses", json=body)
        failed = parse_failure(answer.status_code, dict(answer.headers), answer.content)
        assert (failed.kind, failed.retry_after_s, failed.resets_at is not None) == ("usage_limit", 3600, True)


async def test_a_cut_codex_stream_is_a_failure_to_the_parser(rig, tmp_path) -> None:
    async with rig(tmp_path, Fault(upstream="codex", op="responses", kind="half_body", applied=True)) as r:
        events = await codex(
            r, responses.build_request("gpt-5.1", "x", [responses.user_item("a b c d e f g h i j k l")])
        )
        assert isinstance(events[-1], Failed)
        assert (events[-1].kind, events[-1].code) == ("cut", "http.cut")


async def chat(client: httpx.AsyncClient, path: str, body: dict) -> list:
    async with client.stream("POST", path, json=body) as answer:
        assert answer.status_code == 200, await answer.aread()
        return [event async for event in chat_completions.parse_events(answer.aiter_bytes())]


async def test_copilot_answers_on_the_public_port_and_the_tenant_socket(rig, tmp_path) -> None:
    async with rig(tmp_path) as r:
        body = chat_completions.build_request("gpt-5-mini", "", [chat_completions.user_message("hello there")])
        for client, path in (
            (r.public, "/v1/chat/completions"),
            (r.public, "/chat/completions"),
            (r.tenant, "/v1/model/chat/completions"),
        ):
            events = await chat(client, path, body)
            assert "".join(e.text for e in events if isinstance(e, TextDelta)) == "echo: hello there"
            assert isinstance(events[-1], Completed)
            assert events[-1].usage.input_tokens > 0
        assert len(r.world.of("github", "copilot.token")) == 1


async def test_a_hundred_callers_make_one_token_exchange(rig, tmp_path) -> None:
    async with rig(tmp_path) as r:
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
        answers = await asyncio.gather(*(r.public.post("/v1/chat/completions", json=body) for _ in range(40)))
        assert {answer.status_code for answer in answers} == {200}
        assert len(r.world.of("github", "copilot.token")) == 1


@pytest.mark.parametrize("may_spend", [False, True])
async def test_the_subscriptions_limit_is_paid_around_only_where_policy_says_so(rig, tmp_path, may_spend) -> None:
    clock = FakeClock()
    policy = OAuthPolicy(claude_auth=ClaudeAuthPolicy(spend_on_429=may_spend))
    limit = {"type": "error", "error": {"type": "rate_limit_error", "message": "limit"}}
    limited = Fault(
        upstream="claude", op="messages", kind="status", status=429, headers={"retry-after": "60"}, body=limit
    )
    async with rig(tmp_path, limited, clock=clock, policy=policy) as r:
        assert (await ask(r.worker, "one")).status_code == (200 if may_spend else 429)
        assert (await r.recorded()).auth == ("api_key" if may_spend else "oauth")
        assert (await ask(r.worker, "two")).status_code == 200
        assert (await r.recorded()).auth == ("api_key" if may_spend else "oauth"), "until the limit is over"
        clock.advance(61)
        assert (await ask(r.worker, "three")).status_code == 200
        assert (await r.recorded()).auth == "oauth"


async def test_a_refused_copilot_token_is_exchanged_again_and_the_call_repeated(rig, tmp_path) -> None:
    async with rig(tmp_path) as r:
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
        assert (await r.public.post("/v1/chat/completions", json=body)).status_code == 200
        r.world.revoke("copilot")
        assert (await r.public.post("/v1/chat/completions", json=body)).status_code == 200
        assert len(r.world.of("github", "copilot.token")) == 2


async def test_a_revoked_github_sign_in_says_what_to_run(rig, tmp_path) -> None:
    async with rig(tmp_path) as r:
        r.world.revoke("github")
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
        answer = await r.public.post("/v1/chat/completions", json=body)
        assert answer.status_code == 401
        assert "copilot-api auth" in answer.json()["error"]["message"]


async def test_github_down_leaves_the_old_token_in_use_until_it_ends(rig, tmp_path) -> None:
    clock = FakeClock()
    down = Fault(upstream="github", op="copilot.token", nth=(2, 3, 4), kind="status", status=500)
    async with rig(tmp_path, down, clock=clock) as r:
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
        assert (await r.public.post("/v1/chat/completions", json=body)).status_code == 200
        clock.advance(26 * 60)
        assert (await r.public.post("/v1/chat/completions", json=body)).status_code == 200
        clock.advance(5 * 60)
        answer = await r.public.post("/v1/chat/completions", json=body)
        assert (answer.status_code, answer.headers["x-should-retry"]) == (503, "true")


@pytest.mark.parametrize(
    ("messages", "initiator"),
    [
        ([{"role": "user", "content": "a"}], "user"),
        (
            [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}],
            "user",
        ),
        (
            [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "t"}}]},
                {"role": "tool", "tool_call_id": "1", "content": "x"},
            ],
            "agent",
        ),
    ],
)
async def test_only_a_persons_turn_is_billed_as_one(rig, tmp_path, messages, initiator) -> None:
    async with rig(tmp_path) as r:
        await r.public.post("/v1/chat/completions", json={"model": "gpt-4o", "messages": messages})
        assert r.world.of("copilot")[-1].headers["x-initiator"] == initiator


async def test_the_list_of_models_has_copilot_apis_shape(rig, tmp_path) -> None:
    async with rig(tmp_path) as r:
        for path in ("/v1/models", "/models"):
            listed = (await r.public.get(path)).json()
            assert listed["object"] == "list"
            assert {"gpt-4o-mini", "gpt-5-mini"} <= {model["id"] for model in listed["data"]}
            assert set(listed["data"][0]) == {
                "id",
                "object",
                "type",
                "created",
                "created_at",
                "owned_by",
                "display_name",
            }


async def test_embeddings_pass(rig, tmp_path) -> None:
    async with rig(tmp_path) as r:
        body = {"model": "text-embedding-3-small", "input": ["a", "b"]}
        answer = await r.public.post("/v1/embeddings", json=body)
        assert len(answer.json()["data"]) == 2


@pytest.mark.parametrize(
    "headers", [{"origin": "http://localhost:1"}, {"host": "evil.example"}, {"host": "localhost.evil:80"}]
)
async def test_a_web_page_cannot_reach_the_public_port(rig, tmp_path, headers) -> None:
    async with rig(tmp_path) as r:
        for method, path in (("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/")):
            assert (await r.public.request(method, path, headers=headers)).status_code == 403
        assert not r.world.requests


@pytest.mark.parametrize("host", ["localhost:4141", "127.0.0.1", "[::1]:4141", "LOCALHOST"])
async def test_any_loopback_host_is_served(rig, tmp_path, host) -> None:
    async with rig(tmp_path) as r:
        assert (await r.public.get("/", headers={"host": host})).text == "Server running"


async def test_no_secret_leaves_in_an_answer_or_a_record(rig, tmp_path) -> None:
    async with rig(tmp_path) as r:
        secrets = [json.loads((tmp_path / "claude.json").read_text())["claudeAiOauth"]["accessToken"]]
        secrets += [json.loads((tmp_path / "codex.json").read_text())["tokens"]["access_token"]]
        secrets += [(tmp_path / "copilot").read_text()]
        for what in ("claude", "codex", "github"):
            r.world.revoke(what)
        seen = [await ask(r.worker, "x"), await r.public.get("/v1/models")]
        seen.append(await r.tenant.post("/v1/model/responses", json=responses.build_request("gpt-5.1", "x", [])))
        text = "".join(answer.text + str(answer.headers) for answer in seen) + repr(r.records)
        text += repr(await r.credentials.headers_for("claude")) + repr(r.world.requests)
        assert not [secret for secret in secrets if secret in text]

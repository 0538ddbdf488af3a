import asyncio
import itertools
import json
import sys
from contextlib import asynccontextmanager

import httpx
import pytest
from click.testing import CliRunner

from gateway.cli.copilot_api import cli
from gateway.copilotapi.account import facts, quota, quota_lines, sign_in
from gateway.copilotapi.options import CopilotApiOptions
from gateway.copilotapi.server import running_api
from gateway.sandbox.faults import Fault, FaultPlan
from gateway.sandbox.models.copilot import one_address
from gateway.sandbox.models.github import GITHUB_LIFETIME, DeviceFlow
from gateway.sandbox.models.tokens import Tokens
from gateway.sandbox.models.wire import EmulatorApp
from gateway.sandbox.script import Script
from shared.clock import SYSTEM_CLOCK
from shared.errors import ConfigError
from shared.http.sse import SseParser
from shared.http.unixserver import AsgiListeners
from shared.secrets.files import write_private


class Copilot:
    """GitHub and Copilot behind one address, a token file, and what was asked."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.tokens = Tokens(SYSTEM_CLOCK)
        self.requests: list = []
        self.base = ""
        self.token_file = folder / "github_token"
        self.flow: DeviceFlow | None = None

    def options(self, **more) -> CopilotApiOptions:
        return CopilotApiOptions(**{"port": 0, "token_file": self.token_file, "upstream_base": self.base, **more})

    def of(self, op: str) -> list:
        return [entry for entry in self.requests if entry.op == op]


@asynccontextmanager
async def upstream(folder, *faults: Fault, signed_in: bool = True):
    copilot = Copilot(folder)

    def revoke(_upstream: str, token: str) -> None:
        copilot.tokens.revoke(token)

    app = EmulatorApp({}, faults=FaultPlan.of(faults), clock=SYSTEM_CLOCK, requests=copilot.requests, revoke=revoke)
    async with AsgiListeners(app, with_reset=True) as listeners:
        port = await listeners.add_tcp("127.0.0.1", 0, state={})
        copilot.base = f"http://127.0.0.1:{port}/one"
        copilot.flow = DeviceFlow(copilot.tokens, f"{copilot.base}/login/device")
        app.serve({"one": one_address(Script(), copilot.tokens, copilot.base, copilot.flow)})
        if signed_in:
            write_private(copilot.token_file, copilot.tokens.issue("github", lifetime=GITHUB_LIFETIME).value)
        yield copilot


@asynccontextmanager
async def api(copilot: Copilot, *, ask=None, **more):
    async with (
        running_api(copilot.options(**more), ask=ask) as running,
        httpx.AsyncClient(base_url=running.url, trust_env=False, verify=False, timeout=10) as client,
    ):
        yield client


def message(text: str, **more) -> dict:
    return {"model": "claude-sonnet-4-5", "max_tokens": 64, "messages": [{"role": "user", "content": text}], **more}


def chat(text: str, **more) -> dict:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **more}


async def test_every_path_of_copilot_api_but_the_token(tmp_path) -> None:
    async with upstream(tmp_path) as copilot, api(copilot) as client:
        assert (await client.get("/")).text == "Server running"
        for prefix in ("", "/v1"):
            assert (await client.post(f"{prefix}/chat/completions", json=chat("hi"))).json()["choices"]
            assert (await client.post(f"{prefix}/embeddings", json={"input": "x"})).json()["data"]
            assert (await client.get(f"{prefix}/models")).json()["data"]
        assert len(copilot.of("models")) == 1
        assert (await client.get("/v1/models/gpt-4o")).json()["id"] == "gpt-4o"
        assert (await client.get("/usage")).json()["copilot_plan"] == "individual"
        assert (await client.get("/token")).status_code == 404
        assert (await client.post("/v1/messages/count_tokens", json=message("hello"))).json()["input_tokens"] > 0
        assert not any("access-control-allow-origin" in r.headers for r in [await client.get("/")])
        # Left open by the caller, the answer's length is the model's.
        assert copilot.of("chat.completions")[0].body["max_tokens"] == 16384


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("model", "op"), [("gpt-4.1", "chat.completions"), ("claude-sonnet-4-5", "messages")])
async def test_messages_are_passed_on_or_translated_as_the_model_needs_it(tmp_path, stream, model, op) -> None:
    async with upstream(tmp_path) as copilot, api(copilot) as client:
        betas = {"anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14,oauth-2025-04-20"}
        answer = await client.post("/v1/messages", json=message("hello", model=model, stream=stream), headers=betas)
        assert answer.status_code == 200
        [seen] = copilot.of(op)
        assert (seen.body["model"], seen.headers["x-initiator"]) == (model.replace("4-5", "4.5"), "user")
        passed = "interleaved-thinking-2025-05-14" if op == "messages" else None
        assert seen.headers.get("anthropic-beta") == passed
        if not stream:
            body = answer.json()
            assert body["content"] == [{"type": "text", "text": "echo: hello"}]
            assert body["stop_reason"] == "end_turn"
            return
        events = [json.loads(event.data) for event in SseParser().feed(answer.content)]
        assert [events[0]["type"], events[-1]["type"]] == ["message_start", "message_stop"]
        assert events[-2]["usage"]["output_tokens"] > 0
        text = "".join(event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta")
        assert text == "echo: hello"


@pytest.mark.parametrize("path", ["/v1/responses", "/responses"])
async def test_responses_are_passed_on_and_back_as_they_are(tmp_path, path: str) -> None:
    body = {"model": "gpt-5.1-codex", "stream": True, "input": [{"role": "user", "content": "hello there"}]}
    async with upstream(tmp_path) as copilot, api(copilot) as client:
        answer = await client.post(path, json=body)
        events = [json.loads(event.data) for event in SseParser().feed(answer.content)]
        assert (answer.status_code, events[0]["type"], events[-1]["type"]) == (
            200,
            "response.created",
            "response.completed",
        )
        deltas = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
        assert "hello there" in deltas
        assert len(copilot.of("responses")) == 1
        refused = await client.post(path, json={**body, "model": "no-such-model"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "model_not_supported")


async def test_a_tools_result_is_the_agents_turn(tmp_path) -> None:
    async with upstream(tmp_path) as copilot, api(copilot) as client:
        tools = [{"name": "f", "input_schema": {"type": "object"}}]
        turns = [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "done"}]},
        ]
        for model, op in (("gpt-4.1", "chat.completions"), ("claude-sonnet-4-5", "messages")):
            body = {**message("", model=model), "messages": turns, "tools": tools}
            assert (await client.post("/v1/messages", json=body)).status_code == 200
            assert copilot.of(op)[0].headers["x-initiator"] == "agent"


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
async def test_a_refused_bearer_is_exchanged_anew_and_the_call_repeated_once(tmp_path, path: str) -> None:
    body = message("hello", model="gpt-4o") if path == "/v1/messages" else chat("hello")
    async with upstream(tmp_path) as copilot, api(copilot) as client:
        assert (await client.post(path, json=body)).status_code == 200
        copilot.tokens.revoke_all("copilot")
        assert (await client.post(path, json=body)).status_code == 200
        assert [seen.status for seen in copilot.of("chat.completions")] == [200, 401, 200]
        assert len(copilot.of("copilot.token")) == 2


CALLS = [
    ("/v1/chat/completions", "gpt-4o", "chat.completions"),
    ("/v1/messages", "gpt-4o", "chat.completions"),
    ("/v1/messages", "claude-sonnet-4-5", "messages"),
    ("/v1/responses", "gpt-5.1", "responses"),
]
"""Every dialect, and the one pair that is translated."""


def call_of(path: str, model: str, text: str) -> dict:
    if path == "/v1/responses":
        return {"model": model, "stream": True, "input": [{"role": "user", "content": text}]}
    return message(text, model=model, stream=True)


def events_of(answer: httpx.Response) -> list:
    events = SseParser().feed(answer.content)
    return [event.data if event.data == "[DONE]" else json.loads(event.data) for event in events]


ENDS = {"message_stop", "response.completed"}


@pytest.mark.parametrize("orderly", [False, True], ids=["reset", "orderly"])
@pytest.mark.parametrize(("path", "model", "op"), CALLS)
async def test_a_cut_stream_ends_with_an_error_event(tmp_path, path, model, op, orderly) -> None:
    fault = Fault(upstream="copilot", op=op, kind="half_body", body={"orderly": orderly})
    async with upstream(tmp_path, fault) as copilot, api(copilot) as client:
        answer = await client.post(path, json=call_of(path, model, "one two three four five six seven"))
        events = events_of(answer)
        assert events[-1].get("type") == "error" or "error" in events[-1]
        assert "[DONE]" not in events
        assert not ENDS & {event.get("type") for event in events}
        assert sum("error" in str(event.get("type")) or "error" in event for event in events) == 1
        again = events_of(await client.post(path, json=call_of(path, model, "again")))
        assert again[-1] == "[DONE]" or again[-1]["type"] in ENDS


@pytest.mark.parametrize(("path", "model", "op"), CALLS)
async def test_a_long_silence_before_the_first_word_is_filled(tmp_path, path, model, op) -> None:
    stall = Fault(upstream="copilot", op=op, kind="stall", body={"seconds": 0.4})
    async with upstream(tmp_path, stall) as copilot, api(copilot, keep_alive_s=0.05) as client:
        async with client.stream("POST", path, json=call_of(path, model, "hello"), timeout=0.25) as answer:
            assert (answer.status_code, answer.headers["content-type"][:17]) == (200, "text/event-stream")
            content = await answer.aread()
        assert content.startswith(b": keep-alive\n\n")
        events = SseParser().feed(content)
        assert "hello" in content.decode()
        assert events[-1].data == "[DONE]" or json.loads(events[-1].data)["type"] in ENDS


@pytest.mark.parametrize(("path", "model", "op"), CALLS)
async def test_a_refusal_after_a_long_silence_is_an_event_with_all_that_it_said(tmp_path, path, model, op) -> None:
    body = {"error": {"message": "slow down", "code": "rate_limited"}}
    stall = Fault(upstream="copilot", op=op, kind="stall", body={"seconds": 0.15})
    more = {"status": 429, "body": body, "headers": {"retry-after": "7"}}
    refusal = Fault(upstream="copilot", op=op, nth=2, kind="status", **more)
    async with upstream(tmp_path, stall, refusal) as copilot, api(copilot, keep_alive_s=0.05) as client:
        # One fault strikes one request: the refused bearer is the way to two in one call.
        assert (await client.get("/v1/models")).status_code == 200
        copilot.tokens.revoke_all("copilot")
        answer = await client.post(path, json=call_of(path, model, "hello"))
        assert answer.status_code == 200
        [last] = events_of(answer)
        error = last if path == "/v1/responses" else last["error"]
        assert (error["message"], error["status"], error["retry_after_s"]) == ("slow down", 429, 7)
        assert answer.content.startswith(b": keep-alive")


async def test_an_error_of_ours_after_a_long_silence_is_an_event_too(tmp_path) -> None:
    reset = Fault(upstream="copilot", op="chat.completions", kind="reset")
    async with upstream(tmp_path, reset) as copilot, api(copilot, keep_alive_s=0.05, rate_limit_s=0.2, wait=True) as c:
        await c.post("/v1/embeddings", json={"input": "takes the first turn"})
        answer = await c.post("/v1/chat/completions", json=chat("x", stream=True))
        [last] = events_of(answer)
        assert (answer.status_code, last["error"]["code"], last["error"]["status"]) == (200, "http.cut", 503)


def refusal(op: str, status: int, body: object, **more) -> Fault:
    return Fault(upstream="copilot", op=op, kind="status", status=status, body=body, **more)


HTML = "<!DOCTYPE html><title>Error 1015</title><p>rate limited"


@pytest.mark.parametrize(
    ("status", "body", "told", "words"),
    [
        (200, {"error": {"message": "quota spent", "code": "quota_exceeded"}}, 502, "quota spent"),
        (200, {"error": "quota spent"}, 502, "quota spent"),
        (302, "moved", 502, "points elsewhere"),
        (403, HTML, 403, "(Error 1015)"),
        (429, HTML, 429, "(Error 1015)"),
        (401, "unauthorized: token expired\n", 401, "token expired"),
        (500, "", 500, ""),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("path", "model", "op"), CALLS)
async def test_what_is_no_answer_is_an_error_with_words(tmp_path, path, model, op, stream, status, body, told, words):
    if path == "/v1/responses" and not stream:
        return
    async with upstream(tmp_path, refusal(op, status, body, nth="*")) as copilot, api(copilot) as client:
        answer = await client.post(path, json={**call_of(path, model, "hello"), "stream": stream})
        assert (answer.status_code, words in answer.text) == (told, True)
        error = answer.json()["error"]
        assert error if isinstance(error, str) else error["message"]
        assert (answer.json().get("type") == "error") == (path == "/v1/messages")


UPSTREAM_FAULTS = ["reset", "half_body", "malformed", "edge_page", "token_revoked", "status", "clock_skew"]


@pytest.mark.parametrize("kind", UPSTREAM_FAULTS)
async def test_it_stays_up_whatever_its_upstreams_do(tmp_path, kind) -> None:
    faults = [
        Fault(upstream="copilot", op=op, nth="*", kind=kind, body={"seconds": -4000} if kind == "clock_skew" else None)
        for op in ("copilot.token", "models", "chat.completions", "messages", "responses", "embeddings", "copilot.user")
    ]
    async with upstream(tmp_path, *faults) as copilot, api(copilot) as client:
        asked = [client.post(path, json=call_of(path, model, "hello")) for path, model, _ in CALLS]
        asked += [client.get("/v1/models"), client.get("/usage"), client.get("/v1/models/gpt-4o")]
        asked += [client.post("/v1/embeddings", json={"input": "x"}), client.post("/v1/chat/completions", content=b"{")]
        async with asyncio.timeout(20):
            answers = await asyncio.gather(*asked)
        for answer in answers:
            assert answer.status_code < 400 or answer.json()["error"]
            assert "internal error" not in answer.text
        assert (await client.get("/")).text == "Server running"


async def test_no_answer_invites_a_web_page(tmp_path) -> None:
    async with upstream(tmp_path) as copilot, api(copilot) as client:
        page = {"origin": "https://evil.example", "access-control-request-method": "POST"}
        answers = [await client.request("OPTIONS", path, headers=page) for path in ("/", "/v1/messages", "/token")]
        answers += [await client.get(path) for path in ("/", "/v1/models", "/usage", "/token", "/nowhere")]
        answers += [
            await client.post("/v1/chat/completions", json=chat("x", stream=stream)) for stream in (True, False)
        ]
        assert [answer.status_code for answer in answers] == [403, 403, 403, 200, 200, 200, 404, 404, 200, 200]
        for answer in answers:
            assert not [name for name in answer.headers if name.startswith("access-control-")]
            assert copilot.token_file.read_text() not in answer.text


async def test_whoever_asked_for_a_whole_answer_gets_its_true_status_however_late(tmp_path) -> None:
    stall = Fault(upstream="copilot", op="chat.completions", nth="*", kind="stall", body={"seconds": 0.2})
    async with upstream(tmp_path, stall) as copilot, api(copilot, keep_alive_s=0.05) as client:
        answer = await client.post("/v1/chat/completions", json=chat("!fail 500"))
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "server_error")
        assert b"keep-alive" not in (await client.post("/v1/chat/completions", json=chat("x"))).content


@pytest.mark.parametrize(("model", "op"), [("gpt-4o", "chat.completions"), ("claude-sonnet-4-5", "messages")])
async def test_refusals_keep_status_and_retry_after_in_the_callers_dialect(tmp_path, model, op) -> None:
    body = {"error": {"message": "slow", "code": "rate_limited"}}
    fault = Fault(upstream="copilot", op=op, kind="status", status=429, body=body, headers={"retry-after": "7"})
    async with upstream(tmp_path, fault) as copilot, api(copilot) as client:
        answer = await client.post("/v1/messages", json=message("x", model=model))
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
        assert answer.json() == {"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}}


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions", "/v1/messages/count_tokens"])
async def test_bad_json_is_the_callers_fault(tmp_path, path: str) -> None:
    async with upstream(tmp_path) as copilot, api(copilot) as client:
        answer = await client.post(path, content=b'{"model": ')
        assert answer.status_code == 400
        assert (answer.json().get("type") == "error") == path.startswith("/v1/messages")


async def test_it_starts_and_stays_up_without_a_sign_in_and_takes_one_later(tmp_path) -> None:
    async with upstream(tmp_path, signed_in=False) as copilot, api(copilot) as client:
        answer = await client.post("/v1/chat/completions", json=chat("x"))
        assert answer.status_code == 401
        assert "clawgate copilot-api auth" in answer.json()["error"]["message"]
        write_private(copilot.token_file, copilot.tokens.issue("github", lifetime=GITHUB_LIFETIME).value)
        assert (await client.post("/v1/chat/completions", json=chat("x"))).status_code == 200


async def test_calls_are_spaced_and_the_queue_is_bounded(tmp_path) -> None:
    async with upstream(tmp_path) as copilot, api(copilot, rate_limit_s=0.2, wait=True, max_waiting=3) as client:
        answers = await asyncio.gather(*(client.post("/v1/chat/completions", json=chat(str(i))) for i in range(5)))
        assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 429]
        moments = [seen.at_monotonic for seen in copilot.of("chat.completions")]
        assert all(b - a >= 0.18 for a, b in itertools.pairwise(moments))
        assert all("retry-after" in answer.headers for answer in answers if answer.status_code == 429)


async def test_by_hand_a_no_is_403(tmp_path) -> None:
    async with upstream(tmp_path) as copilot, api(copilot, manual=True, ask=lambda _model: False) as client:
        answer = await client.post("/v1/chat/completions", json=chat("x"))
        assert (answer.status_code, answer.json()["error"]["message"]) == (403, "Request rejected")
        assert not copilot.of("chat.completions")


async def test_keys_when_they_are_required(tmp_path) -> None:
    key = "k" * 32
    keys = tmp_path / "keys"
    async with upstream(tmp_path) as copilot:
        with pytest.raises(ConfigError, match="cannot be read"):
            async with api(copilot, keys_file=keys):
                pass
        write_private(keys, f"# mine\nlaptop {key}\n")
        async with api(copilot, keys_file=keys) as client:
            assert (await client.get("/")).status_code == 200
            assert (await client.get("/v1/models")).status_code == 401
            assert (await client.get("/v1/models", headers={"authorization": "Bearer wrong"})).status_code == 401
            assert (await client.get("/v1/models", headers={"x-api-key": key})).status_code == 200
            keys.chmod(0o644)
            keys.write_text(f"other {'z' * 32}\n")
            assert (await client.get("/v1/models", headers={"x-api-key": key})).status_code == 500


async def test_signing_in_by_code_and_the_quota(tmp_path) -> None:
    async with upstream(tmp_path, signed_in=False) as copilot:
        shown: list[str] = []

        async def person(_seconds: float) -> None:
            copilot.flow.decide(shown[0].rsplit(" ", 1)[1].rstrip("."), approved=True)

        account = await sign_in(copilot.options(), say=shown.append, sleep=person)
        assert account == "sandbox-owner"
        assert copilot.token_file.stat().st_mode & 0o777 == 0o600
        assert copilot.tokens.valid(copilot.token_file.read_text(), "github")
        assert any(line.startswith("Premium: 1/300 used") for line in quota_lines(await quota(copilot.options())))
        assert facts(copilot.options())["tokenExists"]


def test_flags_that_are_refused_say_why() -> None:
    for flags, why in ((["--show-token"], "refused"), (["--proxy-env"], "refused")):
        result = CliRunner().invoke(cli, ["start", *flags])
        assert result.exit_code == 2
        assert why in result.output
    with pytest.raises(ConfigError, match="--require-key"):
        CopilotApiOptions(host="0.0.0.0")


async def test_silence_in_a_stream_is_filled_with_comments(tmp_path) -> None:
    async with upstream(tmp_path) as copilot, api(copilot, keep_alive_s=0.05) as client:
        answer = await client.post("/v1/chat/completions", json=chat("!slow 3", stream=True))
        assert b": keep-alive\n\n" in answer.content
        assert answer.content.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("before", [False, True], ids=["mid-stream", "before-the-head"])
@pytest.mark.parametrize(("path", "model", "op"), CALLS)
async def test_a_caller_that_leaves_ends_the_call_upstream(tmp_path, path, model, op, before) -> None:
    faults = [Fault(upstream="copilot", op=op, kind="stall", body={"seconds": 30})] if before else []
    async with upstream(tmp_path, *faults) as copilot, api(copilot, keep_alive_s=0.05) as client:
        async with client.stream("POST", path, json=call_of(path, model, "!slow 50")) as answer:
            await anext(answer.aiter_bytes())
        [seen] = copilot.of(op)
        async with asyncio.timeout(2):
            while not seen.client_gone:
                await asyncio.sleep(0.01)


async def test_a_caller_that_leaves_the_queue_gives_up_its_place(tmp_path) -> None:
    async with upstream(tmp_path) as copilot, api(copilot, rate_limit_s=0.3, wait=True) as client:
        await client.post("/v1/chat/completions", json=chat("first"))
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/v1/chat/completions", json=chat("gone"), timeout=0.05)
        await client.post("/v1/chat/completions", json=chat("last"))
        said = [seen.body["messages"][0]["content"] for seen in copilot.of("chat.completions")]
        assert said == ["first", "last"]


async def test_the_command_itself_starts_serves_and_stops(tmp_path) -> None:
    code = (
        "import sys; from shared.cli import guarded; from gateway.cli.copilot_api import cli;"
        "sys.exit(guarded(lambda: cli(standalone_mode=False), prog='clawgate'))"
    )
    async with upstream(tmp_path) as copilot:
        flags = ["-p", "0", "-r", "1", "-w", "-c", "-a", "business", "-v", "--token-file", str(copilot.token_file)]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", code, "start", *flags, "--upstream-base", copilot.base),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(20):
            url = ""
            while not url.startswith("listening on "):
                line = await process.stderr.readline()
                assert line, "it ended"
                url = line.decode().strip()
            async with httpx.AsyncClient(base_url=url.split()[-1], trust_env=False, verify=False) as client:
                assert (await client.post("/v1/messages", json=message("hi"))).status_code == 200
            process.terminate()
            out, _ = await process.communicate()
        assert process.returncode == 0
        assert f'export ANTHROPIC_BASE_URL="{url.split()[-1]}"' in out.decode()

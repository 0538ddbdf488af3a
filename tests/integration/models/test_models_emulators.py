import asyncio
import base64
import hashlib
import json
import stat

import httpx
import pytest

from gateway.sandbox.faults import Fault, FaultPlan
from gateway.sandbox.models import ModelWorld
from shared.clock import FakeClock
from shared.errors import Occupied

CLAUDE_CLIENT = "9d1c250a-e61b-44d9-88ed-5944d1962f5e"
CODEX_CLIENT = "app_EMoamEEZ73f0CkXaXp7hrann"
GITHUB_CLIENT = "Iv1.b507a08c87ecfe98"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
OAUTH = {"anthropic-version": "2023-06-01", "anthropic-beta": "oauth-2025-04-20"}


def http() -> httpx.AsyncClient:
    return httpx.AsyncClient(trust_env=False, timeout=5, verify=False)


def claude_login(world: ModelWorld, folder) -> dict:
    world.seed_credentials(claude=folder / "c.json")
    return json.loads((folder / "c.json").read_text())["claudeAiOauth"]


def codex_login(world: ModelWorld, folder) -> dict:
    world.seed_credentials(codex=folder / "x.json")
    return json.loads((folder / "x.json").read_text())["tokens"]


async def messages(world: ModelWorld, client: httpx.AsyncClient, headers: dict, **body: object) -> httpx.Response:
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], **body}
    return await client.post(f"{world.claude_base}/v1/messages", json=body, headers=headers)


async def test_claude_lets_in_a_valid_credential_only(tmp_path) -> None:
    async with ModelWorld() as world, http() as client:
        token, key = claude_login(world, tmp_path)["accessToken"], world.claude_api_key().reveal()
        bearer = {"authorization": f"Bearer {token}"}
        version = {"anthropic-version": "2023-06-01"}
        cases = [
            ({**OAUTH, **bearer}, 200),
            ({**version, "x-api-key": key}, 200),
            ({**version, **bearer}, 401),
            ({**OAUTH, **bearer, "x-api-key": key}, 400),
            ({**OAUTH, "authorization": "Bearer placeholder"}, 401),
            (version, 401),
            (bearer, 400),
        ]
        for headers, status in cases:
            answer = await messages(world, client, headers)
            assert answer.status_code == status
            assert answer.headers["request-id"]
            assert status == 200 or answer.json()["type"] == "error"


async def test_claude_streams_the_events_its_own_client_expects(tmp_path) -> None:
    async with ModelWorld() as world, http() as client:
        headers = {**OAUTH, "authorization": f"Bearer {claude_login(world, tmp_path)['accessToken']}"}
        ask = [{"role": "user", "content": '!tool Bash {"command": "ls"}'}]
        answer = await messages(world, client, headers, stream=True, messages=ask, tools=[{"name": "Bash"}])
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
        kinds = [event["type"] for event in events if event["type"] != "ping"]
        assert kinds[:2] == ["message_start", "content_block_start"]
        assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
        parts = [event["delta"]["partial_json"] for event in events if event["type"] == "content_block_delta"]
        assert json.loads("".join(parts)) == {"command": "ls"}
        assert events[-2]["delta"]["stop_reason"] == "tool_use"


async def test_claude_counts_tokens_and_says_hello(tmp_path) -> None:
    async with ModelWorld() as world, http() as client:
        headers = {"anthropic-version": "2023-06-01", "x-api-key": world.claude_api_key().reveal()}
        body = {"model": "m", "messages": [{"role": "user", "content": "x" * 400}]}
        answer = await client.post(f"{world.claude_base}/v1/messages/count_tokens", json=body, headers=headers)
        assert 100 <= answer.json()["input_tokens"] <= 120
        assert (await client.head(f"{world.claude_base}/api/hello")).status_code == 200
        assert (await client.get(f"{world.claude_base}/nothing")).json()["error"]["type"] == "not_found_error"


async def test_a_claude_refresh_token_counts_once(tmp_path) -> None:
    async with ModelWorld() as world, http() as client:
        login = claude_login(world, tmp_path)
        body = {"grant_type": "refresh_token", "refresh_token": login["refreshToken"], "client_id": CLAUDE_CLIENT}
        first = await client.post(world.claude_token_url, json=body)
        assert first.json()["refresh_token"] != login["refreshToken"]
        headers = {**OAUTH, "authorization": f"Bearer {first.json()['access_token']}"}
        assert (await messages(world, client, headers)).status_code == 200
        second = await client.post(world.claude_token_url, json=body)
        assert (second.status_code, second.json()["error"]) == (400, "invalid_grant")
        for wrong in ({"data": body}, {"json": {**body, "client_id": ""}}):
            answer = await client.post(world.claude_token_url, **wrong)
            assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("provider", ["claude", "codex"])
async def test_a_code_is_redeemed_once_and_with_its_verifier(provider: str) -> None:
    async with ModelWorld() as world, http() as client:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(b"verifier").digest()).rstrip(b"=").decode()
        url = world.claude_token_url if provider == "claude" else f"{world.openai_auth_base}/oauth/token"
        client_id = CLAUDE_CLIENT if provider == "claude" else CODEX_CLIENT

        async def redeem(code: str, verifier: str) -> int:
            body = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier, "client_id": client_id}
            body |= {"state": "s", "redirect_uri": "http://localhost/callback"} if provider == "claude" else {}
            sent = {"json": body} if provider == "claude" else {"data": body}
            return (await client.post(url, **sent)).status_code

        code = world.tokens.issue_code(challenge)
        assert await redeem(code, "verifier") == 200
        assert await redeem(code, "verifier") == 400
        assert await redeem(world.tokens.issue_code(challenge), "other") == 400


async def test_a_reused_codex_refresh_token_is_named_as_such(tmp_path) -> None:
    async with ModelWorld() as world, http() as client:
        login = codex_login(world, tmp_path)
        form = {"grant_type": "refresh_token", "refresh_token": login["refresh_token"], "client_id": CODEX_CLIENT}
        url = f"{world.openai_auth_base}/oauth/token"
        assert (await client.post(url, data=form)).status_code == 200
        again = await client.post(url, data=form)
        assert (again.status_code, again.json()["error"]["code"]) == (401, "refresh_token_reused")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"store": True}, "Store"),
        ({"stream": False}, "Stream"),
        ({"instructions": " "}, "Instructions"),
        ({"input": "text"}, "Input"),
        ({"max_output_tokens": 5}, "max_output_tokens"),
        ({"model": "gpt-4o"}, "gpt-4o"),
    ],
)
async def test_codex_refuses_what_the_real_one_refuses(tmp_path, change: dict, word: str) -> None:
    async with ModelWorld() as world, http() as client:
        login = codex_login(world, tmp_path)
        headers = {"authorization": f"Bearer {login['access_token']}", "chatgpt-account-id": login["account_id"]}
        body = {"model": "gpt-5.1", "store": False, "stream": True, "instructions": "x", "input": [], **change}
        answer = await client.post(f"{world.codex_base}/codex/responses", json=body, headers=headers)
        assert answer.status_code == 400
        assert word in answer.json()["detail"]


async def test_codex_wants_token_and_account(tmp_path) -> None:
    async with ModelWorld() as world, http() as client:
        login = codex_login(world, tmp_path)
        good = {"authorization": f"Bearer {login['access_token']}", "chatgpt-account-id": login["account_id"]}
        for headers in ({}, {**good, "authorization": "Bearer x"}, {**good, "chatgpt-account-id": "other"}):
            answer = await client.post(f"{world.codex_base}/codex/responses", json={}, headers=headers)
            assert answer.status_code == 401


async def test_the_device_flow_waits_slows_down_and_ends(tmp_path) -> None:
    clock = FakeClock()
    async with ModelWorld(clock=clock) as world, http() as client:
        begun = (await client.post(f"{world.github_base}/login/device/code", json={"client_id": GITHUB_CLIENT})).json()
        body = {"client_id": GITHUB_CLIENT, "device_code": begun["device_code"], "grant_type": DEVICE_GRANT}

        async def poll() -> dict:
            answer = await client.post(f"{world.github_base}/login/oauth/access_token", data=body)
            assert answer.status_code == 200
            return answer.json()

        assert (await poll())["error"] == "authorization_pending"
        slower = await poll()
        assert (slower["error"], slower["interval"]) == ("slow_down", 10)
        clock.advance(10)
        world.decide_device(begun["user_code"])
        token = (await poll())["access_token"]
        assert (await poll())["error"] == "incorrect_device_code"
        answer = await client.get(f"{world.github_api_base}/user", headers={"authorization": f"token {token}"})
        assert answer.json()["login"]


@pytest.mark.parametrize(("approved", "wait_s", "error"), [(False, 0, "access_denied"), (True, 901, "expired_token")])
async def test_a_device_sign_in_can_end_badly(approved: bool, wait_s: int, error: str) -> None:
    clock = FakeClock()
    async with ModelWorld(clock=clock) as world, http() as client:
        begun = (await client.post(f"{world.github_base}/login/device/code", json={"client_id": GITHUB_CLIENT})).json()
        world.decide_device(begun["user_code"], approved=approved)
        clock.advance(wait_s)
        body = {"client_id": GITHUB_CLIENT, "device_code": begun["device_code"], "grant_type": DEVICE_GRANT}
        assert (await client.post(f"{world.github_base}/login/oauth/access_token", json=body)).json()["error"] == error


async def test_copilot_wants_a_live_token_and_an_editor(tmp_path) -> None:
    clock = FakeClock()
    async with ModelWorld(clock=clock) as world, http() as client:
        world.seed_credentials(copilot=tmp_path / "gh")
        github = {"authorization": f"token {(tmp_path / 'gh').read_text()}"}
        exchanged = (await client.get(f"{world.github_api_base}/copilot_internal/v2/token", headers=github)).json()
        assert exchanged["endpoints"]["api"] == world.copilot_base
        headers = {"authorization": f"Bearer {exchanged['token']}", "editor-version": "vscode/1"}
        headers["copilot-integration-id"] = "vscode-chat"

        async def chat(headers: dict, model: str = "gpt-4o") -> httpx.Response:
            body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
            return await client.post(f"{world.copilot_base}/chat/completions", json=body, headers=headers)

        answer = await chat(headers)
        assert answer.json()["choices"][0]["message"]["content"] == "echo: hi"
        assert (await chat({**headers, "authorization": "Bearer ghu_x"})).status_code == 401
        assert "Editor-Version" in (await chat({k: v for k, v in headers.items() if k != "editor-version"})).text
        for model, code in (("gpt-5.1-codex", "unsupported_api_for_model"), ("gpt-9", "model_not_supported")):
            assert (await chat(headers, model)).json()["error"]["code"] == code
        clock.advance(31 * 60)
        assert (await chat(headers)).text == "unauthorized: token expired\n"


async def test_the_request_log_hides_credentials(tmp_path) -> None:
    async with ModelWorld() as world, http() as client:
        login = claude_login(world, tmp_path)
        await messages(world, client, {**OAUTH, "authorization": f"Bearer {login['accessToken']}"})
        body = {"grant_type": "refresh_token", "refresh_token": login["refreshToken"], "client_id": CLAUDE_CLIENT}
        await client.post(world.claude_token_url, json=body)
        shown = repr(world.requests)
        assert login["accessToken"] not in shown
        assert login["refreshToken"] not in shown
        assert [entry.op for entry in world.requests] == ["messages", "token"]
        assert world.requests[0].body["messages"][0]["content"] == "hi"


async def test_seeded_files_are_private(tmp_path) -> None:
    async with ModelWorld() as world:
        paths = {name: tmp_path / "logins" / name for name in ("claude", "codex", "copilot")}
        world.seed_credentials(**paths)
        assert {stat.S_IMODE(path.stat().st_mode) for path in paths.values()} == {0o600}


FAULTS = [
    (Fault(upstream="claude", op="messages", kind="status", status=529, headers={"x-a": "b"}, body={"e": 1}), 529),
    (Fault(upstream="claude", op="messages", kind="edge_page"), 403),
    (Fault(upstream="claude", op="messages", kind="token_revoked"), 401),
    (Fault(upstream="claude", op="messages", kind="malformed"), 200),
]


@pytest.mark.parametrize(("fault", "status"), FAULTS, ids=lambda value: getattr(value, "kind", ""))
async def test_a_scripted_fault_strikes_once(tmp_path, fault: Fault, status: int) -> None:
    async with ModelWorld(faults=FaultPlan.of([fault])) as world, http() as client:
        headers = {**OAUTH, "authorization": f"Bearer {claude_login(world, tmp_path)['accessToken']}"}
        answer = await messages(world, client, headers)
        assert answer.status_code == status
        if fault.kind == "malformed":
            with pytest.raises(ValueError, match="Expecting"):
                answer.json()
        again = await messages(world, client, headers)
        assert again.status_code == (401 if fault.kind == "token_revoked" else 200)


async def test_a_lost_answer_leaves_the_refresh_done(tmp_path) -> None:
    fault = Fault(upstream="claude", op="token", kind="reset", applied=True)
    async with ModelWorld(faults=FaultPlan.of([fault])) as world, http() as client:
        login = claude_login(world, tmp_path)
        body = {"grant_type": "refresh_token", "refresh_token": login["refreshToken"], "client_id": CLAUDE_CLIENT}
        with pytest.raises(httpx.HTTPError):
            await client.post(world.claude_token_url, json=body)
        assert (await client.post(world.claude_token_url, json=body)).json()["error"] == "invalid_grant"


async def test_clock_skew_moves_the_told_expiry(tmp_path) -> None:
    fault = Fault(upstream="github", op="copilot.token", kind="clock_skew", body={"seconds": -7200})
    clock = FakeClock()
    async with ModelWorld(faults=FaultPlan.of([fault]), clock=clock) as world, http() as client:
        world.seed_credentials(copilot=tmp_path / "gh")
        github = {"authorization": f"token {(tmp_path / 'gh').read_text()}"}
        told = (await client.get(f"{world.github_api_base}/copilot_internal/v2/token", headers=github)).json()
        assert told["expires_at"] < clock.now().timestamp()


async def test_a_stalled_call_that_is_given_up_is_marked(tmp_path) -> None:
    stall = Fault(upstream="claude", op="messages", kind="stall", body={"seconds": 30})
    async with ModelWorld(faults=FaultPlan.of([stall])) as world, http() as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post(f"{world.claude_base}/v1/messages", json={}, timeout=0.05)
        async with asyncio.timeout(2):
            while not world.requests[0].client_gone:
                await asyncio.sleep(0.005)


async def test_a_taken_port_is_named() -> None:
    async with ModelWorld() as world:
        port = int(world.claude_base.split(":")[2].split("/")[0])
        with pytest.raises(Occupied, match=str(port)):
            await ModelWorld(port=port).start()

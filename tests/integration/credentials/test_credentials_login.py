"""Signing in: what is pasted, what the edge does, and that a mistake never costs the login or what was stored."""

from __future__ import annotations

import asyncio
import json
import stat
import subprocess

import pytest

from gateway.sandbox.faults import Fault
from shared.errors import GatewayError, Invalid, NotFound, Unavailable
from shared.oauth.models import LoginNeeded

EDGE = Fault(upstream="claude", op="token", kind="edge_page", nth="*")


async def test_a_claude_login_ends_in_claudes_own_file(desk, tmp_path) -> None:
    async with desk(tmp_path, seed=False) as d:
        sign_ins = d.sign_ins()
        begun = await sign_ins.begin("claude")
        assert begun["url"].startswith("https://claude.ai/oauth/authorize?")
        code, state = d.approve(begun["url"])
        done = await sign_ins.complete("claude", "gateway", f"{code}#{state}")
        assert (done["done"], done["account"], done["can_refresh"]) == (True, "owner@sandbox.invalid", True)
        assert stat.S_IMODE(d.claude_file.stat().st_mode) == 0o600
        assert (await d.credentials(sign_ins).headers_for("claude")).kind == "oauth"
        sent = d.world.of("claude", "token")[0]
        assert sent.headers["content-type"] == "application/json"
        assert sent.headers["user-agent"] == "node"
        with pytest.raises(NotFound, match="no claude login is in progress"):
            await sign_ins.complete("claude", "gateway", f"{code}#{state}")


async def test_a_codex_login_tells_account_and_plan_and_may_end_in_another_process(desk, tmp_path) -> None:
    async with desk(tmp_path, seed=False) as d:
        begun = await d.sign_ins().begin("codex")
        assert "id_token_add_organizations=true" in begun["url"]
        code, state = d.approve(begun["url"])
        redirect = f"http://localhost:1455/auth/callback?code={code}&scope=openid&state={state}"
        done = await d.sign_ins().complete("codex", "gateway", redirect)
        assert (done["account"], done["plan"]) == ("owner@sandbox.invalid", "plus")
        status = {line["provider"]: line for line in await d.sign_ins().status()}["codex"]
        assert (status["health"], status["place"]) == ("ok", "vault:gateway/codex")
        assert status["last_refresh"] == d.clock.now().isoformat()
        assert status["next_refresh"] < status["expires_at"]


@pytest.mark.parametrize(
    ("pasted", "why"), [("CODE#other", "another login"), ("", "nothing was pasted"), ("{half", "not whole")]
)
async def test_a_slip_in_pasting_does_not_cost_the_login(desk, tmp_path, pasted: str, why: str) -> None:
    async with desk(tmp_path) as d:
        before = d.claude_file.read_bytes()
        sign_ins = d.sign_ins()
        begun = await sign_ins.begin("claude")
        code, state = d.approve(begun["url"])
        with pytest.raises(Invalid, match=why):
            await sign_ins.complete("claude", "gateway", pasted.replace("CODE", code))
        assert d.claude_file.read_bytes() == before
        assert d.refreshes() == 0
        assert (await sign_ins.complete("claude", "gateway", f"{code}#{state}"))["done"]


async def test_a_no_in_the_browser_and_a_used_code_end_the_login(desk, tmp_path) -> None:
    async with desk(tmp_path) as d:
        sign_ins = d.sign_ins()
        before = d.claude_file.read_bytes()
        for pasted in ("http://localhost/?error=access_denied", "some-used-code"):
            await sign_ins.begin("claude")
            with pytest.raises(LoginNeeded, match="clawgate auth login claude"):
                await sign_ins.complete("claude", "gateway", pasted)
            with pytest.raises(NotFound):
                await sign_ins.resume("claude", "gateway")
        assert d.claude_file.read_bytes() == before


async def test_a_login_lives_ten_minutes_in_a_private_file(desk, tmp_path) -> None:
    async with desk(tmp_path) as d:
        sign_ins = d.sign_ins()
        await sign_ins.begin("claude")
        [file] = (d.paths.gateway / "vault").glob(".*.login")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        d.clock.advance(601)
        with pytest.raises(NotFound, match="took too long"):
            await sign_ins.complete("claude", "gateway", "the-code")
        assert not file.exists()


async def test_behind_the_edge_a_node_command_does_the_exchange_and_its_json_is_pasted(desk, tmp_path) -> None:
    async with desk(tmp_path, Fault(upstream="claude", op="token", kind="edge_page"), seed=False) as d:
        sign_ins = d.sign_ins()
        code, state = d.approve((await sign_ins.begin("claude"))["url"])
        blocked = await sign_ins.complete("claude", "gateway", f"{code}#{state}")
        assert (blocked["done"], "edge answered 403" in blocked["detail"]) == (False, True)
        command = blocked["node_command"]
        assert code not in command.partition("<<")[0], "the code is not on the command line, where others see it"
        ran = await asyncio.to_thread(
            subprocess.run, ["bash", "-c", command], capture_output=True, text=True, timeout=20
        )
        done = await sign_ins.complete("claude", "gateway", ran.stdout)
        assert (done["done"], done["account"]) == (True, "owner@sandbox.invalid")
        assert d.stored()["accessToken"]


async def test_behind_the_edge_a_refresh_can_go_through_node_as_well(desk, tmp_path) -> None:
    async with desk(tmp_path) as d:
        d.transport = "node"
        keeper = d.keeper()
        old = d.stored()["accessToken"]
        d.clock.advance(9 * 3600)
        assert (await keeper.token()).access.reveal() == d.stored()["accessToken"] != old
        assert "node" in d.world.of("claude", "token")[0].headers["user-agent"]


async def test_what_node_brought_from_the_edge_is_told_as_such(desk, tmp_path) -> None:
    async with desk(tmp_path, EDGE) as d:
        sign_ins = d.sign_ins()
        await sign_ins.begin("claude")
        with pytest.raises(Unavailable, match="does not let this client through"):
            await sign_ins.complete("claude", "gateway", json.dumps({"status": 403, "body": "<html>"}))


async def test_signing_out_tells_the_provider_and_keeps_the_rest_of_the_file(desk, tmp_path) -> None:
    async with desk(tmp_path) as d:
        d.claude_file.write_text(json.dumps(json.loads(d.claude_file.read_text()) | {"mcpOAuth": {}}))
        refresh = d.stored()["refreshToken"]
        sign_ins = d.sign_ins()
        assert (await sign_ins.logout("claude", "gateway"))["problem"] == ""
        assert json.loads(d.claude_file.read_text()) == {"mcpOAuth": {}}
        assert d.world.tokens.known(refresh).revoked
        assert (await sign_ins.status())[0]["health"] == "missing"


async def test_signing_out_works_while_the_provider_is_down(desk, tmp_path) -> None:
    async with desk(tmp_path, Fault(upstream="claude", op="token.revoke", kind="reset")) as d:
        assert "cut" in (await d.sign_ins().logout("claude", "gateway"))["problem"]
        assert "claudeAiOauth" not in json.loads(d.claude_file.read_text())


async def test_profiles_of_openclaw_are_taken_over(desk, tmp_path) -> None:
    async with desk(tmp_path) as d:
        tokens = json.loads(d.codex_file.read_text())["tokens"]
        profile = {"type": "oauth", "provider": "openai-codex", "access": tokens["access_token"], "accountId": "acc"}
        profiles = {
            "github-copilot:github": {"type": "token", "provider": "github-copilot", "token": "ghu_x"},
            "openai-codex:default": profile | {"refresh": tokens["refresh_token"], "expires": 1_800_000_000_000},
        }
        sign_ins = d.sign_ins()
        done = await sign_ins.take("codex", "gateway", json.dumps({"version": 1, "profiles": profiles}))
        assert (done["account"], done["plan"]) == ("owner@sandbox.invalid", "plus")
        token = await sign_ins.refresher.keeper("codex").token()
        assert token.extra["account_id"] == "acc"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"tokens": {}}',
        '{"tokens": {"access_token": ""}}',
        '{"profiles": {}}',
        '{"profiles": [1]}',
        "[" * 9000,
    ],
)
async def test_a_file_without_a_sign_in_is_refused_and_changes_nothing(desk, tmp_path, text: str) -> None:
    async with desk(tmp_path) as d:
        sign_ins = d.sign_ins()
        await sign_ins.take("codex", "gateway", d.codex_file.read_text())
        before = await sign_ins.refresher.keeper("codex").peek()
        with pytest.raises(Invalid, match=r"Nothing was changed|no refresh token"):
            await sign_ins.take("codex", "gateway", text)
        after = await d.keeper("codex").peek()
        assert after.access.reveal() == before.access.reveal()


async def test_a_broken_file_of_claude_is_left_alone_by_everything_but_a_person(desk, tmp_path) -> None:
    async with desk(tmp_path) as d:
        d.claude_file.write_text('{"claudeAiOauth": {"accessToken": "canary", "expiresAt": "soon"')
        before = d.claude_file.read_bytes()
        sign_ins = d.sign_ins()
        await sign_ins.refresher.keeper("claude").tick()
        line = (await sign_ins.status())[0]
        assert line["health"] == "unreadable"
        assert "canary" not in line["detail"]
        for work in (sign_ins.refresh("claude", "gateway"), sign_ins.logout("claude", "gateway")):
            with pytest.raises(GatewayError, match="left as it is"):
                await work
        assert d.claude_file.read_bytes() == before
        assert (await d.credentials(sign_ins).headers_for("claude")).kind == "api_key"


async def test_whose_a_sign_in_is_is_said_when_it_was_asked_for_wrongly(desk, tmp_path) -> None:
    async with desk(tmp_path) as d:
        sign_ins = d.sign_ins(tenants={"nanoclaw": "nanoclaw", "openclaw": "openclaw"})
        with pytest.raises(NotFound, match="once for all tenants: leave out --tenant nanoclaw"):
            await sign_ins.begin("claude", "nanoclaw")
        with pytest.raises(NotFound, match="add --tenant nanoclaw or --tenant openclaw"):
            await sign_ins.begin("threads")
        with pytest.raises(NotFound, match="known: claude, codex, copilot, instagram --tenant nanoclaw, threads"):
            await sign_ins.begin("claud")

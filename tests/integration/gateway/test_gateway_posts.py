"""Posting as the operator and as a tenant's agent reach it: a real gateway, its sockets, emulated networks."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.app import running_gateway
from gateway.broker.auth import hash_key
from gateway.cli import main as command
from gateway.sandbox.meta import MetaWorld
from gateway.sandbox.meta.posts import Container
from gateway.settings import Settings
from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file
from shared.errors import GatewayError, Invalid, NotFound
from shared.gatewayclient import GatewayClient
from shared.gatewayclient.models import PostRequest
from shared.secrets.files import Secret, write_private
from tests.support.offline_settings import write_offline_settings

RULES = {"tenants": {"nanoclaw": {"threads": {"groups": ["main"], "mode": "approval"}}}}


def a_post(text: str, group: str = "main", **more) -> PostRequest:
    return PostRequest.model_validate({"content": {"network": "threads", "text": text}, "group": group, **more})


class House:
    def __init__(self, gateway, client: GatewayClient, meta: MetaWorld, paths: Paths) -> None:
        self.gateway, self.client, self.meta, self.paths = gateway, client, meta, paths

    async def posts(self, *words: str) -> tuple[int, dict]:
        """Run ``clawgate posts …``."""
        return await asyncio.to_thread(self._posts, words)

    def _posts(self, words: tuple[str, ...]) -> tuple[int, dict]:
        argv = [sys.executable, "-m", "gateway.cli.main", "posts", *words, "--state", str(self.paths.state), "--json"]
        env = {**os.environ, "CLAWGATE_RUNTIME": str(self.paths.runtime)}
        done = subprocess.run(argv, capture_output=True, text=True, env=env, check=False)
        return done.returncode, json.loads(done.stdout) if done.stdout.strip() else {"stderr": done.stderr}

    async def settled(self, post_id: str, *states: str) -> dict:
        for _ in range(300):
            code, shown = await self.posts("show", post_id)
            assert code == 0, shown
            if shown["state"] in states:
                return shown
            await asyncio.sleep(0.2)
        raise AssertionError(shown)


@pytest.fixture
async def house(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("p")
    paths = Paths(state=folder / "s", runtime=folder / "r")
    async with MetaWorld() as meta:
        app = meta.new_app("threads", "https://localhost:3000/callback")
        write_offline_settings(paths)
        overlay_file(operator_file("oauth", paths), {"threads": meta.endpoints("threads")})
        oembed = {"threads": f"{meta.base('threads')}/v1.0/oembed"}
        overlay_file(operator_file("social", paths), {**RULES, "oembed": oembed})
        write_private(paths.env_file, f"THREADS_APP_ID={app.app_id}\nTHREADS_APP_SECRET={app.secret}\n")
        async with running_gateway(Settings.load(paths)) as gateway:
            asked = await gateway.sign_ins.begin("threads", "nanoclaw")
            await gateway.sign_ins.complete("threads", "nanoclaw", meta.allow("threads", asked["url"]))
            key = secrets.token_hex(16)
            await gateway.op_tenant_key({"tenant": "nanoclaw", "sha256": hash_key(key), "uid": os.geteuid()})
            client = GatewayClient(paths.tenant_socket("nanoclaw"), Secret(key))
            yield House(gateway, client, meta, paths)
            await client.close()


async def test_an_agents_post_waits_for_the_operator_and_comes_back_with_its_permalink(house: House) -> None:
    assert (await house.client.startup()).posting == {"threads": ("main",)}
    info = await house.client.publish_post(a_post("From the agent", idempotency_key="run1.publish_post1"))
    assert (info.state, info.is_new) == ("awaiting_approval", True)
    repeated = await house.client.publish_post(a_post("From the agent", idempotency_key="run1.publish_post1"))
    assert (repeated.id, repeated.is_new) == (info.id, False)

    notice = await told(house)
    assert "From the agent" in notice
    assert f"clawgate posts approve {info.id} --state" in notice

    code, listed = await house.posts("list", "--only", "awaiting_approval")
    assert (code, [post["id"] for post in listed["posts"]]) == (0, [info.id])
    code, approved = await house.posts("approve", info.id, "--digest", info.digest)
    assert (code, approved["approved_by"]) == (0, "operator")
    shown = await house.settled(info.id, "published")
    seen = await house.client.post(info.id, "main")
    assert seen.state == "published"
    assert [post.text for post in house.meta.posts.posts("threads")] == ["From the agent"]
    assert shown["history"][0]["state"] == "awaiting_approval"
    with pytest.raises(NotFound):
        await house.client.post(info.id, "other")
    assert await house.client.posts("other") == []


async def test_an_agent_asks_how_a_post_is_embedded(house: House) -> None:
    with pytest.raises(Invalid, match="no address of a public post"):
        await house.client.embed_post("https://example.org/x")
    live = house.meta.posts.put_online(Container("x", "threads", "TEXT", "shown <b>", datetime.now(UTC)))
    for is_token_wanted in (False, True):
        house.meta.posts.behaviour.embed_token = is_token_wanted
        shown = await house.client.embed_post(f"https://www.threads.com/@me/post/{live.media_id}")
        assert "shown &lt;b&gt;" in shown.html
    with pytest.raises(GatewayError):
        await house.client.embed_post("https://www.threads.com/t/ABC")


async def test_refusals_reach_an_agent_with_their_codes(house: House) -> None:
    for request, code in (
        (a_post("x", group="lab"), "posting_not_allowed"),
        (a_post("y" * 501), "text_too_long"),
        (a_post("TH" + "a1" * 40), "secret_in_content"),
        (a_post("no group", group=""), "invalid"),
    ):
        with pytest.raises(Invalid) as caught:
            await house.client.publish_post(request)
        assert caught.value.code == code
    assert await house.client.posts("main") == []


async def test_the_command_in_all_its_parts(house: House) -> None:
    to = ("--tenant", "nanoclaw", "--network", "threads")
    code, tried = await house.posts("submit", *to, "--text", "Hello", "--dry-run")
    assert (code, tried["state"], tried["id"]) == (0, "dry_run_ok", "")
    code, made = await house.posts("submit", *to, "--text", "Hello", "--at", "2099-05-01T09:00+02:00")
    assert code == 2
    assert made["code"] == "invalid_field"
    code, made = await house.posts("submit", *to, "--text", "Hello", "--idempotency-key", "k")
    assert (code, made["state"]) == (0, "awaiting_approval")
    code, again = await house.posts("submit", *to, "--text", "Hello!", "--idempotency-key", "k")
    assert (code, again["code"]) == (2, "idempotency_conflict")
    code, twin = await house.posts("submit", *to, "--text", "Hello")
    assert (code, twin["code"]) == (2, "duplicate_content")
    code, refused = await house.posts("reject", made["id"], "--reason", "no")
    assert (code, refused["state"]) == (0, "rejected")
    code, late = await house.posts("approve", made["id"])
    assert (code, late["code"]) == (1, "social.state")
    code, second = await house.posts("submit", *to, "--text", "Hello again")
    code, _ = await house.posts("schedule", second["id"], "2026-12-31T09:00")
    assert code == 2
    code, gone = await house.posts("cancel", second["id"])
    assert (code, gone["state"]) == (0, "cancelled")
    code, unsettled = await house.posts("resolve", second["id"], "--posted", "yes")
    assert (code, unsettled["code"]) == (1, "social.state")
    code, missing = await house.posts("retry", "post_nothing")
    assert (code, missing["code"]) == (1, "social.unknown")
    assert (await house.posts("hold"))[1] == {"held_by": "operator"}
    assert (await house.posts("list"))[1]["held_by"] == "operator"
    assert (await house.posts("release"))[1] == {"held_by": ""}
    assert house.meta.posts.posts("threads") == []


async def told(house: House) -> str:
    for _ in range(50):
        recent = await house.gateway.notices.recent(5)
        if found := [notice.text for notice in recent if notice.kind == "post_waiting"]:
            return found[0]
        await asyncio.sleep(0.05)
    raise AssertionError("nobody was told")


def test_the_command_says_so_when_nothing_runs(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["clawgate", "posts", "list", "--state", str(tmp_path / "s")])
    with pytest.raises(SystemExit) as stopped:
        command.main()
    assert stopped.value.code == 69
    assert "clawgate up" in capsys.readouterr().err

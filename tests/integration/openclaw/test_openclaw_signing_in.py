"""Signing in from the tenant's own container: steps go through its socket, tokens stay in the gateway."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from openclaw_house import house

from gateway.app import Gateway, running_gateway
from gateway.broker.auth import hash_key
from gateway.sandbox.models import ModelWorld
from gateway.settings import Settings
from shared.config.paths import Paths
from shared.config.process import KEY_SOCKET
from shared.errors import Denied, Invalid, NotFound
from shared.gatewayclient import GatewayClient
from shared.http.unixclient import UnixClient
from shared.secrets.files import Secret
from tests.support.offline_settings import sign_ins_in, write_offline_settings

CODE = r"\b[A-Z0-9]{4}-[A-Z0-9]{4}\b"


@dataclass
class Place:
    """A gateway whose providers are emulators, and a tenant's way to it."""

    paths: Paths
    world: ModelWorld
    gateway: Gateway

    async def key(self, tenant: str) -> str:
        key = secrets.token_hex(16)
        await self.gateway.op_tenant_key({"tenant": tenant, "sha256": hash_key(key), "uid": os.geteuid()})
        return key

    @asynccontextmanager
    async def client(self, tenant: str = "openclaw") -> AsyncIterator[GatewayClient]:
        client = GatewayClient(self.paths.tenant_socket(tenant), Secret(await self.key(tenant)))
        yield client
        await client.close()

    def redirect(self, url: str) -> str:
        """Play the person in the browser: the address that it ends on."""
        query = parse_qs(urlsplit(url).query)
        code = self.world.tokens.issue_code(query["code_challenge"][0])
        return f"http://localhost:1455/auth/callback?code={code}&state={query['state'][0]}"

    async def token(self, provider: str) -> str:
        token = await self.gateway.sign_ins.keeper_of(provider).peek()
        return token.access.reveal() if token else ""

    def sign_ins_noted(self) -> list[tuple[str, str]]:
        made = [event for event in self.gateway.audit.chain.rows() if event["kind"] == "sign_in.made"]
        return [(event["actor"], event["subject"]) for event in made]


@pytest.fixture
async def place(paths: Paths) -> AsyncIterator[Place]:
    async with ModelWorld() as world:
        write_offline_settings(paths, credentials=sign_ins_in(paths.state))
        paths.policies.mkdir(parents=True, exist_ok=True)
        (paths.policies / "oauth.toml").write_text(
            f'[codex]\nissuer = "{world.openai_auth_base}"\n'
            f'[copilot]\nlogin_base = "{world.github_base}"\napi_base = "{world.github_api_base}"\n'
        )
        async with running_gateway(Settings.load(paths)) as gateway:
            yield Place(paths, world, gateway)


async def types(place: Place, *words: str, answer: Callable[[str], str | None]) -> tuple[int, str]:
    """Run `openclaw` as in the container; `answer` is told what it printed so far and gives the line typed."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "openclaw.cli", *words),
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path.cwd()),
            "CLAWGATE_STATE": str(place.paths.state),
            "CLAWGATE_RUNTIME": str(place.paths.runtime),
            KEY_SOCKET: "/nowhere/key.sock",
        },
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = ""
    async with asyncio.timeout(30):
        while (typed := answer(said)) is None:
            read = (await child.stdout.read(4096)).decode()
            assert read, said
            said += read
        rest, _ = await child.communicate(typed.encode())
    return child.returncode, said + rest.decode()


async def test_the_documents_two_lines_sign_in_and_the_token_stays_in_the_gateway(place: Place) -> None:
    def paste(said: str) -> str | None:
        url = re.search(r"http\S+/oauth/authorize\S+", said)
        return f"{place.redirect(url[0])}\n" if url else None

    def allow(said: str) -> str | None:
        if (code := re.search(CODE, said)) is None:
            return None
        place.world.decide_device(code[0], approved=True)
        return ""

    async with place.client() as client, house(place.paths, sign_in_gateway=client):
        onboard = ("onboard", "--auth-choice", "openai-codex", "--accept-risk")
        code, codex = await types(place, *onboard, answer=paste)
        assert (code, "codex: signed in as owner@sandbox.invalid (plus)" in codex) == (0, True), codex
        code, copilot = await types(place, "models", "auth", "login-github-copilot", answer=allow)
        assert (code, "copilot: signed in" in copilot) == (0, True), copilot

        code, nothing = await types(place, *onboard, answer=lambda said: "" if "authorize" in said else None)
        assert (code, "docker compose exec gateway clawgate auth login codex --resume" in nothing) == (2, True)
        code, wrong = await types(place, *onboard, answer=lambda said: "code#other\n" if "authorize" in said else None)
        assert (code, "another login" in wrong) == (2, True)

    tokens = [await place.token("codex"), await place.token("copilot")]
    assert all(tokens)
    assert not [token for token in tokens if token in codex + copilot]
    own = [file.read_bytes() for file in (place.paths.state / "openclaw").rglob("*") if file.is_file()]
    assert not [token for token in tokens for content in own if token.encode() in content]
    assert place.sign_ins_noted() == [("openclaw", "codex"), ("openclaw", "copilot")]


async def test_no_answer_of_the_socket_holds_more_than_a_person_needs(place: Place) -> None:
    headers = {"authorization": f"Bearer {await place.key('openclaw')}"}
    raw = UnixClient(place.paths.tenant_socket("openclaw"), headers=headers, server="it")

    async def ask(provider: str, step: str, **body: str) -> dict:
        status, answer = await raw.request("POST", f"/v1/sign-ins/{provider}/{step}", json=body or None, timeout_s=20)
        assert status == 200, answer
        return json.loads(answer)

    begun = {"provider", "flow", "url", "instructions", "user_code", "interval_s", "expires_at"}
    step = {"done", "wait_s", "account", "plan", "expires_at"}
    codex = await ask("codex", "begin")
    assert codex.keys() == begun
    made = await ask("codex", "complete", pasted=place.redirect(codex["url"]))
    assert (made.keys(), made["done"], made["account"]) == (step, True, "owner@sandbox.invalid")
    copilot = await ask("copilot", "begin")
    assert copilot.keys() == begun
    waiting = await ask("copilot", "poll")
    assert (waiting.keys(), waiting["done"]) == (step, False)
    place.world.decide_device((again := await ask("copilot", "begin"))["user_code"], approved=True)
    done = await ask("copilot", "poll")
    assert (done.keys(), done["done"]) == (step, True)
    answers = json.dumps([codex, made, copilot, waiting, again, done])
    for provider in ("codex", "copilot"):
        assert await place.token(provider) not in answers
    await raw.close()


@pytest.mark.parametrize(
    ("tenant", "provider"),
    [
        ("openclaw", "claude"),
        ("openclaw", "threads"),
        ("openclaw", "../codex"),
        ("nanoclaw", "codex"),
        ("nanoclaw", "copilot"),
        ("nanoclaw", "claude"),
    ],
)
async def test_what_is_not_its_own_is_refused_at_every_step(place: Place, tenant: str, provider: str) -> None:
    begun = await place.gateway.sign_ins.begin("codex")
    async with place.client(tenant) as client:
        for step in (
            client.begin_sign_in(provider),
            client.complete_sign_in(provider, place.redirect(begun["url"])),
            client.poll_sign_in(provider),
        ):
            with pytest.raises((Denied, NotFound)) as refused:
                await step
            assert refused.value.code in {"sign_in.not_its_own", "not_found"}
    assert await place.token("codex") == ""
    assert place.sign_ins_noted() == []


async def test_a_paste_too_long_for_any_code_is_refused(place: Place) -> None:
    async with place.client() as client:
        await client.begin_sign_in("codex")
        with pytest.raises(Invalid):
            await client.complete_sign_in("codex", "x" * 16_384)

"""A revoked sign-in reaches the owner's chat: real gateway, real tenant processes, the emulated Claude and Discord."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.sandbox.options import SandboxOptions
from gateway.sandbox.run import Sandbox, running_sandbox
from gateway.sandbox.seed import CredentialPaths
from shared.http.client import http_client
from shared.lifecycle.control import RemoteError, call

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(180)]


async def ask(sandbox: Sandbox, process: str, op: str, **params: Any) -> Any:
    return await asyncio.to_thread(call, sandbox.paths.control_socket(process), op, timeout_s=60.0, **params)


async def restart(sandbox: Sandbox, name: str) -> None:
    await ask(sandbox, "up", "restart", name=name)
    async with asyncio.timeout(60):
        while {p["name"]: p["state"] for p in await ask(sandbox, "up", "status")}[name] != "ready":
            await asyncio.sleep(0.05)


async def said(sandbox: Sandbox) -> list[str]:
    """What NanoClaw's bot has said in the channel."""
    discord = sandbox.ready["discord"]
    headers = {"authorization": discord["user_token"]}
    async with http_client(base_url=discord["api_base"], headers=headers, timeout_s=10.0) as http:
        answer = await http.get(f"/channels/{discord['channel_id']}/messages", params={"limit": 100})
    bot = sandbox.ready["nanoclaw"]["bot_id"]
    return [m["content"] for m in reversed(answer.json()) if m["author"]["id"] == bot]


async def end_the_sign_in(sandbox: Sandbox) -> None:
    """Revoke the refresh token at the provider; the next refresh gets the final no."""
    file = CredentialPaths.of(sandbox.paths).claude
    sandbox.models.tokens.revoke(json.loads(file.read_text())["claudeAiOauth"]["refreshToken"])
    with pytest.raises(RemoteError, match="clawgate auth login claude"):
        await ask(sandbox, "gateway", "auth_refresh", provider="claude")


async def until_said(sandbox: Sandbox, count: int) -> list[str]:
    async with asyncio.timeout(60):
        while len(texts := await said(sandbox)) < count:
            await asyncio.sleep(0.05)
    return texts


async def test_a_revoked_refresh_token_is_told_once_in_the_main_chat_and_not_again_after_restarts(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder: Path = tmp_path_factory.mktemp("nt")
    options = SandboxOptions.parse(state=folder / "state", port_base=0, quiet=True)
    async with running_sandbox(options) as sandbox:
        await end_the_sign_in(sandbox)
        async with asyncio.timeout(30):
            # The chat is not there yet: the notice waits, and says why.
            while "no main group" not in await listed(folder / "state"):
                await asyncio.sleep(0.1)
        chat = f"dc:{sandbox.ready['discord']['channel_id']}"
        await ask(sandbox, "nanoclaw", "groups.register", folder="main", chat=chat)
        await restart(sandbox, "nanoclaw")
        (first,) = await until_said(sandbox, 1)
        assert "Claude" in first
        assert "somebody has to sign in again" in first
        assert f"`clawgate auth login claude --state {folder / 'state'}`" in first

        for name in ("nanoclaw", "gateway"):
            await restart(sandbox, name)
        with contextlib.suppress(RemoteError):
            await ask(sandbox, "gateway", "auth_refresh", provider="claude")
        # Another sign-in, and its end: what the first notice would have repeated stands before this one.
        sandbox.models.seed_credentials(claude=CredentialPaths.of(sandbox.paths).claude)
        await end_the_sign_in(sandbox)
        texts = await until_said(sandbox, 2)
        assert len(texts) == 2
        assert all("somebody has to sign in again" in text for text in texts)
        async with asyncio.timeout(30):
            while "waiting" in await listed(folder / "state"):
                await asyncio.sleep(0.1)
        assert (await listed(folder / "state")).count(f"told in {chat} by nanoclaw") == 2


async def listed(state: Path) -> str:
    """``clawgate notices list`` as a person runs it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "gateway.cli.main", "notices", "list", "--state", str(state)),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    return out.decode()

"""What the same thing costs without us: a bare container, a direct call of the upstream."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import time
import tomllib
from typing import Any

from gateway.sandbox.run import Sandbox
from gateway.sandbox.seed import CredentialPaths
from gateway.workers.docker_engine import open_client
from shared.config.toml import operator_file
from shared.http.client import http_client
from shared.lifecycle.control import call

IMAGE = "nanoclaw-agent:latest"


async def bare_container_ms(sandbox: Sandbox, samples: int = 5) -> tuple[float, float]:
    """Medians: our worker's start as the gateway measured it, and `docker run` of the same image."""
    assert sandbox.discord is not None
    world, cast = sandbox.discord.emulator.world, sandbox.discord.cast
    owner = world.find_user("owner")
    assert owner is not None
    ours = []
    for number in range(samples):
        await asyncio.to_thread(call, sandbox.paths.control_socket("nanoclaw"), "workers.stop_all")
        await asyncio.sleep(0.5)
        position, text = world.log_position, f"cold {number} {time.monotonic_ns()}"
        await world.say(owner, int(cast.channel_id), f"<@{cast.bots['nanoclaw']}> {text}")
        await world.wait_for(
            lambda record, text=text: text in json.dumps(record.data, ensure_ascii=False), 60.0, after=position
        )
        status = await asyncio.to_thread(call, sandbox.paths.control_socket("gateway"), "status")
        ours += [worker["start_ms"] for worker in status["workers"] if worker["start_ms"]]
    bare = await asyncio.to_thread(_docker_run_ms, engine_host(sandbox), samples)
    return statistics.median(ours), bare


def engine_host(sandbox: Sandbox) -> str:
    """Address of the engine the sandbox uses."""
    policy = tomllib.loads(operator_file("gateway", sandbox.paths).read_text())
    return str(policy["engine"]["host"])


def _docker_run_ms(host: str, samples: int) -> float:
    times = []
    for _ in range(samples):
        start = time.monotonic()
        done = subprocess.run(
            ["docker", "-H", host, "run", "-d", "--network", "none", "--entrypoint", "sleep", IMAGE, "60"],
            check=True,
            capture_output=True,
            text=True,
        )
        times.append((time.monotonic() - start) * 1000)
        subprocess.run(["docker", "-H", host, "rm", "-f", done.stdout.strip()], check=True, capture_output=True)
    return statistics.median(times)


def bare_unpause_ms(host: str, samples: int) -> list[float]:
    """How long the engine takes to let a paused `sleep` go on, asked through its SDK."""
    client = open_client(host, limit_s=30)
    container = client.create_container(IMAGE, entrypoint=["sleep"], command=["600"], network_disabled=True)["Id"]
    try:
        client.start(container)
        times = []
        for _ in range(samples):
            client.pause(container)
            start = time.monotonic()
            client.unpause(container)
            times.append((time.monotonic() - start) * 1000)
        return times
    finally:
        client.remove_container(container, force=True)
        client.close()


async def direct_upstream_ms(sandbox: Sandbox, samples: int) -> tuple[list[float], list[float]]:
    """Chat completions through our model API and directly at the Copilot emulator, turn by turn."""
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "bench"}]}
    direct_headers = await _copilot_headers(sandbox)
    through, direct = [], []
    ours = http_client(base_url=sandbox.ready["copilot_api"]["url"])
    theirs = http_client(base_url=sandbox.models.copilot_base, headers=direct_headers)
    async with ours, theirs:
        for _ in range(samples):
            through.append(await _post_ms(ours, "/v1/chat/completions", body))
            direct.append(await _post_ms(theirs, "/chat/completions", body))
    return through[5:], direct[5:]


async def _post_ms(client: Any, path: str, body: dict[str, Any]) -> float:
    start = time.monotonic()
    answer = await client.post(path, json=body)
    answer.raise_for_status()
    return (time.monotonic() - start) * 1000


async def _copilot_headers(sandbox: Sandbox) -> dict[str, str]:
    token = CredentialPaths.of(sandbox.paths).copilot.read_text().strip()
    async with http_client(base_url=sandbox.models.github_api_base) as github:
        answer = await github.get("/copilot_internal/v2/token", headers={"authorization": f"token {token}"})
        answer.raise_for_status()
    return {
        "authorization": f"Bearer {answer.json()['token']}",
        "copilot-integration-id": "vscode-chat",
        "editor-version": "vscode/1.107.0",
        "editor-plugin-version": "copilot-chat/0.35.0",
        "user-agent": "GitHubCopilotChat/0.35.0",
        "openai-intent": "conversation-panel",
        "x-github-api-version": "2025-04-01",
        "x-initiator": "user",
    }

"""The whole product with secrets planted everywhere it can be reached from; then everything it wrote is searched.

Secrets may lie in three places only (DESIGN §1): the gateway's vault, its ``.env``, and Claude's own credential file.
The sandbox keeps Claude's, Codex's and GitHub's files in ``logins``, and its emulated Discord in ``world.json``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import subprocess
from pathlib import Path

import pytest

from shared.errors import GatewayError
from shared.http.client import http_client
from shared.openclawclient.session import ControlUiSession
from tests.support.sandbox_process import SandboxProcess, sandbox_process

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(240)]

MARK = f"CANARY{secrets.token_hex(6)}"
KEY = f"sk-ant-api03-{MARK}-{'a' * 40}"
OPENAI = f"sk-proj-{MARK}{'b' * 30}"
GITHUB = f"ghu_{MARK}{'c' * 26}"
ECHO = f"no: {KEY} and {OPENAI} and {GITHUB} at https://h.example/x?access_token={MARK} with Bearer {MARK}{'d' * 20}"


def said(upstream: str, op: str, nth: int | list[int], status: int, body: object) -> dict[str, object]:
    """One line of a fault plan: an upstream's own words."""
    return {"upstream": upstream, "op": op, "nth": nth, "kind": "status", "status": status, "body": body}


def faults(folder: Path, upstreams: tuple[str, ...]) -> Path:
    """These upstreams echo secrets in their first errors, in the ways that upstreams do."""
    path = folder / "faults.jsonl"
    refusal = {"type": "error", "error": {"type": "invalid_request_error", "message": ECHO}}
    lines = [
        said("claude", "messages", list(range(1, 9)), 400, refusal),
        said("codex", "responses", [1, 2], 400, {"error": {"message": ECHO, "code": ECHO}}),
        said("copilot", "chat.completions", [1, 2], 400, {"error": {"message": ECHO, "code": ECHO}}),
        said("github", "copilot.token", 1, 500, {"message": ECHO}),
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines if line["upstream"] in upstreams))
    return path


async def heard(sandbox: SandboxProcess, bot: str, text: str) -> list[str]:
    """What a bot says to a message; an apology is an answer too."""
    sent = await sandbox.say(text, bot=bot)
    async with asyncio.timeout(60):
        while True:
            messages = await sandbox.messages(after=sent["id"])
            texts = [m["content"] for m in messages if m["author"]["id"] == sandbox.ready[bot]["bot_id"]]
            if any(texts):
                return texts
            await asyncio.sleep(0.1)


async def knock(sandbox: SandboxProcess) -> list[str]:
    """Requests with secrets in their address, headers and body, right and wrong; gives all answers' texts."""
    answers = []
    api, ui = sandbox.ready["copilot_api"]["url"], sandbox.ready["openclaw"]["http_url"].rstrip("/")
    headers = {"authorization": f"Bearer {KEY}", "cookie": f"session={MARK}", "x-api-key": OPENAI}
    query = f"?access_token={MARK}q&key={GITHUB}"
    bodies = [b'{"model": "gpt-5-mini", "messages": [{"role": "user", "content": "x"}]}', f'{{"{KEY}'.encode(), b""]
    async with http_client(timeout_s=20) as http:
        for base in (api, ui):
            for path in ("/", "/v1/models", "/v1/chat/completions", "/usage", "/token", "/nothing"):
                answers.append((await http.get(f"{base}{path}{query}", headers=headers)).text)
                for body in bodies:
                    answer = await http.post(f"{base}{path}{query}", content=body, headers=headers)
                    answers.append(answer.text + json.dumps(dict(answer.headers)))
            # A path is told back to the very caller who sent it; it is in the logs that it must not be.
            await http.get(f"{base}/nothing/{KEY}", headers=headers)
    for token in (KEY, MARK):
        with contextlib.suppress(GatewayError, OSError):
            async with ControlUiSession(sandbox.ready["openclaw"]["ws_url"], token=token):
                pytest.fail("a wrong token opened the gateway")
    return answers


def planted(state: Path) -> list[str]:
    """Every secret of the installation, as its files hold them at the end."""
    env = dict(line.split("=", 1) for line in (state / "gateway" / ".env").read_text().splitlines() if "=" in line)
    found = [value for name, value in env.items() if name.endswith("TOKEN") and value]
    claude = json.loads((state / "logins" / "claude.json").read_text())["claudeAiOauth"]
    codex = json.loads((state / "logins" / "codex.json").read_text())["tokens"]
    found += [claude["accessToken"], claude["refreshToken"]]
    found += [codex["access_token"], codex["refresh_token"], codex["id_token"]]
    return [*found, (state / "logins" / "copilot").read_text().strip(), MARK]


def processes(sandbox: SandboxProcess) -> dict[str, bytes]:
    """Command lines and environments of all that runs, the strictest reading of /proc there is."""
    shown = {}
    for process in sandbox.descendants():
        for name in ("cmdline", "environ"):
            with contextlib.suppress(OSError):
                shown[f"{process.pid}/{name}"] = Path(f"/proc/{process.pid}/{name}").read_bytes()
    return shown


def containers() -> str:
    """What the engine tells about our workers."""
    host = os.environ.get("DOCKER_HOST", "")
    docker = ["docker", *(["-H", host] if host else [])]
    listing = [*docker, "ps", "-q", "--filter", "name=nanoclaw-"]
    ids = subprocess.run(listing, capture_output=True, text=True, check=False, timeout=30).stdout.split()
    inspect = [*docker, "inspect", *ids]
    return subprocess.run(inspect, capture_output=True, text=True, check=False, timeout=30).stdout if ids else ""


@pytest.mark.parametrize(
    "upstreams",
    [
        pytest.param(("codex", "copilot", "github"), id="codex, copilot and github"),
        pytest.param(("claude",), id="claude"),
    ],
)
async def test_no_planted_secret_is_in_anything_the_product_wrote_or_said(
    tmp_path: Path, upstreams: tuple[str, ...]
) -> None:
    async with sandbox_process(tmp_path, "--faults", str(faults(tmp_path, upstreams))) as sandbox:
        told = [*await heard(sandbox, "nanoclaw", "one"), *await heard(sandbox, "nanoclaw", "two")]
        told += await heard(sandbox, "openclaw", "one")
        async with ControlUiSession(
            sandbox.ready["openclaw"]["ws_url"], token=sandbox.ready["openclaw"]["token"]
        ) as session:
            with contextlib.suppress(GatewayError):
                told.append(await session.chat("two"))
            told.append(await session.chat("three"))
            told.append(json.dumps(await session.history()))
        told += await knock(sandbox)
        told += [json.dumps(sandbox.ask(name, "status")) for name in ("up", "gateway", "nanoclaw", "openclaw")]
        running, inspected = processes(sandbox), containers()
        assert await sandbox.stop() == 0
        output = sandbox.output.read_text()

    apologies = [text for text in told if "could not answer" in text or "API Error" in text or "Sorry" in text]
    assert apologies, "the upstreams' errors did strike"
    state = tmp_path / "state"
    everything = planted(state)
    gateway_token = next(token for token in everything if f"#token={token}" in output)
    # The page's address with its token is what the sandbox is asked to print; nothing else may show it.
    assert [secret for secret in everything if secret in output.replace(f"#token={gateway_token}", "")] == []
    assert [text for text in told if any(secret in text for secret in everything)] == []
    assert [name for name, data in running.items() if any(secret.encode() in data for secret in everything)] == []
    assert [secret for secret in everything if secret in inspected] == []

    allowed = (state / "gateway" / ".env", state / "gateway" / "vault", state / "logins", state / "world.json")
    written = [path for path in state.rglob("*") if path.is_file()]
    assert any(path.suffix == ".log" for path in written)
    assert any(path.suffix == ".jsonl" for path in written), "transcripts are among what is searched"
    leaks = [
        f"{path.relative_to(state)}: {secret[:12]}…"
        for path in written
        if not any(path == place or place in path.parents for place in allowed)
        for secret in everything
        if secret.encode() in path.read_bytes()
    ]
    assert leaks == []

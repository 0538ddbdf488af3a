"""The whole product with secrets planted everywhere it can be reached from; then everything it wrote is searched.

Secrets may lie in three places only (DESIGN §1): the gateway's vault, its ``.env``, and Claude's own credential file.
The sandbox keeps Claude's, Codex's and GitHub's files and the emulators' memory in ``logins``, and its emulated
Discord in ``world.json``. Processes are looked at as another user, since root sees everything and proves nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import sys
from pathlib import Path

import psutil
import pytest

from shared.errors import GatewayError
from shared.http.client import http_client
from shared.openclawclient.session import ControlUiSession
from tests.support.canary import Hunt, ProcView, inspected_workers, proc_as_another_user
from tests.support.sandbox_process import SandboxProcess, sandbox_process

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(240)]

MARK = f"CANARY{secrets.token_hex(6)}"
KEY = f"sk-ant-api03-{MARK}-{'a' * 40}"
OPENAI = f"sk-proj-{MARK}{'b' * 30}"
GITHUB = f"ghu_{MARK}{'c' * 26}"
IN_VAULT = f"xoxb-1234567890-{MARK}vault"
LOOK_AROUND = (
    "env; cat /proc/self/environ /proc/1/environ /proc/1/cmdline /proc/mounts | tr '\\0' '\\n' | head -c 5000",
    (
        "find / -xdev -type f -readable -size -64k -not -path '/usr/*' \\( -name '*.env' -o -name '*credential*'"
        " -o -name 'auth*.json' -o -name '*token*' \\) -exec cat {} + 2>/dev/null | head -c 5000; echo done"
    ),
)
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
        said("claude", "token", 1, 400, {"error": "invalid_grant", "error_description": ECHO}),
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
    found = [value for name, value in env.items() if name.endswith(("TOKEN", "SECRET")) and value]
    claude = json.loads((state / "logins" / "claude.json").read_text())["claudeAiOauth"]
    codex = json.loads((state / "logins" / "codex.json").read_text())["tokens"]
    found += [claude["accessToken"], claude["refreshToken"]]
    found += [codex["access_token"], codex["refresh_token"], codex["id_token"]]
    vault = next(line for line in (state / "gateway" / "vault" / "keys").read_text().splitlines() if ":" in line)
    issued = json.loads((state / "logins" / "issued-models.json").read_text())
    found += [vault.partition(":")[2], *(token["value"] for token in issued)]
    return sorted({*found, (state / "logins" / "copilot").read_text().strip(), IN_VAULT, MARK})


async def store_in_the_vault(state: Path) -> None:
    """A secret that only the vault has, for the gateway to read at a tenant's start."""
    for name in ("SLACK_BOT_TOKEN", "GATEWAY_OTHER_SECRET"):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.cli.main", "secrets", "set", name, "--tenant", "nanoclaw"),
            *("--state", str(state)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate(IN_VAULT.encode())
        assert process.returncode == 0, out
        assert MARK.encode() not in out


def worker_processes(workers: dict[str, dict]) -> list[int]:
    """The workers' processes as this machine numbers them."""
    top = [psutil.Process(worker["State"]["Pid"]) for worker in workers.values()]
    return [process.pid for one in top for process in (one, *one.children(recursive=True))]


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
    state = tmp_path / "state"
    await store_in_the_vault(state)
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
        for command in LOOK_AROUND:
            told += await heard(sandbox, "nanoclaw", f"!run {command}")
        told += [json.dumps(sandbox.ask(name, "status")) for name in ("up", "gateway", "nanoclaw", "openclaw")]
        # The provider's final no becomes a notice for the owner.
        try:
            told.append(json.dumps(sandbox.ask("gateway", "auth_refresh", provider="claude")))
        except GatewayError as error:
            told.append(error.detail)
        told += [json.dumps(sandbox.ask("gateway", "auth_status"))]
        workers = inspected_workers(state, sandbox.ask("gateway", "status")["engine"]["address"])
        ours = [process.pid for process in sandbox.descendants()]
        named = [sandbox.pid_of(name) for name in ("gateway", "nanoclaw", "openclaw")]
        inside = worker_processes(workers)
        view = proc_as_another_user([*ours, *inside])
        strict = proc_as_ourselves(ours)
        assert await sandbox.stop() == 0
        output = sandbox.output.read_text()

    hunt = Hunt(planted(state))
    apologies = [text for text in told if "could not answer" in text or "API Error" in text or "Sorry" in text]
    assert apologies, "the upstreams' errors did strike"
    assert any("PATH=" in text for text in told), "the agent's tool did look around"
    gateway_token = next(token for token in planted(state) if f"#token={token}" in output)
    # The page's address with its token is what the sandbox is asked to print; nothing else may show it.
    assert hunt.hits("output", output.replace(f"#token={gateway_token}", "")) == []
    assert hunt.in_texts(told) == []

    assert workers, "a worker was there to be inspected"
    assert hunt.in_texts(json.dumps(worker) for worker in workers.values()) == []
    assert inside
    assert view.uid != os.geteuid() or os.geteuid() != 0
    assert hunt.in_proc(view) == []
    assert hunt.in_proc(strict) == []
    closed = {f"{pid}/{name}" for pid in [*named, *inside] for name in ("environ", "fd", "mem", "maps")}
    assert closed <= view.denied, "of these processes nobody else may see more than what ps shows"

    written = [path for path in state.rglob("*") if path.is_file()]
    assert any(path.suffix == ".log" for path in written)
    assert any(path.suffix == ".jsonl" for path in written), "transcripts are among what is searched"
    allowed = (state / "gateway" / ".env", state / "gateway" / "vault", state / "logins", state / "world.json")
    assert hunt.in_files(state, allowed=allowed) == []


def proc_as_ourselves(pids: list[int]) -> ProcView:
    """Command lines and environments as root sees them, the strictest reading there is."""
    shown = {}
    for pid in pids:
        for name in ("cmdline", "environ"):
            with contextlib.suppress(OSError):
                shown[f"{pid}/{name}"] = Path(f"/proc/{pid}/{name}").read_bytes().decode("latin-1")
    return ProcView(os.geteuid(), shown, frozenset())


async def test_what_an_agents_tool_prints_stays_in_the_conversation(tmp_path: Path) -> None:
    said = f"ghp_{MARK}{'t' * 20}"
    async with sandbox_process(tmp_path) as sandbox:
        # Put together by the tool, so that only its output has it.
        answers = await heard(sandbox, "nanoclaw", f"!run printf 'ghp_%s%s' {MARK} {'t' * 20}")
        assert any(said in text for text in answers), "the person who asked sees it"
        failed = await heard(sandbox, "nanoclaw", f"!run printf 'ghp_%s%s' {MARK} {'t' * 20} >&2; exit 3")
        statuses = [json.dumps(sandbox.ask(name, "status")) for name in ("up", "gateway", "nanoclaw", "openclaw")]
        workers = inspected_workers(sandbox.state, sandbox.ask("gateway", "status")["engine"]["address"])
        assert await sandbox.stop() == 0
    assert failed
    hunt = Hunt([said])
    state = tmp_path / "state"
    assert hunt.in_texts([*statuses, sandbox.output.read_text(), json.dumps(workers)]) == []
    conversation = (state / "nanoclaw", state / "world.json")
    assert hunt.in_files(state, allowed=conversation) == []
    assert hunt.in_files(state / "nanoclaw" / "logs") == []
    assert hunt.in_files(state / "logs") == []

"""Workers in the whole product: the policy document's own docker lines, agents started ahead, development mode."""

from __future__ import annotations

import asyncio
import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.app import installation_id
from shared.config.paths import Paths
from tests.support.sandbox_process import SandboxProcess, sandbox_process

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(240)]

CHECKOUT = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sb")


async def until(condition: Callable[[], bool], *, limit_s: float = 60) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.1)


def shell(line: str) -> str:
    return subprocess.run(["sh", "-c", line], check=True, capture_output=True, text=True).stdout


def nanoclaw(sandbox: SandboxProcess, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "nanoclaw.cli", *words, "--state", str(sandbox.state)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def workers(sandbox: SandboxProcess) -> list[dict[str, Any]]:
    return list(sandbox.ask("nanoclaw", "workers.list"))


async def test_the_policys_own_docker_lines_work_and_a_busy_worker_that_is_stopped_is_survived(folder: Path) -> None:
    async with sandbox_process(folder) as sandbox:
        await sandbox.ask_bot("nanoclaw", "warm ")
        # Other installations may run on this engine: only the label keeps the line from stopping theirs.
        ours = (
            f"--filter name=nanoclaw- --filter label=clawgate.instance={installation_id(Paths.resolve(sandbox.state))}"
        )
        (first,) = shell(f"docker ps {ours} --format '{{{{.Names}}}}'").split()
        sent = await sandbox.say("!stall 5", bot="nanoclaw")
        await until(lambda: any(worker["state"] == "busy" for worker in workers(sandbox)))
        await asyncio.to_thread(shell, f"docker ps -q {ours} | xargs -r docker stop")
        await sandbox.reply_to(sent, "nanoclaw", "stalled 5 s", timeout_s=120)
        (second,) = shell(f"docker ps {ours} --format '{{{{.Names}}}}'").split()
        assert second != first
        assert "[DEBUG]" in shell(f"docker exec {second} cat /home/node/.claude/debug/latest")

        listed = json.loads(nanoclaw(sandbox, "workers", "list", "--json"))
        assert [worker["container"] for worker in listed] == [second]
        lives = json.loads(nanoclaw(sandbox, "workers", "logs", "general", "--lives", "2", "--json"))
        assert f"container: {first}\n" in lives[0]["text"]
        assert "ended: stopped, code 143" in lives[0]["text"]
        assert f"container: {second}\n" in lives[1]["text"]
        assert "stall" not in lives[0]["text"] + lives[1]["text"], "nothing that was said"
        assert "[DEBUG]" in nanoclaw(sandbox, "workers", "debug", "general")


async def test_a_group_likely_to_speak_next_finds_its_agent_started_and_frozen(folder: Path) -> None:
    async with sandbox_process(folder) as sandbox:
        await sandbox.ask_bot("nanoclaw", "one ")
        sandbox.ask("nanoclaw", "workers.stop_all", timeout_s=60)
        dm = await sandbox.open_dm("nanoclaw")
        sent = await sandbox.say("elsewhere", channel=dm)
        await sandbox.reply_to(sent, "nanoclaw", "elsewhere")

        def ready() -> list[str]:
            return [w["container"] for w in workers(sandbox) if w["standby"] and w["state"] == "paused"]

        await until(lambda: ready() != [])
        (container,) = ready()
        assert container.startswith("nanoclaw-general-")
        log = Paths.resolve(sandbox.state).process_log("nanoclaw").read_text()
        assert "standby.ready" in log
        assert "agent.not_warmed" not in log
        sent = await sandbox.say("!count", bot="nanoclaw")
        assert "2" in (await sandbox.reply_to(sent, "nanoclaw", "2"))["content"], "with its conversation"
        (used,) = [w for w in workers(sandbox) if w["container"] == container]
        assert (used["standby"], used["state"]) == (False, "idle")


async def test_in_development_mode_a_tenant_restarts_when_its_source_changes_and_skills_come_from_the_checkout(
    folder: Path,
) -> None:
    checkout = folder / "checkout"
    for name in ("gateway", "nanoclaw", "openclaw", "shared", "policies"):
        shutil.copytree(CHECKOUT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    (checkout / "tests").mkdir()
    shutil.copy(CHECKOUT / "pyproject.toml", checkout)
    async with sandbox_process(folder, checkout=checkout, DEV_MOUNT="true") as sandbox:
        await sandbox.ask_bot("nanoclaw", "warm ")
        mounts = json.loads(shell(f"docker inspect {workers(sandbox)[0]['container']}"))[0]["Mounts"]
        skills = next(mount for mount in mounts if mount["Destination"] == "/etc/claude-code/.claude/skills")
        assert skills["Source"].startswith(str(checkout))
        assert not skills["RW"]
        before, untouched = sandbox.pid_of("nanoclaw"), sandbox.pid_of("openclaw")
        with (checkout / "nanoclaw" / "prompt.py").open("a") as file:
            file.write("# edited\n")

        def now() -> dict[str, Any]:
            return next(process for process in sandbox.ask("up", "status") if process["name"] == "nanoclaw")

        await until(lambda: now()["state"] == "ready" and now()["pid"] != before, limit_s=60)
        assert sandbox.pid_of("openclaw") == untouched
        await sandbox.ask_bot("nanoclaw", "after ")


def test_development_mode_is_refused_outside_a_checkout_with_the_reason(folder: Path, monkeypatch) -> None:
    installed = folder / "site-packages"
    for name in ("gateway", "nanoclaw", "openclaw", "shared", "policies"):
        shutil.copytree(CHECKOUT / name, installed / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setenv("DEV_MOUNT", "true")
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli.main", "up", "--state", str(folder / "s")],
        cwd=installed,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 78
    assert "needs a checkout" in done.stderr
    assert "Traceback" not in done.stderr


async def test_every_process_keeps_itself_fit(folder: Path) -> None:
    async with sandbox_process(folder) as sandbox:
        metrics = sandbox.state / "nanoclaw" / "logs" / "routing-metrics.jsonl"
        await sandbox.ask_bot("nanoclaw", "warm ")
        await until(metrics.exists)
        lines = metrics.read_text()
        done = maintenance(sandbox, "run", "logs.rotate")
        assert {(job["process"], job["outcome"]) for job in done} == {
            ("gateway", "ok"),
            ("nanoclaw", "ok"),
            ("openclaw", "ok"),
        }
        assert gzip.decompress(metrics.with_name(f"{metrics.name}.1.gz").read_bytes()).decode() == lines
        assert [job["process"] for job in maintenance(sandbox, "run", "messages.forget")] == ["nanoclaw", "openclaw"]
        assert "bytes freed" in maintenance(sandbox, "run", "docker.prune")[0]["detail"]
        assert await sandbox.ask_bot("nanoclaw", "after ")
        assert metrics.exists()


def maintenance(sandbox: SandboxProcess, *words: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "gateway.cli.main", "maintenance", *words, "--state", str(sandbox.state), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return list(json.loads(done.stdout))

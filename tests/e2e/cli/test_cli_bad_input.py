"""What a person is told when something is wrong: one clear message, an exit code by class, never a traceback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from shared.errors import ExitCode


def clawgate(
    state: Path, *arguments: str, module: str = "gateway.cli.main", **environment: str
) -> subprocess.CompletedProcess[str]:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(state),
        "CLAWGATE_STATE": str(state),
        "CLAWGATE_RUNTIME": str(state / "run"),
        "DOCKER_HOST": f"unix://{state}/no-engine.sock",
        **environment,
    }
    return subprocess.run(
        [sys.executable, "-m", module, *arguments], env=env, capture_output=True, text=True, timeout=50, check=False
    )


def write_env(state: Path, text: str, mode: int = 0o600) -> Path:
    path = state / "gateway" / ".env"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def told(result: subprocess.CompletedProcess[str], code: ExitCode, *words: str) -> None:
    text = result.stdout + result.stderr
    assert "Traceback" not in text
    assert result.returncode == code, text
    for word in words:
        assert word in text


def test_up_without_accounts_says_what_is_missing_and_offers_the_sandbox(tmp_path: Path) -> None:
    result = clawgate(tmp_path, "up")
    told(result, ExitCode.CONFIG, "DISCORD_BOT_TOKEN", str(tmp_path / "gateway" / ".env"), "clawgate sandbox")
    assert not (tmp_path / "gateway" / "gateway.db").exists()


def test_env_file_others_can_read_is_refused(tmp_path: Path) -> None:
    path = write_env(tmp_path, "DISCORD_BOT_TOKEN=x.y.z\n", mode=0o644)
    told(clawgate(tmp_path, "up"), ExitCode.CONFIG, str(path), "644", f"chmod 600 {path}")


@pytest.mark.parametrize("where", ["file", "environment"])
def test_anthropic_api_key_is_refused_with_the_reason(tmp_path: Path, where: str) -> None:
    write_env(tmp_path, "DISCORD_BOT_TOKEN=x.y.z\n" + ("ANTHROPIC_API_KEY=sk-ant-canary\n" if where == "file" else ""))
    environment = {"ANTHROPIC_API_KEY": "sk-ant-canary"} if where == "environment" else {}
    result = clawgate(tmp_path, "up", **environment)
    told(result, ExitCode.CONFIG, "ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY_FALLBACK")
    assert "canary" not in result.stdout + result.stderr


def test_unknown_policy_key_names_file_line_and_nearest_key(tmp_path: Path) -> None:
    write_env(tmp_path, "DISCORD_BOT_TOKEN=x.y.z\n")
    policy = tmp_path / "policies" / "gateway.toml"
    policy.parent.mkdir()
    policy.write_text("[workers]\nmax_worker = 3\n")
    told(clawgate(tmp_path, "up"), ExitCode.CONFIG, f"{policy}:2", "workers.max_worker", "max_workers")


def test_engine_that_is_down_is_named_with_the_fix(tmp_path: Path) -> None:
    write_env(tmp_path, "DISCORD_BOT_TOKEN=x.y.z\n")
    told(clawgate(tmp_path, "up"), ExitCode.UNAVAILABLE, "no-engine.sock")


def test_port_in_use_is_named_with_the_fix(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        result = clawgate(
            tmp_path,
            "sandbox",
            "--state",
            str(tmp_path / "s"),
            "--port-base",
            str(port - 1),
            "--engine",
            "process",
            CI="false",
        )
    told(result, ExitCode.OCCUPIED, str(port))


def test_process_engine_is_refused_outside_the_sandbox(tmp_path: Path) -> None:
    write_env(tmp_path, "DISCORD_BOT_TOKEN=x.y.z\n")
    policy = tmp_path / "policies" / "gateway.toml"
    policy.parent.mkdir()
    policy.write_text('[engine]\nkind = "process"\n')
    told(clawgate(tmp_path, "up"), ExitCode.CONFIG, "process", "sandbox")


def test_sandbox_refuses_a_real_installation(tmp_path: Path) -> None:
    write_env(tmp_path, "DISCORD_BOT_TOKEN=x.y.z\n")
    before = (tmp_path / "gateway" / ".env").read_text()
    told(
        clawgate(tmp_path, "sandbox", "--state", str(tmp_path), "--port-base", "0"),
        ExitCode.CONFIG,
        "real installation",
    )
    assert (tmp_path / "gateway" / ".env").read_text() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--use", "discord.api_bass=http://x"), ("discord.api_base",)),
        (("--use", "discord.api_base=http://x"), ("discord.gateway_url",)),
        (("--slack", "--use", "slack.api_base=http://x"), ("--slack", "slack.api_base")),
        (("--bot-token", "nanoclaw=token"), ("TENANT=@FILE",)),
        (("--bot-token", "nanoclaw=@/nonexistent"), ("/nonexistent",)),
        (("--bot-token", "other=@/etc/hostname"), ("nanoclaw, openclaw",)),
    ],
)
def test_sandbox_options_are_checked_before_anything_starts(
    tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    told(clawgate(tmp_path, "sandbox", "--state", str(tmp_path / "s"), *arguments), ExitCode.USAGE, *words)
    assert not (tmp_path / "s").exists()


def test_status_without_anything_running_says_how_to_start(tmp_path: Path) -> None:
    result = clawgate(tmp_path, "status")
    assert result.returncode == 1
    assert "clawgate up" in result.stdout
    as_json = json.loads(clawgate(tmp_path, "status", "--json").stdout)
    assert as_json.items() >= {"ok": False, "state": str(tmp_path), "processes": [], "problems": []}.items()


@pytest.mark.parametrize(("module", "tenant"), [("nanoclaw.cli", "nanoclaw"), ("openclaw.cli", "openclaw")])
def test_tenant_started_by_hand_is_told_how_it_is_started(tmp_path: Path, module: str, tenant: str) -> None:
    told(clawgate(tmp_path, "run", "--tenant", tenant, module=module), ExitCode.CONFIG, "clawgate up")


def test_errors_are_json_when_asked_for(tmp_path: Path) -> None:
    result = clawgate(tmp_path, "restart", "nanoclaw")
    told(result, ExitCode.UNAVAILABLE, "clawgate up")

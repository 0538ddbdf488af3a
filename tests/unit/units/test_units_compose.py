"""``clawgate install compose``: variables that Compose reads, folders that belong to the containers' user."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.units.cli import cli
from gateway.units.compose import ComposeSetup
from shared.config.paths import Paths
from shared.errors import ConfigError, Unavailable

COMPOSE = Path(__file__).parents[3] / "compose.yaml"


def install(*words: str) -> dict[str, str]:
    result = CliRunner().invoke(cli, ["compose", *words], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return dict(line.split("=", 1) for line in result.stdout.splitlines())


def test_every_variable_of_the_file_is_printed(tmp_path: Path) -> None:
    engine = tmp_path / "docker.sock"
    engine.touch()
    printed = install("--state", str(tmp_path / "s"), "--engine", str(engine))
    used = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE.read_text()))
    assert used - {"OPENCLAW_PORT", "FIREWALL_RULES"} == set(printed)
    assert printed["DOCKER_GID"] == str(engine.stat().st_gid)
    assert not (tmp_path / "s").exists()


def test_the_folders_are_the_containers_users_and_closed_to_others(tmp_path: Path) -> None:
    uid, gid = (64103, 64104) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    state = tmp_path / "s"
    words = ("--apply", "--state", str(state), "--engine", str(tmp_path), "--uid", str(uid), "--gid", str(gid))
    install(*words)
    install(*words)
    modes = {str(path.relative_to(state)): path.stat().st_mode & 0o777 for path in state.rglob("*")}
    assert {path.stat().st_uid for path in state.rglob("*")} == {uid}
    assert modes["gateway"] == modes["run/e"] == modes["run/c/nanoclaw"] == 0o700
    assert modes["openclaw"] == modes["openclaw/threads"] == modes["run/t/openclaw"] == 0o750
    assert modes["policies"] == 0o755


def test_root_and_a_missing_engine_are_refused(tmp_path: Path) -> None:
    setup = ComposeSetup(Paths(tmp_path, tmp_path), 0, 0, tmp_path / "none", (), "UTC")
    with pytest.raises(ConfigError, match="never root"):
        setup.prepare()
    with pytest.raises(Unavailable, match="is Docker installed"):
        list(setup.variables())


def test_what_is_published_and_what_the_audit_judges_are_one_text() -> None:
    text = COMPOSE.read_text()
    assert text.count("OPENCLAW_PORT") == text.count("&published") == 1
    assert "ports: [*published]" in text
    assert text.count("OPENCLAW_PUBLISHED: *published") == 2, (
        "OpenClaw is told, and the gateway, which sees the machine"
    )


def test_every_container_has_a_name_that_no_line_for_workers_finds() -> None:
    services = COMPOSE.read_text().split("\nservices:\n")[1].split("\nnetworks:\n")[0]
    names = re.findall(r"^    container_name: (\S+)$", services, re.MULTILINE)
    assert len(names) == len(re.findall(r"^  [a-z-]+:$", services, re.MULTILINE))
    assert not [name for name in names if "nanoclaw-" in name]


def test_the_file_suits_the_old_compose_too() -> None:
    text = COMPOSE.read_text()
    assert not re.search(r"^name:", text, re.MULTILINE)
    assert "container_name: openclaw-openclaw-gateway-1" in text
    assert "image: openclaw:local" in text
    assert text.count(":/var/run/docker.sock") == 1, "one service sees the engine"

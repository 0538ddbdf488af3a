"""Policy files and `.env`: what a wrong one is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from shared.config import paths as paths_module
from shared.config.envfile import read_env
from shared.config.paths import SERVICE_STATE, Paths
from shared.config.toml import load_policy, operator_file
from shared.config.tomlwrite import overlay_file, to_toml
from shared.config.upstreams import Upstreams
from shared.errors import ConfigError, ExitCode


def paths_in(folder: Path) -> Paths:
    return Paths(state=folder / "state", runtime=folder / "run")


def write_policy(paths: Paths, name: str, text: str) -> Path:
    path = operator_file(name, paths)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def test_shipped_upstreams_are_the_real_ones(tmp_path: Path) -> None:
    upstreams = load_policy("upstreams", Upstreams, paths_in(tmp_path))
    assert upstreams == Upstreams()
    assert upstreams.discord.api_base.startswith("https://discord.com/")


def test_operators_copy_is_laid_over_the_shipped_file(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    write_policy(paths, "upstreams", '[discord]\napi_base = "http://127.0.0.1:1/api/v10"\n')
    upstreams = load_policy("upstreams", Upstreams, paths)
    assert upstreams.discord.api_base == "http://127.0.0.1:1/api/v10"
    assert upstreams.discord.gateway_url == Upstreams().discord.gateway_url


def test_unknown_key_names_file_line_key_and_nearest_name(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    path = write_policy(paths, "upstreams", '# mine\n\n[discord]\napi_bas = "http://127.0.0.1:1"\n')
    with pytest.raises(ConfigError) as caught:
        load_policy("upstreams", Upstreams, paths)
    assert f"{path}:4" in caught.value.detail
    assert "'discord.api_bas'" in caught.value.detail
    assert "did you mean 'api_base'?" in caught.value.detail
    assert caught.value.exit_code == ExitCode.CONFIG


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    write_policy(paths, "upstreams", '[discord]\napi_base = 3\ngateway_url = "http://no"\n[nonsense]\nx = 1\n')
    with pytest.raises(ConfigError) as caught:
        load_policy("upstreams", Upstreams, paths)
    assert all(key in caught.value.detail for key in ("discord.api_base", "discord.gateway_url", "nonsense"))


def test_broken_toml_is_refused_with_its_place(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    path = write_policy(paths, "upstreams", "[discord\n")
    with pytest.raises(ConfigError, match="not valid TOML") as caught:
        load_policy("upstreams", Upstreams, paths)
    assert str(path) in caught.value.detail


def test_written_toml_reads_back(tmp_path: Path) -> None:
    values = {"flag": True, "name": 'with "quotes"\nand lines', "list": ["a", "b"], "t": {"x.y": {"n": 1}, "empty": {}}}
    path = tmp_path / "x.toml"
    overlay_file(path, values)
    overlay_file(path, {"t": {"x.y": {"m": 2}}})

    class Anything(BaseModel):
        model_config = ConfigDict(extra="allow")

    import tomllib

    read = tomllib.loads(path.read_text())
    assert read["t"]["x.y"] == {"n": 1, "m": 2}
    assert read["name"] == values["name"]
    assert tomllib.loads(to_toml(read)) == read


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o400])
def test_env_file_with_another_mode_is_refused_with_the_fix(tmp_path: Path, mode: int) -> None:
    path = tmp_path / ".env"
    path.write_text("DISCORD_BOT_TOKEN=x\n")
    path.chmod(mode)
    with pytest.raises(ConfigError) as caught:
        read_env(path)
    assert f"chmod 600 {path}" in caught.value.detail
    assert caught.value.code == "config.env_mode"


@pytest.mark.parametrize("name", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"])
def test_names_that_would_spend_credit_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / ".env"
    path.write_text(f"{name}=sk-something\n")
    path.chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        read_env(path)
    assert name in caught.value.detail
    assert "sk-something" not in caught.value.detail
    assert caught.value.exit_code == ExitCode.CONFIG


def test_missing_env_file_is_empty(tmp_path: Path) -> None:
    assert read_env(tmp_path / ".env") == {}


def test_a_tenants_own_user_finds_the_services_sockets_and_nobody_else_is_sent_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLAWGATE_RUNTIME", raising=False)
    monkeypatch.setattr(paths_module.os, "geteuid", lambda: 64101)
    monkeypatch.setattr(paths_module, "SERVICE_RUNTIME", tmp_path / "run")
    assert Paths.resolve(SERVICE_STATE).runtime != tmp_path / "run", "no service runs here"
    (tmp_path / "run").mkdir()
    assert Paths.resolve(SERVICE_STATE).runtime == tmp_path / "run"
    assert Paths.resolve(tmp_path / "state").runtime != tmp_path / "run"


def test_runtime_directory_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="CLAWGATE_RUNTIME"):
        Paths.resolve(tmp_path, tmp_path / ("x" * 100))

"""What `clawgate tenants` writes and refuses, and what a further tenant takes over from the first."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from gateway.cli.main import cli
from gateway.settings import Settings
from gateway.tenants.service import add, list_tenants, remove
from nanoclaw.config import load
from openclaw.config.policy import load_config
from shared.cli import guarded
from shared.config.paths import Paths
from shared.config.toml import operator_file, policy_names
from shared.config.tomlwrite import overlay_file
from shared.errors import ConfigError, Conflict, Invalid, NotFound


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "state", tmp_path / "run")


def snapshot(paths: Paths) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in paths.policies.glob("*")} if paths.policies.exists() else {}


def test_a_second_openclaw_has_its_own_port_servers_and_model(paths: Paths) -> None:
    first = {
        "port": 20100,
        "metrics": {"port": 20101},
        "control_ui": {"allowed_origins": ["https://claw.example.org"]},
        "discord": {"guilds": {"1": {"users": ["7"]}}, "history_limit": 5},
    }
    overlay_file(operator_file("openclaw", paths), first)
    add(paths, "work", "openclaw", port=20200)
    overlay_file(
        operator_file("work", paths),
        {"agent": {"model": "github-copilot/gpt-5-mini"}, "discord": {"guilds": {"2": {}}}},
    )
    one, two = load_config(paths), load_config(paths, "work")
    assert (one.port, two.port) == (20100, 20200)
    assert (set(one.discord.guilds), set(two.discord.guilds)) == ({"1"}, {"2"})
    assert two.agent.model == "github-copilot/gpt-5-mini" != one.agent.model
    assert two.metrics.port is None
    assert two.control_ui.allowed_origins == ()
    assert two.discord.history_limit == 5, "what is not somebody's own is everybody's"


def test_a_second_nanoclaw_has_its_own_name_and_none_of_the_firsts_chats(paths: Paths) -> None:
    group = {"chat": "dc:1", "main": True}
    overlay_file(
        operator_file("nanoclaw", paths), {"assistant_name": "J", "groups": {"main": group}, "metrics": {"port": 20001}}
    )
    add(paths, "family", "nanoclaw", called="Mia")
    one, two = load(paths), load(paths, "family")
    assert (one.assistant_name, two.assistant_name) == ("J", "Mia")
    assert (list(one.groups), list(two.groups)) == (["main"], [])
    assert (one.metrics.port, two.metrics.port) == (20001, None)
    routes = Settings.policy_of(paths).tenants
    assert routes["family"].routes == routes["nanoclaw"].routes


def test_a_wrong_line_of_a_tenants_own_file_is_named_with_its_file(paths: Paths) -> None:
    add(paths, "work", "openclaw", port=20200)
    own = operator_file("work", paths)
    own.write_text(own.read_text() + "\n[discord]\ngroup_polcy = 'open'\n")
    with pytest.raises(ConfigError) as told:
        load_config(paths, "work")
    assert f"{own}:4" in told.value.detail
    assert "group_policy" in told.value.detail
    load_config(paths)


@pytest.mark.parametrize("name", ["gateway", "up", "Work", "", "-a", "a" * 23, "policies", *sorted(policy_names())])
def test_names_that_cannot_be_are_refused_and_nothing_changes(paths: Paths, name: str) -> None:
    with pytest.raises((Invalid, Conflict)):
        add(paths, name, "nanoclaw" if name != "nanoclaw" else "openclaw")
    assert snapshot(paths) == {}


def test_a_reserved_name_in_the_policy_file_is_refused_too(paths: Paths) -> None:
    overlay_file(operator_file("gateway", paths), {"tenants": {"egress": {"kind": "nanoclaw"}}})
    with pytest.raises(ConfigError, match="egress"):
        Settings.policy_of(paths)


def test_ports_are_one_tenants_each(paths: Paths) -> None:
    overlay_file(operator_file("openclaw", paths), {"port": 20300})
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        for port, whose in (
            (20300, "openclaw"),
            (4141, "model API"),
            (18790, "policy"),
            (busy.getsockname()[1], "use"),
        ):
            with pytest.raises(Conflict, match=whose):
                add(paths, "work", "openclaw", port=port)
    add(paths, "work", "openclaw")
    add(paths, "play", "openclaw")
    ports = [tenant.port for tenant in list_tenants(paths) if tenant.kind == "openclaw"]
    assert len(set(ports)) == 3
    assert 18790 not in ports


def test_what_is_removed_can_come_back_as_the_same_kind_only(paths: Paths) -> None:
    add(paths, "work", "openclaw", port=20400)
    paths.tenant("work").mkdir(parents=True)
    with pytest.raises(Conflict, match="already"):
        add(paths, "work", "openclaw")
    remove(paths, "work", purge=False)
    assert paths.tenant("work").exists()
    assert next(tenant.state for tenant in list_tenants(paths) if tenant.name == "work") == "off"
    with pytest.raises(Conflict, match="--purge"):
        add(paths, "work", "nanoclaw")
    remove(paths, "work", purge=True)
    assert not paths.tenant("work").exists()
    assert not operator_file("work", paths).exists()
    add(paths, "work", "nanoclaw")
    assert Settings.policy_of(paths).tenants["work"].kind == "nanoclaw"


def test_the_last_tenant_the_one_of_notices_and_unknown_ones_stay(paths: Paths) -> None:
    overlay_file(operator_file("gateway", paths), {"notices": {"tenant": "nanoclaw"}})
    with pytest.raises(Conflict, match=r"\[notices\]"):
        remove(paths, "nanoclaw", purge=False)
    with pytest.raises(NotFound, match="nanoclaw, openclaw"):
        remove(paths, "nobody", purge=False)
    remove(paths, "openclaw", purge=False)
    overlay_file(operator_file("gateway", paths), {"notices": {"tenant": ""}})
    with pytest.raises(Conflict, match="uninstall"):
        remove(paths, "nanoclaw", purge=False)


def test_the_command_tells_the_next_step(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["tenants", "add", "work", "--kind", "openclaw", "--state", str(paths.state)]
    assert guarded(lambda: cli([*words, "--json"], standalone_mode=False), prog="clawgate") == 0
    told = json.loads(capsys.readouterr().out)
    assert f"clawgate init --state {paths.state} --token work=@FILE" in told["next_steps"][0]
    assert guarded(lambda: cli([*words], standalone_mode=False), prog="clawgate") != 0
    assert "already" in capsys.readouterr().err
    bad = ["tenants", "add", "x", "--kind", "nanoclaw", "--port", "20500", "--state", str(paths.state)]
    assert guarded(lambda: cli(bad, standalone_mode=False), prog="clawgate") == 2

"""A fresh OpenClaw scores 100, and each thing that is broken gives exactly its finding; doctor agrees with a start."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest
from click.testing import CliRunner
from openclaw_house import house

from openclaw.audit.catalogue import CATALOGUE, report_view
from openclaw.audit.exec_checks import may_run, must_not_run
from openclaw.audit.facts import Facts
from openclaw.cli import cli
from openclaw.config import OpenClawPolicy
from openclaw.config.service import ConfigService
from openclaw.config.snapshot import Source
from openclaw.doctor.examine import EXAMINATIONS, Patient
from openclaw.exec_explain import explain
from shared.audit.runner import run_checks
from shared.doctor.rows import examine
from shared.errors import ConfigError
from shared.execpolicy.policy import ExecPolicy


def policy_file(paths, name, text):
    paths.policies.mkdir(exist_ok=True)
    (paths.policies / f"{name}.toml").write_text(text)


def config_file(paths, text):
    file = paths.openclaw_config("openclaw")
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.write_text(text)
    file.chmod(0o600)


async def audit(paths):
    """Of a running tenant with the installation's own configuration."""
    policy_file(
        paths, "openclaw", (paths.policies / "openclaw.toml").read_text() if paths.policies.exists() else "port = 0\n"
    )
    config = ConfigService(Source.of(paths, "openclaw"))
    policy = config.load().policy.model_copy(update={"port": 0})
    paths.tenant("openclaw").mkdir(mode=0o700, exist_ok=True)
    async with house(paths, policy, secret="A" * 8 + "bcdefghijklmnopqrstuvwxyz0123456"):
        return await run_checks(CATALOGUE, Facts(paths, "openclaw"))


def open_ids(report):
    return [row.id for row in report.findings if row.is_open]


async def test_a_fresh_installation_scores_a_hundred(paths):
    report = await audit(paths)
    assert [(row.id, row.evidence) for row in report.findings if row.is_open] == []
    assert report.score == 100
    view = report_view(report)
    assert view["summary"] == {"critical": 0, "warn": 0, "info": 0}
    assert len(view["checks"]) == len(CATALOGUE) == len({check.id for check in CATALOGUE})


def wide_guild(paths):
    config_file(paths, "{channels: {discord: {guilds: {'1': {}}}}}")


def open_directs(paths):
    policy_file(paths, "openclaw", "port = 0\n[discord]\ndm_policy = 'open'\n")


def wide_proxy(paths):
    config_file(paths, "{gateway: {trustedProxies: ['10.0.0.0/8']}}")


def plain_origin(paths):
    config_file(paths, "{gateway: {controlUi: {allowedOrigins: ['http://claw.example.org']}}}")


def no_lock(paths):
    policy_file(paths, "openclaw", "port = 0\n[auth]\nlockout_s = 1\n")


def loose_file(paths):
    config_file(paths, "{}")
    paths.openclaw_config("openclaw").chmod(0o644)


def leaked(paths):
    place = paths.tenant("openclaw") / "workspace"
    place.mkdir(parents=True)
    (place / "MEMORY.md").write_text("the key is ghp_" + "a1B2" * 9)


def planted(paths):
    place = paths.tenant("openclaw") / "workspace"
    place.mkdir(parents=True)
    (place / "MEMORY.md").write_text("notes\u202e hidden")


def writable(paths):
    place = paths.tenant("openclaw") / "workspace"
    place.mkdir(parents=True)
    (place / "x.bin").write_text("x")
    (place / "x.bin").chmod(0o666)


def interpreter(paths):
    policy_file(paths, "exec", "safe_bins = ['curl', 'node', 'python3']\n")


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (wide_guild, "AUD-CHN-001"),
        (open_directs, "AUD-CHN-002"),
        (wide_proxy, "AUD-NET-009"),
        (plain_origin, "AUD-NET-004"),
        (no_lock, "AUD-NET-010"),
        (loose_file, "AUD-SEC-002"),
        (leaked, "AUD-SEC-004"),
        (planted, "AUD-MEM-002"),
        (writable, "AUD-OPS-009"),
        (interpreter, "AUD-EXE-003"),
    ],
)
async def test_what_is_broken_is_what_is_found(paths, broken, expected):
    policy_file(paths, "openclaw", "port = 0\n")
    paths.tenant("openclaw").mkdir(mode=0o700)
    broken(paths)
    report = await audit(paths)
    assert open_ids(report) == [expected]
    assert report.score < 100


async def test_while_it_is_down_what_cannot_be_asked_counts_as_failed(paths):
    report = await run_checks(CATALOGUE, Facts(paths, "openclaw"))
    assert "AUD-NET-002" in open_ids(report)
    assert report.score <= 39
    config_file(paths, "{bogus: 1}")
    report = await run_checks(CATALOGUE, Facts(paths, "openclaw"))
    assert "AUD-EXE-001" in open_ids(report), "a configuration that is not valid proves nothing"


def test_the_probe_set_is_large_and_everyday_calls_still_run():
    questions = list(must_not_run())
    assert len({(q.command, *q.env) for q in questions}) > 200
    assert {explain(question, ExecPolicy()).verdict for question in may_run()} == {"allow"}


# --- doctor -----------------------------------------------------------------------------------


def levels(paths):
    return {(row.id, row.level) for row in examine(EXAMINATIONS, Patient.of(paths, "openclaw"))}


@pytest.mark.parametrize(
    "text",
    ["{bogus: 1}", "{gateway: {port: 'x'}}", "{", "{gateway: {auth: {token: '${NOT_THERE}'}}}"],
)
def test_doctor_is_never_green_where_a_start_refuses(paths, text):
    config_file(paths, text)
    with pytest.raises(ConfigError) as refused:
        ConfigService(Source.of(paths, "openclaw")).load()
    result = CliRunner().invoke(cli, ["doctor", "--json", "--state", str(paths.state)], standalone_mode=False)
    assert result.return_value == 78
    report = json.loads(result.output)
    assert report["ok"] is False
    assert any(row["level"] == "fail" and row["detail"] in refused.value.detail for row in report["rows"])


def test_doctor_names_what_has_no_effect_and_what_the_policy_holds_down(paths):
    config_file(paths, "{hooks: {enabled: true}, gateway: {bind: 'lan', port: 0}}")
    found = levels(paths)
    assert ("config.unused", "note") in found
    assert ("config.ceiling", "note") in found
    assert ("running", "warn") in found
    assert not any(level == "fail" for _, level in found)


def test_doctor_sees_a_taken_port_and_a_broken_database(paths):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        config_file(paths, f"{{gateway: {{port: {holder.getsockname()[1]}}}}}")
        assert ("port", "fail") in levels(paths)
    paths.tenant_db("openclaw").write_bytes(b"SQLite format 3\0" + b"x" * 500)
    assert ("database", "fail") in levels(paths)


async def test_doctor_sees_a_running_gateway_that_does_not_use_the_file(paths):
    config = ConfigService(Source.fixed(paths.tenant("openclaw"), OpenClawPolicy.model_validate({"port": 0})))
    config.load()
    async with house(paths, config.current.policy, config=config):
        assert ("running", "ok") in await asyncio.to_thread(levels, paths)
        config_file(paths, "{bogus: 1}")
        async with asyncio.timeout(10):
            while not config.pending:
                await asyncio.sleep(0.05)
        assert ("config.pending", "fail") in await asyncio.to_thread(levels, paths)

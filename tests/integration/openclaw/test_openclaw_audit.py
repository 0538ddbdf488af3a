"""A fresh OpenClaw scores 100, and each thing that is broken gives exactly its finding; doctor agrees with a start."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import socket
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from openclaw_house import STRANGER, house

from openclaw.audit import exec_checks, network_checks
from openclaw.audit.catalogue import CATALOGUE, report_view
from openclaw.audit.exec_checks import must_not_run
from openclaw.audit.facts import Facts
from openclaw.audit.harden import harden
from openclaw.audit.scripts import PROGRAM, install_scripts
from openclaw.cli import cli
from openclaw.config import OpenClawPolicy
from openclaw.config.service import ConfigService
from openclaw.config.snapshot import Source
from openclaw.doctor.examine import EXAMINATIONS, Patient
from openclaw.exec_explain import Question, explain
from shared.audit import words
from shared.audit.runner import run_checks
from shared.containment import landlock
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


def loose_programs(paths):
    place = paths.state / "programs"
    place.mkdir(parents=True)
    place.chmod(0o777)
    policy_file(paths, "exec", f"trusted_dirs = ['{place}']\n")


def unverified_access(paths):
    audience = "a" * 64
    policy_file(
        paths, "tunnel", f"name = 'x'\nhostname = 'x.example.org'\n[access]\nteam = 't'\naudiences = ['{audience}']\n"
    )


@pytest.mark.parametrize(("broken", "expected"), [(loose_programs, "AUD-EXE-005"), (unverified_access, "AUD-NET-007")])
async def test_what_is_loosened_around_it_is_found_too(paths, broken, expected):
    policy_file(paths, "openclaw", "port = 0\n")
    paths.tenant("openclaw").mkdir(mode=0o700)
    broken(paths)
    assert open_ids(await audit(paths)) == [expected]


def deciding(verdict, *, command="", env=None):
    """The engine as it is, but for one question."""

    def change(monkeypatch):
        def other(question, policy):
            found = explain(question, policy)
            hit = question.command == command if command else dict(question.env) == env
            return replace(found, verdict=verdict) if hit else found

        monkeypatch.setattr(exec_checks, "explain", other)

    return change


def answering(op, answer):
    """The running gateway as it is, but for one answer."""

    def change(monkeypatch):
        ask = Facts.ask

        def other(self, asked, **params):
            found = ask(self, asked, **params)
            return (found | answer if isinstance(answer, dict) else answer) if asked == op else found

        monkeypatch.setattr(Facts, "ask", other)

    return change


def instead(target, name, value):
    return lambda monkeypatch: monkeypatch.setattr(target, name, value)


OLD_GRANT = {"id": "g", "last_used_at": None, "created_at": "2020-01-01T00:00:00+00:00", "created_by": "me"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (deciding("allow", command="sh -c id"), ["AUD-EXE-001", "AUD-EXE-002"]),
        (deciding("allow", command="curl gopher://example.org/"), ["AUD-EXE-002"]),
        (deciding("allow", command="some-unknown-program x"), ["AUD-EXE-004"]),
        (deciding("ask", command="curl --output x https://example.org/"), ["AUD-EXE-006"]),
        (deciding("ask", env={"LD_PRELOAD": "x"}), ["AUD-EXE-007"]),
        (answering("approvals.grants", [OLD_GRANT]), ["AUD-EXE-008"]),
        (deciding("allow", command="curl http://10.0.0.1/"), ["AUD-EXE-009"]),
        (instead(network_checks, "listening_on", lambda _: [ipaddress.ip_address("0.0.0.0")]), ["AUD-NET-001"]),
        (instead(Facts, "refusal", lambda _self, _token: ""), ["AUD-NET-002"]),
        (instead(network_checks, "read_upgrade", lambda *_: SimpleNamespace(local=True)), ["AUD-NET-003"]),
        (
            instead(network_checks, "decide_pairing", lambda *_: SimpleNamespace(kind="pair", reason="x")),
            ["AUD-NET-005"],
        ),
        (instead(Facts, "head", lambda _self, _path: {}), ["AUD-NET-011"]),
        (answering("dashboard", {"token": "short"}), ["AUD-SEC-008"]),
        (answering("pairing.allowed", ["1", "2"]), ["AUD-CHN-004"]),
        (instead(landlock, "abi", lambda: 0), ["AUD-TEN-001"]),
        (instead(words, "redact", lambda value: value), ["AUD-OPS-003"]),
    ],
)
async def test_a_part_that_decides_otherwise_is_found(paths, monkeypatch, change, expected):
    policy_file(paths, "openclaw", "port = 0\n")
    paths.tenant("openclaw").mkdir(mode=0o700)
    change(monkeypatch)
    assert open_ids(await audit(paths)) == expected


class Kept:
    def __init__(self):
        self.events = []

    async def report_events(self, events):
        self.events += events

    async def audit_report(self):
        return {"lines": ["📊 Security Score: 100/100"], "exit": 0}


async def test_what_changes_who_may_do_what_is_reported_to_the_gateway(paths):
    paths.tenant("openclaw").mkdir(mode=0o700)
    gateway = Kept()
    async with house(paths, audit_gateway=gateway) as h:
        await h.say_directly("hello", STRANGER)
        async with asyncio.timeout(5):
            while not (pending := await h.control("pairing.list")):
                await asyncio.sleep(0.01)
        await h.control("pairing.approve", code=pending[0]["code"])
        async with asyncio.timeout(5):
            while not gateway.events:
                await asyncio.sleep(0.01)
        assert (await h.control("audit.whole"))["exit"] == 0
    assert [(event.kind, event.subject) for event in gateway.events] == [("pairing.approved", "discord 300")]


def test_the_scripts_are_the_programs_and_call_the_tenant_in_whose_folder_they_lie(paths, tmp_path):
    """What runs is root's where root has installed the program, and nobody else may write it."""
    for tenant in ("openclaw", "second"):
        paths.tenant(tenant).mkdir(parents=True, exist_ok=True)
        install_scripts(paths, tenant)
    place = paths.openclaw_script("second", "quick-audit.sh")
    facts = place.stat()
    assert place.is_symlink()
    assert facts.st_mode & 0o777 == 0o755
    if os.geteuid() == 0:
        assert facts.st_uid == 0

    program = tmp_path / "bin" / "openclaw"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    elsewhere = tmp_path / "lib" / "python" / "site-packages" / "openclaw" / "audit" / "quick.sh"
    elsewhere.parent.mkdir(parents=True)
    elsewhere.write_text(place.read_text())

    def typed(link: Path, *words: str) -> str:
        link.unlink(missing_ok=True)
        link.symlink_to(elsewhere)
        return subprocess.run(["bash", link, *words], check=True, capture_output=True, text=True).stdout.strip()

    whose = f"--tenant second --state {paths.state}"
    assert typed(place, "--json") == f"security quick-audit {whose} --json"
    assert typed(paths.openclaw_script("second", "quick-harden.sh")) == f"security quick-harden {whose}"
    mounted = tmp_path / ".openclaw" / "skills" / "secureclaw" / "scripts"
    mounted.mkdir(parents=True)
    assert typed(mounted / "quick-audit.sh") == "security quick-audit", "Compose's environment names the state"


def test_what_a_tenant_put_in_a_scripts_place_is_the_programs_again_at_its_next_start(paths):
    install_scripts(paths, "openclaw")
    place = paths.openclaw_script("openclaw", "quick-audit.sh")
    place.unlink()
    place.write_text("#!/bin/sh\necho all is well\n")
    install_scripts(paths, "openclaw")
    assert place.resolve() == PROGRAM.resolve()
    assert sorted(file.name for file in place.parent.iterdir()) == ["quick-audit.sh", "quick-harden.sh"]


def test_hardening_tightens_once(paths):
    config_file(paths, "{}")
    paths.openclaw_config("openclaw").chmod(0o644)
    assert any("openclaw.json: 644 -> 600" in line for line in harden(paths, "openclaw"))
    assert list(harden(paths, "openclaw")) == []


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
    everyday = [f"curl {flags}https://example.org/" for flags in ("", "-s ", "-sS -m 10 ", "--silent --max-time 10 ")]
    assert {explain(Question(command=text), ExecPolicy()).verdict for text in everyday} == {"allow"}


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

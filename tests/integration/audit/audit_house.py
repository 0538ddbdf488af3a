"""A whole installation as the audit sees it: real files and policies, and answers as healthy processes give them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gateway.audit.base import ANSWERED_BY
from gateway.audit.containers import Seen, planned
from gateway.audit.content_checks import contents, skill_folders, standing_files
from gateway.audit.facts import Asked, Facts, Knock, Machine, Running
from gateway.audit.gather import gather
from gateway.workers.instance import installation_id
from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file
from shared.secrets.files import Secret, write_private

IMAGE = "sha256:" + "a" * 64
NOW = datetime(2026, 11, 27, tzinfo=UTC)
WORKER = "0" * 16


def furnish(paths: Paths, folder) -> None:
    """What a start would make, for a server with tunnel, Access, media, posting and backups: every check applies."""
    paths.state.mkdir(mode=0o711, parents=True)
    paths.runtime.mkdir(mode=0o711)
    for name in ("gateway", "nanoclaw", "openclaw"):
        paths.tenant(name).mkdir(mode=0o700)
        paths.process_log(name).parent.mkdir(mode=0o700)
    write_private(paths.env_file, "ASSISTANT_NAME=J\nDISCORD_BOT_TOKEN=" + "d" * 30 + "\n")
    write_private(paths.gateway_db, "")
    paths.worker_dir(WORKER).mkdir(parents=True)
    for group in ("main", "family"):
        paths.group_logs("nanoclaw", group).mkdir(parents=True, mode=0o700)
        (paths.group("nanoclaw", group) / "CLAUDE.md").write_text("# notes\n")
    skill = paths.group_session("nanoclaw", "main") / "skills" / "weather"
    skill.mkdir(parents=True)
    (skill / "SKILL.md").write_text("looks outside\n")
    credentials = folder / "tunnel.json"
    write_private(credentials, "{}")
    overlay_file(
        operator_file("gateway", paths),
        {"credentials": {f"{name}_file": str(folder / name) for name in ("claude", "codex", "copilot")}},
    )
    overlay_file(
        operator_file("social", paths),
        {
            "media": {"public_base": "https://media.example.org"},
            "tenants": {"nanoclaw": {"threads": {"groups": ["main"]}}},
        },
    )
    overlay_file(
        operator_file("tunnel", paths),
        {
            "name": "claw",
            "hostname": "claw.example.org",
            "credentials_file": str(credentials),
            "config_file": str(folder / "cloudflared" / "config.yml"),
            "media_hostname": "media.example.org",
            "media_service": "http://localhost:18790",
            "access": {"team": "example", "audiences": ["a" * 64]},
        },
    )
    rules = folder / "rules.v4"
    rules.write_text("*filter\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n")
    overlay_file(
        operator_file("audit", paths),
        {
            "deployment": "compose",
            "firewall_rules": str(rules),
            "inbound_ports": [22],
        },
    )
    remote = {"url": "git@git.example.org:me/backup.git"}
    overlay_file(operator_file("backup", paths), {"remotes": {"nanoclaw": remote, "openclaw": remote}})
    from gateway.tunnel.policy import load_tunnel
    from gateway.tunnel.service import write

    write(load_tunnel(paths), paths, folder / "cloudflared" / "config.yml")


def job(name: str, **more) -> dict:
    later = (NOW + timedelta(hours=3)).isoformat()
    row = {"name": name, "next_at": later, "failures": 0, "running": False, "outcome": "ok", "detail": ""}
    return row | {"ended_at": (NOW - timedelta(days=1)).isoformat()} | more


JOBS = ("logs.rotate", "logs.delete", "docker.prune", "tokens.check", "audit", "database.check", "backup.drill")


def healthy(paths: Paths, folder) -> Facts:
    """Facts of an installation in which nothing is open."""
    found = gather(paths)
    settings = found.settings
    plans = [
        replace(plan, image_created=NOW - timedelta(days=3))
        for plan in planned(settings, installation_id(paths), IMAGE)
    ]
    processes = {
        name: Asked(Running(1, frozenset({"PATH"}), holds_lock=True)) for name in ("gateway", "nanoclaw", "openclaw")
    }
    tenants = {
        tenant: Asked([{"id": id_, "result": "pass", "evidence": "well"} for id_ in sorted(ANSWERED_BY[tenant])])
        for tenant in ("nanoclaw", "openclaw")
    }
    facts = replace(
        found,
        now=NOW,
        home=folder / "home",
        containers=Asked([running(plans[0]), *plans]),
        engine=Asked("27.1.0"),
        processes=processes,
        sign_ins=Asked([sign_in("claude"), sign_in("threads", days=30)]),
        jobs={name: Asked([job(each) for each in JOBS]) for name in processes},
        posts=Asked([post("published")]),
        backups=Asked({name: {"ok_at": (NOW - timedelta(hours=5)).isoformat()} for name in ("nanoclaw", "openclaw")}),
        drill=Asked(dict.fromkeys(("worker", "model", "post", "web", "exec"), "refused")),
        knocks=Asked([Knock("a caller of nanoclaw without a key", 401)]),
        tenants=tenants,
        served=Asked([Knock("/m/", 404)]),
        machine=Asked(Machine(50, has_swap=True, sshd="PermitRootLogin no\nPasswordAuthentication no\n")),
        listening=lambda _port: [],
        lock=Asked({"pydantic": found.installed["pydantic"]}),
    )
    found_now = {**contents(facts, standing_files(facts)), **contents(facts, skill_folders(facts))}
    return replace(facts, accepted=Asked(found_now))


def running(plan: Seen) -> Seen:
    """The planned container as if it ran."""
    return replace(plan, name="nanoclaw-main-00000000", is_plan=False, started_at=NOW - timedelta(minutes=5))


def sign_in(provider: str, **ends) -> dict:
    row = {"provider": provider, "tenant": "nanoclaw", "health": "ok", "failing_since": None}
    return row | {"expires_at": (NOW + timedelta(**(ends or {"hours": 5}))).isoformat()}


def post(state: str, **age) -> dict:
    return {"id": "post_1", "state": state, "created_at": (NOW - timedelta(**(age or {"hours": 1}))).isoformat()}


def secret(facts: Facts, name: str, value: str) -> Facts:
    return replace(facts, live=Asked({**facts.live.get(), name: Secret(value)}))

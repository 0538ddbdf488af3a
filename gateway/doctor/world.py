"""What lies outside this machine, and what is due: upstreams, clock, bots, sign-ins, backups, the tunnel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

from gateway.backup.policy import load_backup
from gateway.backup.report import backup_rows
from gateway.doctor.patient import Patient
from gateway.settings import Settings
from gateway.setup.discord import DiscordSetup
from gateway.setup.look import sign_in_steps
from gateway.tunnel import service as tunnel
from gateway.tunnel.policy import load_tunnel
from shared.clock import SYSTEM_CLOCK
from shared.doctor.rows import Row, refused
from shared.errors import AuthRequired, GatewayError
from shared.http.client import HttpPool
from shared.secrets.files import Secret

_PATIENCE_S = 8.0
_MOST_BYTES = 1 << 20
_SKEW_S = 60.0
"""Signed addresses and tokens go wrong beyond a minute or so; source: leeway of the edge's tokens (reference notes)."""


async def upstream_rows(settings: Settings) -> list[Row]:
    """Whether every upstream answers at all, without a credential, and whether its clock agrees with ours."""
    up = settings.upstreams
    places = {
        "discord": up.discord.api_base,
        "claude": up.claude.api_base,
        "codex": up.codex.api_base,
        "copilot": up.copilot.api_base,
        "github": up.github.api_base,
    }
    if any(settings.tenant_secrets(name).get("slack_bot_token") for name in settings.enabled_tenants()):
        places["slack"] = up.slack.api_base
    async with HttpPool() as http:
        asked = [_reach(http, name, url) for name, url in places.items() if url]
        found = await asyncio.gather(*asked, *_bots(settings, http))
    rows = [row for rows, _ in found for row in rows]
    return [*rows, *_clock([skew for _, skew in found if skew is not None])]


async def _reach(http: HttpPool, name: str, url: str) -> tuple[list[Row], float | None]:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            answer = await http.request("GET", url, read_timeout_s=_PATIENCE_S, max_bytes=_MOST_BYTES)
    except (GatewayError, TimeoutError) as error:
        why = error.detail if isinstance(error, GatewayError) else f"no answer within {_PATIENCE_S:.0f} s"
        fix = "look at the network, DNS and firewall of this machine; --offline leaves this out"
        return [Row(f"upstream.{name}", "fail", f"{url} cannot be reached: {why}", fix, "upstream.unreachable")], None
    return [Row(f"upstream.{name}", "ok", f"{url} answers")], _skew(answer.header("date"), SYSTEM_CLOCK.now())


def _skew(date: str, now: datetime) -> float | None:
    """Seconds that our clock is ahead of a ``Date`` header's; None without a usable one."""
    try:
        return (now - parsedate_to_datetime(date)).total_seconds()
    except (TypeError, ValueError):
        return None


def _clock(skews: list[float]) -> Iterator[Row]:
    """The middle of all upstreams' clocks is believed: neither one wrong server nor half of them accuses ours."""
    if not skews:
        return
    inner = sorted(skews)[(len(skews) - 1) // 2 : len(skews) // 2 + 1]
    skew = min(inner, key=abs)
    if abs(skew) > _SKEW_S:
        detail = f"this machine's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} its upstreams'"
        yield Row("clock", "warn", detail, "sudo timedatectl set-ntp true")
    else:
        yield Row("clock", "ok", "this machine's clock agrees with its upstreams'")


def _bots(settings: Settings, http: HttpPool) -> Iterator[Any]:
    discord = DiscordSetup(http, settings.upstreams.discord.api_base)
    for name in settings.enabled_tenants():
        token = settings.tenant_secrets(name).get("discord_bot_token", "")
        if token:
            yield _bot(discord, name, Secret(token))


async def _bot(discord: DiscordSetup, name: str, token: Secret) -> tuple[list[Row], None]:
    put = f"reset it at the developer page, then: clawgate secrets set DISCORD_BOT_TOKEN --tenant {name}"
    try:
        async with asyncio.timeout(_PATIENCE_S):
            bot = await discord.bot(token)
    except AuthRequired:
        detail = f"{name}: Discord refused the bot token"
        return [Row(f"bot.{name}", "fail", detail, put, "discord.token_refused")], None
    except (GatewayError, TimeoutError):
        return [], None  # that Discord does not answer is a row of its own
    if not bot.reads_messages:
        detail = f"{name}: Discord does not let {bot.name} read messages: its Message Content Intent is off"
        fix = "switch it on at the developer page, page Bot, then start again"
        return [Row(f"bot.{name}", "fail", detail, fix, "discord.intents_disallowed")], None
    return [Row(f"bot.{name}", "ok", f"{name} is {bot.name}, in {len(bot.servers)} server(s)")], None


def sign_in_rows(sign_ins: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    """Sign-ins at model providers, and those of tenants that end soon or have ended."""
    found = list(sign_ins)
    for step in sign_in_steps(found):
        yield Row(step.name, "ok" if step.state == "done" else "warn", step.detail, step.fix)
    for line in found:
        if line["health"] in {"login_needed", "unreadable", "expired"} and line["tenant"] != "gateway":
            fix = f"clawgate auth login {line['provider']} --tenant {line['tenant']}"
            yield Row(
                f"sign_in.{line['tenant']}", "warn", f"{line['provider']} of {line['tenant']}: {line['health']}", fix
            )


def _backups(patient: Patient) -> Iterator[Row]:
    try:
        policy = load_backup(patient.paths)
    except GatewayError:
        return  # a row of its own says so
    if not policy.remotes:
        yield Row("backups", "warn", "nothing is backed up", "docs/backup.md")
        return
    for row in backup_rows(patient.paths, policy):
        if row["late"]:
            detail = f"{row['tenant']}: no backup within {policy.alert_after_hours:g} hours: {row['detail']}"
            yield Row("backups", "warn", detail, f"clawgate backup run {row['tenant']}")
        else:
            yield Row("backups", "ok", f"{row['tenant']}: newest of {row['ok_at']}")


def _tunnel(patient: Patient) -> Iterator[Row]:
    try:
        policy = load_tunnel(patient.paths)
    except GatewayError:
        return  # none is set up, or a row of its own says what is wrong
    try:
        findings = tunnel.validate(policy, patient.paths, Path(policy.config_file))
    except GatewayError as error:
        yield refused("tunnel", error, "clawgate tunnel config --write")
        return
    for finding in findings:
        yield Row("tunnel", "fail" if finding.level == "error" else "warn", finding.text, finding.fix)
    if not findings:
        yield Row("tunnel", "ok", f"{policy.hostname}: cloudflared's file is as it should be")


EXAMINATIONS: Final[tuple[Callable[[Patient], Iterable[Row]], ...]] = (_backups, _tunnel)

"""Puts what the product needs to run offline into a state directory of the sandbox's own.

The product itself knows nothing of the sandbox: it reads policy files, a ``.env`` and credential files, all of
which happen to name emulators.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.credentials.environment import load_env, prefix_of
from gateway.credentials.meta import REDIRECTS, env_names
from gateway.credentials.views import Kind
from gateway.sandbox.meta import MetaWorld
from gateway.sandbox.meta.tokens import App, Network
from gateway.sandbox.options import BOT_TENANTS
from shared.config.envfile import read_env
from shared.config.envwrite import write_back
from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file
from shared.errors import ConfigError
from shared.secrets.files import Secret


@dataclass(frozen=True, slots=True)
class CredentialPaths:
    """Where the sandbox keeps the logins its emulators issued."""

    claude: Path
    codex: Path
    copilot: Path
    folder: Path

    @classmethod
    def of(cls, paths: Paths) -> CredentialPaths:
        """Inside the state directory, never in the person's home."""
        home = paths.state / "logins"
        return cls(home / "claude.json", home / "codex.json", home / "copilot", home)


def claim_state(paths: Paths) -> None:
    """Make a state directory the sandbox's own.

    Raises:
        ConfigError: the directory holds a real installation, which the sandbox must never touch.
    """
    marker = paths.sandbox_marker
    if not marker.exists() and paths.env_file.exists():
        raise ConfigError(
            f"{paths.state} holds a real installation ({paths.env_file} exists): give the sandbox another --state",
            code="config.not_a_sandbox",
        )
    paths.state.mkdir(parents=True, exist_ok=True, mode=0o711)
    marker.touch()


def seed_env(
    paths: Paths,
    *,
    bot_tokens: dict[str, Secret],
    apps: dict[str, str],
    slack_tokens: dict[str, Secret] | None = None,
) -> str:
    """Write the sandbox's ``.env`` and return the Control UI's token, which stays the same over restarts.

    What a person added or changed stays, but for the bots' tokens, which are the emulated platforms'.

    Args:
        paths: the sandbox's own.
        bot_tokens: on Discord, by tenant.
        apps: the apps registered at the emulated Meta, by ``.env`` name.
        slack_tokens: by ``.env`` name; none leaves Slack off.
    """
    usual = {"OPENCLAW_GATEWAY_TOKEN": secrets.token_hex(24), "ASSISTANT_NAME": "J", "TZ": "Asia/Seoul"}
    slack = {name: token.reveal() for name, token in (slack_tokens or {}).items()}
    bots = {_token_name(name): bot_tokens[name].reveal() if name in bot_tokens else "" for name in BOT_TENANTS}
    bots |= {_token_name(name): token.reveal() for name, token in bot_tokens.items()}
    present = read_env(paths.env_file)
    missing = {name: value for name, value in usual.items() if name not in present}
    slack |= {name: "" for name in present if name.startswith("SLACK_") and name not in slack}  # of an earlier start
    for name, value in {**missing, **apps, **bots, **slack}.items():
        write_back(paths.env_file, (name,), Secret(value))
    # The person may have put another one into the vault meanwhile.
    return load_env(paths)["OPENCLAW_GATEWAY_TOKEN"]


def _token_name(tenant: str) -> str:
    return "DISCORD_BOT_TOKEN" if tenant == "nanoclaw" else f"{prefix_of(tenant)}DISCORD_BOT_TOKEN"


def register_apps(paths: Paths, meta: MetaWorld) -> dict[str, str]:
    """Register each tenant's own app at both networks, with the ids and secrets of the last start if there was one.

    Returns:
        Ids and secrets by ``.env`` name.
    """
    before, values = read_env(paths.env_file), dict[str, str]()
    kinds: dict[str, Kind] = {"nanoclaw": "nanoclaw", "openclaw": "openclaw"}
    networks: tuple[Network, ...] = ("threads", "instagram")
    for tenant, kind in kinds.items():
        for network in networks:
            id_name, secret_name = (env_names(tenant, f"{network.upper()}_APP_{part}")[-1] for part in ("ID", "SECRET"))
            values[id_name] = before.get(id_name) or str(secrets.randbelow(10**15) + 10**15)
            values[secret_name] = before.get(secret_name) or secrets.token_hex(16)
            meta.register_app(network, App(values[id_name], values[secret_name], REDIRECTS[kind]))
    return values


def seed_policies(
    paths: Paths,
    *,
    upstreams: dict[str, dict[str, str]],
    sign_in: dict[str, dict[str, Any]],
    egress: dict[str, Any],
    engine: dict[str, str],
    ports: dict[str, int],
    further_ports: Mapping[str, int],
    guild_id: str | None,
    people: tuple[str, ...],
) -> None:
    """Lay the sandbox's keys over the operator's copies of the policy files.

    Args:
        paths: the sandbox's own.
        upstreams: addresses by section and name.
        sign_in: the same of the places where people sign in.
        egress: what agents may read of the web.
        engine: the ``[engine]`` table.
        ports: ``control_ui`` and ``model_api``.
        further_ports: of OpenClaws beside the first, by name; those left out keep theirs.
        guild_id: the emulated server; None when another Discord server is used, whose ids are not known.
        people: who is on the emulated platforms; empty when nobody is known.
    """
    logins = CredentialPaths.of(paths)
    discord: dict[str, Any] = {"dm_policy": "pairing"}
    if guild_id:
        server = {"require_mention": True, "users": [one for one in people if one.isdecimal()]}  # not Slack's
        discord |= {"group_policy": "allowlist", "guilds": {guild_id: server}}
    else:
        discord |= {"group_policy": "open"}
    overlay_file(operator_file("upstreams", paths), upstreams)
    overlay_file(operator_file("oauth", paths), sign_in)
    overlay_file(operator_file("egress", paths), egress)
    overlay_file(
        operator_file("gateway", paths),
        {
            "sandbox": True,
            "engine": engine,
            "model_api": {"port": ports["model_api"], "rate_limit_s": 0},  # nobody's quota is at stake here
            "credentials": {
                "claude_file": str(logins.claude),
                "codex_file": str(logins.codex),
                "copilot_file": str(logins.copilot),
            },
        },
    )
    overlay_file(operator_file("nanoclaw", paths), {"chats": {"register": "on_mention", "people": list(people)}})
    overlay_file(operator_file("openclaw", paths), {"port": ports["control_ui"], "discord": discord})
    for name, port in further_ports.items():
        overlay_file(operator_file(name, paths), {"port": port})

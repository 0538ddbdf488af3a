"""The vault and ``.env`` together: one rule says which value counts, and nothing that cannot be read is passed over."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from gateway.credentials.environment import load_env, origins
from gateway.credentials.vault import open_vault
from gateway.settings import Settings
from shared.config.paths import Paths
from shared.errors import ConfigError
from shared.secrets.files import write_private


async def installation(tmp_path: Path, env: str, **stored: str) -> Paths:
    """``.env`` with a text and a vault with ``tenant__NAME`` values."""
    paths = Paths(tmp_path / "s", tmp_path / "r")
    write_private(paths.env_file, env)
    for place, value in stored.items():
        tenant, _, name = place.partition("__")
        await open_vault(paths).put(tenant, name, value.encode())
    return paths


async def test_the_vault_goes_before_the_file_and_fills_what_it_lacks(tmp_path: Path) -> None:
    paths = await installation(
        tmp_path,
        "DISCORD_BOT_TOKEN=file\nTZ=Asia/Seoul\n",
        gateway__DISCORD_BOT_TOKEN="vault",
        gateway__ANTHROPIC_API_KEY_FALLBACK="key",
        openclaw__DISCORD_BOT_TOKEN="open",
        openclaw__codex="a sign-in, not a setting",
    )
    assert load_env(paths) == {
        "DISCORD_BOT_TOKEN": "vault",
        "TZ": "Asia/Seoul",
        "ANTHROPIC_API_KEY_FALLBACK": "key",
        "OPENCLAW_DISCORD_BOT_TOKEN": "open",
    }
    settings = Settings.load(paths)
    assert settings.tenant_secrets("nanoclaw") == {"discord_bot_token": "vault"}
    assert settings.tenant_secrets("openclaw") == {"discord_bot_token": "open"}
    await open_vault(paths).remove("gateway", "DISCORD_BOT_TOKEN")
    assert load_env(paths)["DISCORD_BOT_TOKEN"] == "file"


async def test_a_tenants_own_entry_goes_before_the_gateways_of_the_same_meaning(tmp_path: Path) -> None:
    paths = await installation(
        tmp_path,
        "OPENCLAW_GATEWAY_TOKEN=file\n",
        gateway__OPENCLAW_GATEWAY_TOKEN="gateways",
        openclaw__OPENCLAW_GATEWAY_TOKEN="own",
    )
    assert load_env(paths)["OPENCLAW_GATEWAY_TOKEN"] == "own"


@pytest.mark.parametrize("places", list(itertools.product([False, True], repeat=4)))
async def test_what_is_said_to_count_is_what_a_tenant_gets(tmp_path: Path, places: tuple[bool, ...]) -> None:
    plain, prefixed, sealed, own = places
    env = ("DISCORD_BOT_TOKEN=file-plain\n" if plain else "") + (
        "NANOCLAW_DISCORD_BOT_TOKEN=file-own\n" if prefixed else ""
    )
    stored = {"gateway__DISCORD_BOT_TOKEN": "vault-plain"} if sealed else {}
    stored |= {"nanoclaw__DISCORD_BOT_TOKEN": "vault-own"} if own else {}
    paths = await installation(tmp_path, env, **stored)
    value = Settings.load(paths).tenant_secrets("nanoclaw").get("discord_bot_token")
    names = {
        ("vault", "nanoclaw", "DISCORD_BOT_TOKEN"): "vault-own",
        ("vault", "gateway", "DISCORD_BOT_TOKEN"): "vault-plain",
        (".env", "gateway", "DISCORD_BOT_TOKEN"): "file-plain",
        (".env", "gateway", "NANOCLAW_DISCORD_BOT_TOKEN"): "file-own",
    }
    entries = [tuple(place.split("__")) for place in stored]
    file = [line.partition("=")[0] for line in env.splitlines()]
    counting = [names[o.place, o.tenant, o.name] for o in origins(entries, file) if not o.shadowed_by]
    assert counting == ([value] if value else [])


async def test_a_name_that_must_not_be_set_is_refused_from_the_vault_too(tmp_path: Path) -> None:
    paths = await installation(tmp_path, "", gateway__ANTHROPIC_API_KEY="sk-canary")
    with pytest.raises(ConfigError, match="clawgate secrets unset") as caught:
        load_env(paths)
    assert "canary" not in caught.value.detail


async def test_a_value_that_cannot_be_opened_stops_the_start_instead_of_being_passed_over(tmp_path: Path) -> None:
    paths = await installation(tmp_path, "DISCORD_BOT_TOKEN=old\n", gateway__DISCORD_BOT_TOKEN="new")
    sealed = next((paths.gateway / "vault" / "sealed" / "gateway" / "DISCORD_BOT_TOKEN").iterdir())
    sealed.write_bytes(sealed.read_bytes().replace(b"DISCORD", b"DISCARD"))
    with pytest.raises(ConfigError, match="clawgate secrets list"):
        Settings.load(paths)
    (paths.gateway / "vault" / "keys").unlink()
    with pytest.raises(ConfigError, match="put the key file back"):
        Settings.load(paths)


async def test_a_sign_in_that_cannot_be_opened_does_not_stop_the_start(tmp_path: Path) -> None:
    paths = await installation(tmp_path, "DISCORD_BOT_TOKEN=file\n", gateway__codex="{}")
    (paths.gateway / "vault" / "keys").unlink()
    assert Settings.load(paths).tenant_secrets("nanoclaw") == {"discord_bot_token": "file"}


async def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    paths = await installation(tmp_path, "")
    await open_vault(paths).put("gateway", "GATEWAY_TOKEN", b"\xff\xfe")
    with pytest.raises(ConfigError, match="not text"):
        load_env(paths)

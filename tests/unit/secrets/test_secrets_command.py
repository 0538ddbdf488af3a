"""``clawgate secrets``: values go in by prompt or pipe and never come out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.secrets import cli
from gateway.credentials.vault import open_vault
from shared.config.paths import Paths
from shared.errors import ConfigError, GatewayError, Invalid, NotFound
from shared.secrets.files import write_private

CANARY = "canary-value-314159"


def run(tmp_path: Path, *argv: str, stdin: str = "") -> Result:
    result = CliRunner().invoke(cli, [*argv, "--state", str(tmp_path)], input=stdin, catch_exceptions=True)
    assert CANARY not in result.output
    if isinstance(result.exception, GatewayError):
        assert CANARY not in result.exception.detail
        raise result.exception
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


async def stored(tmp_path: Path, name: str, tenant: str = "gateway") -> bytes | None:
    return await open_vault(Paths.resolve(tmp_path)).get(tenant, name)


def test_set_list_and_unset(tmp_path: Path) -> None:
    assert "Nothing is stored" in run(tmp_path, "list").output
    run(tmp_path, "set", "SLACK_TOKEN", stdin=f"{CANARY}\n")
    run(tmp_path, "set", "SLACK_TOKEN", stdin=f"{CANARY}2\r\n")
    run(tmp_path, "set", "OTHER", "--tenant", "openclaw", stdin="x\n")
    text = run(tmp_path, "list").output
    assert re.search(r"gateway +SLACK_TOKEN +2 +2 +k\d+ +20\d\d-", text)
    (entry,) = json.loads(run(tmp_path, "list", "--json", "--tenant", "openclaw").output)
    assert (entry["name"], entry["version"], entry["problem"]) == ("OTHER", 1, None)
    assert (entry["counts_as"], entry["shadowed_by"]) == ("OPENCLAW_OTHER", None)
    run(tmp_path, "unset", "SLACK_TOKEN")
    with pytest.raises(NotFound):
        run(tmp_path, "unset", "SLACK_TOKEN")


async def test_the_stored_value_has_no_line_end_but_keeps_inner_ones(tmp_path: Path) -> None:
    import asyncio

    await asyncio.to_thread(run, tmp_path, "set", "PEM", stdin="-----BEGIN-----\nabc\n-----END-----\n")
    assert await stored(tmp_path, "PEM") == b"-----BEGIN-----\nabc\n-----END-----"


@pytest.mark.parametrize("stdin", ["", "\n", "  \n"])
def test_an_empty_value_is_refused(tmp_path: Path, stdin: str) -> None:
    with pytest.raises(Invalid, match="nothing was stored"):
        run(tmp_path, "set", "NAME", stdin=stdin)


def test_a_value_in_the_arguments_is_refused_unquoted(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="name only"):
        run(tmp_path, "set", f"NAME={CANARY}")


async def test_import_env_takes_what_looks_secret_once(tmp_path: Path) -> None:
    import asyncio

    env = tmp_path / "gateway" / ".env"
    write_private(env, f"# mine\nDISCORD_BOT_TOKEN={CANARY}\nTZ=Asia/Seoul\nTHREADS_APP_SECRET='{CANARY} two'\n")
    before = env.read_bytes()
    first = await asyncio.to_thread(run, tmp_path, "import-env", "--tenant", "nanoclaw")
    assert "2 of 2 imported" in first.output
    assert "1 skipped" in first.output
    assert "0 of 2 imported" in (await asyncio.to_thread(run, tmp_path, "import-env", "--tenant", "nanoclaw")).output
    assert await stored(tmp_path, "THREADS_APP_SECRET", "nanoclaw") == f"{CANARY} two".encode()
    assert await stored(tmp_path, "TZ", "nanoclaw") is None
    assert env.read_bytes() == before
    with pytest.raises(NotFound, match="nothing was imported"):
        await asyncio.to_thread(run, tmp_path, "import-env", "--name", "TZ", "--name", "NOPE")


def test_import_env_refuses_a_readable_file_and_a_forbidden_name(tmp_path: Path) -> None:
    env = tmp_path / "other.env"
    env.write_text(f"A_TOKEN={CANARY}\n")
    env.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        run(tmp_path, "import-env", str(env))
    write_private(env, f"ANTHROPIC_API_KEY={CANARY}\n")
    with pytest.raises(ConfigError, match="must not be set"):
        run(tmp_path, "import-env", str(env))


def test_rotate_key_says_what_it_did(tmp_path: Path) -> None:
    run(tmp_path, "set", "NAME", stdin=CANARY)
    done = json.loads(run(tmp_path, "rotate-key", "--json").output)
    assert (done["resealed"], len(done["dropped"])) == (1, 1)
    assert "0 sealed files" not in run(tmp_path, "rotate-key").output


def test_list_shows_a_problem_and_exits_1(tmp_path: Path) -> None:
    run(tmp_path, "set", "NAME", stdin=CANARY)
    (tmp_path / "gateway" / "vault" / "keys").unlink()
    result = CliRunner().invoke(cli, ["list", "--state", str(tmp_path)], standalone_mode=False)
    assert result.return_value == 1
    assert "PROBLEM" in result.output


def test_list_shows_where_a_value_comes_from_and_what_goes_before_it(tmp_path: Path) -> None:
    env = tmp_path / "gateway" / ".env"
    write_private(env, f"DISCORD_BOT_TOKEN={CANARY}\nOPENCLAW_DISCORD_BOT_TOKEN={CANARY}\nTZ=Asia/Seoul\n")
    run(tmp_path, "set", "DISCORD_BOT_TOKEN", "--tenant", "openclaw", stdin=CANARY)
    text = run(tmp_path, "list").output
    assert re.search(r"vault +openclaw +DISCORD_BOT_TOKEN .* yes, as OPENCLAW_DISCORD_BOT_TOKEN", text)
    shadowed = r"\.env +gateway +OPENCLAW_DISCORD_BOT_TOKEN .* no: vault openclaw/DISCORD_BOT_TOKEN goes first"
    assert re.search(shadowed, text)
    assert re.search(r"\.env +gateway +DISCORD_BOT_TOKEN .* yes", text)
    assert "TZ" not in text
    done = run(tmp_path, "unset", "DISCORD_BOT_TOKEN", "--tenant", "openclaw").output
    assert "still sets OPENCLAW_DISCORD_BOT_TOKEN" in done


def test_storing_says_who_will_read_it_and_from_when(tmp_path: Path) -> None:
    for arguments, says in (
        (("DISCORD_BOT_TOKEN",), "clawgate restart nanoclaw"),
        (("DISCORD_BOT_TOKEN", "--tenant", "openclaw"), "clawgate restart openclaw"),
        (("OPENCLAW_GATEWAY_TOKEN",), "clawgate restart openclaw"),
        (("ANTHROPIC_API_KEY_FALLBACK",), "clawgate restart gateway"),
        (("DISCORD_BOT_TOKEN", "--tenant", "openclow"), "no tenant 'openclow' (there are nanoclaw, openclaw)"),
    ):
        assert says in run(tmp_path, "set", *arguments, stdin=CANARY).output
    for name, says in (("ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY_FALLBACK"), ("ANTHROPIC_AUTH_TOKEN", "remove it")):
        with pytest.raises(ConfigError, match=says):
            run(tmp_path, "set", name, stdin=CANARY)
    with pytest.raises(Invalid, match="clawgate auth login"):
        run(tmp_path, "set", "codex", stdin=CANARY)


def test_a_sign_in_in_the_file_is_not_copied(tmp_path: Path) -> None:
    env = tmp_path / "gateway" / ".env"
    write_private(env, f"THREADS_ACCESS_TOKEN={CANARY}\nTHREADS_APP_SECRET={CANARY}\n")
    done = run(tmp_path, "import-env").output
    assert "1 of 1 imported" in done
    assert "clawgate auth import threads" in done
    assert "clawgate restart gateway" in done
    assert "shown only" in run(tmp_path, "list").output

"""``clawgate auth``: sign in, look, refresh, sign out. Works over SSH and through pipes; no browser is needed here."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shared.cli import json_option, paths_of, print_json, print_table, state_option
from shared.clock import SYSTEM_CLOCK
from shared.config.paths import Paths
from shared.signing_in import Step, talk, tell

if TYPE_CHECKING:
    from gateway.credentials.signins import SignIns

_PROVIDER = click.argument("provider", metavar="PROVIDER")
_TENANT = click.option(
    "--tenant", default="", help="Whose sign-in, where each tenant has its own (Threads, Instagram)."
)
_MAX_IMPORT_BYTES = 256 << 10
_CALL_S = 90.0
_META = frozenset({"threads", "instagram"})


@click.group()
def cli() -> None:
    """Sign in at the model providers: claude, codex, copilot, threads, instagram."""


@cli.command()
@_PROVIDER
@_TENANT
@click.option("--resume", is_flag=True, help="Finish the login begun last instead of starting a new one.")
@state_option
@json_option
def login(provider: str, tenant: str, state: Path | None, *, resume: bool, as_json: bool) -> int:
    """Sign in. Prints an address; open it in any browser and paste back what the page gives.

    The paste is read from a prompt or from standard input, so it may come through a pipe. A login stays open for ten
    minutes: `--resume` finishes it in another call.
    """
    console = Console(paths_of(state), as_json=as_json)
    finish = f"clawgate auth login {provider} --resume"
    finish += f" --tenant {tenant}" if tenant else ""
    finish += f" --state {state}" if state else ""

    def ask(step: Step, /, **params: str) -> Any:  # noqa: ANN401 - the operation's own result
        return console.ask(f"auth_{step}", provider=provider, tenant=tenant, **params)

    return talk(ask, provider, finish=finish, resume=resume, as_json=as_json)


@cli.command()
@state_option
@json_option
def status(state: Path | None, *, as_json: bool) -> int:
    """Show every sign-in: account, expiry, last and next refresh, health. Exit 1 when one needs a person."""
    lines = Console(paths_of(state), as_json=as_json).ask("auth_status")
    if as_json:
        print_json(lines)
    else:
        now = SYSTEM_CLOCK.now()
        rows = [
            (
                line["provider"] + (f" ({line['tenant']})" if line["tenant"] != "gateway" else ""),
                line["account"] or None,
                _from_now(line["expires_at"], now),
                _from_now(line["last_refresh"], now),
                _from_now(line["next_refresh"], now),
                line["health"],
            )
            for line in lines
        ]
        head = ("PROVIDER", "ACCOUNT", "EXPIRES", "LAST REFRESH", "NEXT REFRESH", "HEALTH")
        print_table(head, rows, empty="No provider is configured.")
        for line, row in zip(lines, rows, strict=True):
            if line["detail"]:
                click.echo(f"{row[0]}: {line['detail']}")
    return 1 if any(line["health"] in {"login_needed", "unreadable"} for line in lines) else 0


@cli.command()
@_PROVIDER
@_TENANT
@state_option
@json_option
def refresh(provider: str, tenant: str, state: Path | None, *, as_json: bool) -> None:
    """Refresh a sign-in now, whether due or not."""
    answer = Console(paths_of(state), as_json=as_json).ask("auth_refresh", provider=provider, tenant=tenant)
    tell("refreshed", provider, answer, as_json=as_json)


@cli.command()
@_PROVIDER
@_TENANT
@click.option("--keep-grant", is_flag=True, help="Forget it here only; do not tell the provider.")
@state_option
@json_option
def logout(provider: str, tenant: str, state: Path | None, *, keep_grant: bool, as_json: bool) -> None:
    """Forget a sign-in, here and at the provider."""
    answer = Console(paths_of(state), as_json=as_json).ask(
        "auth_logout", provider=provider, tenant=tenant, revoke=not keep_grant
    )
    tell("signed out", provider, answer, as_json=as_json)
    if answer["problem"] and not as_json:
        click.echo(f"Forgotten here, but the provider still has the grant: {answer['problem']}", err=True)


@cli.command(name="import")
@_PROVIDER
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@_TENANT
@state_option
@json_option
def import_(provider: str, file: Path | None, tenant: str, state: Path | None, *, as_json: bool) -> None:
    """Take over another program's sign-in from its FILE, or from standard input with `-`.

    For codex: auth.json of the Codex command line, or auth-profiles.json of OpenClaw; for copilot: copilot-api's
    github_token, auth-profiles.json, or OpenClaw's github-copilot.token.json, which serves until it ends (half an hour
    at most); for threads and instagram: a long-lived token, and without FILE the one in the gateway's .env. Refresh
    tokens count once: after the first refresh here, the other program has to sign in again.
    """
    paths = paths_of(state)
    if file is None and provider in _META:
        what = _env_token(provider, tenant, paths)
    else:
        what = {"tenant": tenant, "text": _file_text(provider, file, paths)}
    answer = Console(paths, as_json=as_json).ask("auth_import", provider=provider, **what)
    tell("imported", provider, answer, as_json=as_json)


class Console:
    """Asks the running gateway, else does the same on the files."""

    def __init__(self, paths: Any, *, as_json: bool) -> None:  # noqa: ANN401 - imported lazily
        self._paths = paths
        self._as_json = as_json

    def ask(self, op: str, **params: Any) -> Any:  # noqa: ANN401 - the operation's own result
        """One operation's result.

        Raises:
            GatewayError: as the operation says.
        """
        from shared.errors import Unavailable
        from shared.lifecycle.control import call

        try:
            return call(self._paths.control_socket("gateway"), op, timeout_s=_CALL_S, **params)
        except Unavailable as error:
            if error.code != "control.not_running":
                raise
        return asyncio.run(self._here(op, params))

    async def _here(self, op: str, params: dict[str, Any]) -> Any:  # noqa: ANN401 - the operation's own result
        from gateway.credentials.control import operations
        from shared.obs.log import configure_logging

        configure_logging("clawgate", level="ERROR")
        return await self._with_files(lambda sign_ins: operations(sign_ins)[op](params))

    async def _with_files(self, work: Callable[[SignIns], Awaitable[Any]]) -> Any:  # noqa: ANN401 - any result
        from gateway.credentials.settings import OAuthPolicy
        from gateway.credentials.setup import build_sign_ins
        from gateway.settings import Settings
        from shared.http.client import HttpPool

        settings = Settings.load(self._paths)
        async with HttpPool() as http:
            sign_ins = build_sign_ins(
                paths=self._paths,
                policy=OAuthPolicy.load(self._paths),
                claude_file=settings.credential_file("claude_file"),
                http=http,
                tenants={name: tenant.kind for name, tenant in settings.enabled_tenants().items()},
                env=settings.env,
                borrowed=settings.borrowed_files(),
            )
            try:
                return await work(sign_ins)
            finally:
                await sign_ins.refresher.stop()


def _env_token(provider: Any, tenant: str, paths: Paths) -> dict[str, str]:  # noqa: ANN401 - one of _META
    """The token that ``.env`` gives, whose it is, and the account it is said to belong to."""
    from gateway.credentials.meta import ShownToken
    from gateway.settings import Settings
    from shared.errors import Invalid, NotFound

    tenants = Settings.load(paths).enabled_tenants()
    wanted = {name: policy for name, policy in tenants.items() if tenant in {"", name}}
    lines = [ShownToken(provider, name, policy.kind, paths.env_file) for name, policy in wanted.items()]
    found = [(line.tenant, *given) for line in lines if (given := line.read())[0]]
    if len(found) > 1:
        ways = " or ".join(f"--tenant {name}" for name, _, _ in found)
        raise Invalid(f"{paths.env_file} has a {provider} token for more than one tenant: add {ways}")
    if not found:
        names = ", ".join(line.names[-1] for line in lines) or f"{tenant}'s"
        raise NotFound(
            f"{paths.env_file} has no {provider} token ({names}): put it there, or pipe it with "
            f"`… | clawgate auth import {provider} - --tenant {tenant or 'T'}`",
            code="auth.import",
        )
    ((owner, value, user),) = found
    return {"tenant": owner, "text": value, "user": user}


def _file_text(provider: str, file: Path | None, paths: Paths) -> str:
    from gateway.credentials.imports import DEFAULT_FILES
    from gateway.settings import Settings
    from shared.errors import Invalid, NotFound

    if file is None:
        configured = Settings.load(paths).borrowed_files()
        places = [configured[provider]] if provider in configured else []
        places += [
            path for place in DEFAULT_FILES.get(provider, ()) if (path := Path(place).expanduser()) not in places
        ]
        file = next((place for place in places if place.exists()), None)
        if file is None:
            looked = ", ".join(map(str, places)) or "nowhere by itself"
            raise NotFound(f"no file of {provider} was found (looked: {looked}): name it", code="auth.import")
    try:
        raw = sys.stdin.buffer.read(_MAX_IMPORT_BYTES + 1) if str(file) == "-" else file.read_bytes()
        if len(raw) > _MAX_IMPORT_BYTES:
            raise Invalid(f"{file} is larger than {_MAX_IMPORT_BYTES} bytes and no sign-in", code="auth.import")
        return raw.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} cannot be read ({type(error).__name__})", code="auth.import") from None


def _from_now(moment: str | None, now: datetime) -> str | None:
    if moment is None:
        return None
    seconds = (datetime.fromisoformat(moment) - now).total_seconds()
    size = abs(seconds)
    text = (
        f"{size / 86400:.0f} d"
        if size >= 172800
        else f"{size / 3600:.1f} h"
        if size >= 3600
        else f"{size / 60:.0f} min"
    )
    return f"in {text}" if seconds >= 0 else f"{text} ago"

"""``clawgate init``: from an empty machine to two bots that answer; every step also without a question."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shared.cli import paths_of, print_json, state_option
from shared.config.paths import Paths
from shared.errors import GatewayError

if TYPE_CHECKING:
    from gateway.settings import Settings
    from gateway.setup.look import Found
    from gateway.tenants.names import TenantKind

_MARKS = {"done": "✓", "todo": "•", "failed": "✗"}
_MOST_TOKEN_BYTES = 4096


@click.command()
@state_option
@click.option("--check", is_flag=True, help="Only look: ask nothing, change nothing.")
@click.option(
    "--token", "tokens", multiple=True, metavar="TENANT=@FILE", help="A bot's token, from a file or @- (a pipe)."
)
@click.option(
    "--server", default="", metavar="[TENANT=]ID", help="A server OpenClaw answers in; its owner approves commands."
)
@click.option("--owner", default="", help="Another person who approves: a Discord user id.")
@click.option(
    "--main",
    "channel",
    default="",
    metavar="[TENANT=]ID",
    help="The channel from which NanoClaw is administered (it must run).",
)
@click.option("--build", is_flag=True, help="Build the worker image if it is missing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON and ask nothing.")
def cli(
    state: Path | None,
    tokens: tuple[str, ...],
    server: str,
    owner: str,
    channel: str,
    *,
    check: bool,
    build: bool,
    as_json: bool,
) -> int:
    """Set everything up: tokens, invitations, sign-ins, who may ask, first message. Run it again at any time.

    On a terminal it asks for what is missing. Exit 1 while something that is needed is missing.
    """
    paths = paths_of(state)
    if not check:
        _given(paths, tokens, server, owner, channel, build=build)
    found = _look(paths)
    if sys.stdin.isatty() and not (check or as_json):
        found = _ask(paths, found)
    if as_json:
        print_json({"ok": found.is_ready, "steps": [step.as_json() for step in found.steps]})
    else:
        _show(found)
    return 0 if found.is_ready else 1


def _look(paths: Paths) -> Found:
    from gateway.cli.auth import Console
    from gateway.setup.look import look

    lines = Console(paths, as_json=True).ask("auth_status")
    return asyncio.run(look(paths, lines))


def _given(paths: Paths, tokens: tuple[str, ...], server: str, owner: str, channel: str, *, build: bool) -> None:
    """Do what the options say."""
    from gateway.settings import Settings
    from gateway.setup import act

    for option in tokens:
        tenant, _, place = option.partition("=")
        if not place.startswith("@"):
            raise click.UsageError("--token takes TENANT=@FILE, so that the token shows in no process list")
        name = asyncio.run(act.store_token(paths, tenant, _read(place.removeprefix("@"))))
        click.echo(f"{tenant}: the token is {name}'s and is kept in the vault", err=True)
    settings = Settings.load(paths)
    if server:
        tenant, place = _whose(settings, "openclaw", server)
        who = asyncio.run(act.allow_server(paths, tenant, place, owner))
        click.echo(f"{tenant}: answers in {place}, {who} approves; it counts from its next start", err=True)
    if build:
        click.echo(asyncio.run(act.build_image(paths, lambda line: click.echo(line, err=True))), err=True)
    if channel:
        tenant, place = _whose(settings, "nanoclaw", channel)
        asyncio.run(act.make_main(paths, tenant, place))
        click.echo(f"{tenant}: {place} is its main group, and it has said hello there", err=True)


def _whose(settings: Settings, kind: TenantKind, given: str) -> tuple[str, str]:
    """The tenant and the id of ``[TENANT=]ID``; without a tenant the first of the kind is meant."""
    tenant, is_named, place = given.rpartition("=")
    there = settings.tenants_of(kind)
    if (is_named and tenant not in there) or not there:
        raise click.UsageError(f"{given}: no {kind} of that name is on; there are: {', '.join(there) or 'none'}")
    return tenant or there[0], place


def _read(place: str) -> str:
    if place == "-":
        return sys.stdin.read(_MOST_TOKEN_BYTES)
    try:
        with Path(place).open(encoding="utf-8") as handle:
            return handle.read(_MOST_TOKEN_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{place} cannot be read: {error}") from None


def _show(found: Found) -> None:
    for step in found.steps:
        click.echo(f"{_MARKS[step.state]} {step.name}: {step.detail}")
        if step.fix:
            click.echo(f"    {step.fix}")
    missing = [step for step in found.steps if step.needed and step.state != "done"]
    if missing:
        click.echo(f"\n{len(missing)} to do. Run `clawgate init` again when you have done some of it.")
    else:
        click.echo("\nEverything is set up. Mention a bot in Discord: it answers.")


def _ask(paths: Paths, found: Found) -> Found:
    """Do the steps that can be done here, asking for what they need; what is skipped stays to do."""
    for step in found.steps:
        if step.state == "done":
            continue
        try:
            changed = _do(paths, step.name, found)
        except GatewayError as error:
            click.secho(error.detail, fg="red", err=True)
            continue
        if changed:
            found = _look(paths)
    return found


def _do(paths: Paths, name: str, found: Found) -> bool:
    """Offer one step; false when it was not done."""
    from gateway.setup import act

    kind, _, tenant = name.partition(".")
    step = next(step for step in found.steps if step.name == name)
    if kind == "bot":
        click.echo(f"\n{tenant}: {step.detail}")
        token = click.prompt(
            "Its bot token (nothing is shown; Enter skips)", default="", hide_input=True, show_default=False
        )
        if token:
            click.echo(f"That is {asyncio.run(act.store_token(paths, tenant, token))}.")
        return bool(token)
    if kind in {"intent", "server"}:
        click.echo(f"\n{tenant}: {step.detail}\n  {step.fix}")
        return bool(click.confirm("Done?", default=True))
    if kind == "model":
        if not click.confirm(f"\n{step.detail}. Sign in at {tenant} now?", default=step.needed):
            return False
        from gateway.cli import auth

        click.get_current_context().invoke(
            auth.login, provider=tenant, tenant="", state=paths.state, resume=False, as_json=False
        )
        return True
    if kind == "engine" and "--build" in step.fix:
        if click.confirm("\nThe worker image is missing; it takes a few minutes. Build it now?", default=True):
            click.echo(asyncio.run(act.build_image(paths, click.echo)))
            return True
        return False
    if kind == "access" and (bot := found.bots.get(tenant)) is not None and bot.servers:
        server = _choose(f"In which server may {tenant} answer", bot.servers)
        if server:
            click.echo(f"Commands there are approved by {asyncio.run(act.allow_server(paths, tenant, server))}.")
        return bool(server)
    if kind == "main" and (bot := found.bots.get(tenant)) is not None and bot.servers:
        channel = _choose(f"From which channel do you administer {tenant}", _channels(paths, tenant, bot.servers))
        if channel:
            asyncio.run(act.make_main(paths, tenant, channel))
        return bool(channel)
    return False


def _channels(paths: Paths, tenant: str, servers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    from gateway.setup.act import visible_channels

    return tuple(asyncio.run(visible_channels(paths, tenant, [server for server, _ in servers])))


def _choose(question: str, choices: tuple[tuple[str, str], ...]) -> str:
    """The id of what a person picks by number; empty for none."""
    click.echo(f"\n{question}?")
    for number, (_, name) in enumerate(choices, start=1):
        click.echo(f"  {number}. {name}")
    picked = click.prompt(
        "Number (0 skips)", type=click.IntRange(0, len(choices)), default=1 if len(choices) == 1 else 0
    )
    return choices[picked - 1][0] if picked else ""

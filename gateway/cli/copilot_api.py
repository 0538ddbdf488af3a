"""``clawgate copilot-api``: copilot-api's commands and flags."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shared.cli import print_json

if TYPE_CHECKING:
    from gateway.copilotapi.options import CopilotApiOptions

_TOKEN_FILE = "~/.local/share/copilot-api/github_token"  # noqa: S105 - a path
_KEYS_FILE = "~/.local/share/copilot-api/client_keys"


def _address_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--copilot-base", default="", metavar="URL", help="The Copilot API alone, elsewhere."),
        click.option("--github-api-base", default="", metavar="URL", help="GitHub's API alone, elsewhere."),
        click.option("--login-base", default="", metavar="URL", help="GitHub's login alone, elsewhere."),
        click.option(
            "--upstream-base",
            default="",
            metavar="URL",
            help="One address in place of GitHub's login, GitHub's API and the Copilot API.",
        ),
        click.option(
            "--token-file",
            type=click.Path(path_type=Path, dir_okay=False),
            default=_TOKEN_FILE,
            show_default=True,
            help="Where the GitHub sign-in is kept; copilot-api's own file by default.",
        ),
    ):
        function = option(function)
    return function


def _show_token(_context: click.Context, _option: click.Parameter, value: bool) -> None:
    if value:
        raise click.UsageError(
            "--show-token is refused: a token on a screen ends up in scrollback, recordings and logs. Whoever needs it "
            "can read the file given by --token-file"
        )


_show_token_option = click.option(
    "--show-token",
    is_flag=True,
    expose_value=False,
    callback=_show_token,
    help="Refused: tokens are not printed.",
)


@click.group("copilot-api")
def cli() -> None:
    """Serve GitHub Copilot in OpenAI's and Anthropic's dialect, without any assistant."""


@cli.command()
@click.option("--port", "-p", type=click.IntRange(0, 65535), default=4141, show_default=True, help="0: a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Any other but loopback needs --require-key.")
@click.option("--verbose", "-v", is_flag=True, help="One line for each call; never what was said.")
@click.option(
    "--account-type",
    "-a",
    type=click.Choice(["individual", "business", "enterprise"]),
    default="individual",
    show_default=True,
)
@click.option("--manual", is_flag=True, help="Ask on the terminal before each call.")
@click.option(
    "--rate-limit",
    "-r",
    "rate_limit_s",
    type=click.FloatRange(0, 3600),
    default=0,
    metavar="SECONDS",
    help="Between calls.",
)
@click.option("--wait", "-w", is_flag=True, help="With --rate-limit: wait for the turn instead of answering 429.")
@click.option("--max-waiting", type=click.IntRange(1, 10_000), default=32, show_default=True, help="With --wait.")
@click.option("--github-token", "-g", default="", metavar="TOKEN", help="Instead of the file. Others can see it.")
@click.option("--claude-code", "-c", is_flag=True, help="Print the settings that point Claude Code here.")
@click.option("--model", default="claude-sonnet-4.5", show_default=True, help="For --claude-code.")
@click.option("--small-model", default="gpt-5-mini", show_default=True, help="For --claude-code.")
@click.option("--proxy-env", is_flag=True, help="Not supported; refused with the reason.")
@click.option("--require-key", is_flag=True, help="Callers must send a key of the keys file.")
@click.option(
    "--keys-file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=_KEYS_FILE,
    show_default=True,
    help="Mode 600, one key a line.",
)
@_show_token_option
@_address_options
def start(
    *,
    github_token: str,
    claude_code: bool,
    model: str,
    small_model: str,
    proxy_env: bool,
    require_key: bool,
    keys_file: Path,
    **options: Any,  # noqa: ANN401 - handed on to CopilotApiOptions, which types them
) -> int:
    """Serve until stopped."""
    from gateway.copilotapi.account import claude_code_lines
    from gateway.copilotapi.options import CopilotApiOptions
    from gateway.copilotapi.server import serve
    from shared.config.process import log_level
    from shared.lifecycle.harden import make_undumpable
    from shared.obs.log import configure_logging
    from shared.secrets.files import Secret

    if proxy_env:
        raise click.UsageError(
            "--proxy-env is refused: credentials would pass a proxy that any variable of the environment names. Use "
            "--login-base, --github-api-base and --copilot-base to name other addresses"
        )
    if github_token:
        click.echo(
            "warning: a token on the command line is visible to every user of this machine (ps); put it into "
            f"{options['token_file']} (mode 600) instead",
            err=True,
        )
    if options["wait"] and not options["rate_limit_s"]:
        click.echo("note: --wait has no effect without --rate-limit", err=True)
    configure_logging("copilot-api", level=log_level())
    make_undumpable()
    settings = CopilotApiOptions(
        github_token=Secret(github_token) if github_token else None,
        keys_file=keys_file if require_key else None,
        **options,
    )

    def say(line: str) -> None:
        click.echo(line, err=True)
        if claude_code and line.startswith("listening on "):
            for setting in claude_code_lines(line.removeprefix("listening on "), model, small_model):
                click.echo(setting)

    ask = _ask if sys.stdin.isatty() else None
    return asyncio.run(serve(settings, ask=ask, say=say))


@cli.command()
@click.option("--verbose", "-v", is_flag=True, help="Accepted; changes nothing.")
@_show_token_option
@_address_options
def auth(*, verbose: bool, **options: Any) -> None:  # noqa: ANN401, ARG001
    """Sign in at GitHub with a code, and keep the token."""
    from gateway.copilotapi.account import sign_in

    settings = _options(options)
    account = asyncio.run(sign_in(settings, say=lambda line: click.echo(line, err=True)))
    click.echo(f"signed in{f' as {account}' if account else ''}; the token is in {settings.token_file.expanduser()}")


@cli.command("check-usage")
@click.option("--json", "as_json", is_flag=True, help="Print GitHub's answer.")
@_address_options
def check_usage(*, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Show how much of the Copilot plan is used."""
    from gateway.copilotapi.account import quota, quota_lines

    usage = asyncio.run(quota(_options(options)))
    if as_json:
        print_json(usage)
        return
    for line in quota_lines(usage):
        click.echo(line)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@_address_options
def debug(*, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Show versions and paths, for reports of problems."""
    from gateway.copilotapi.account import facts

    found = facts(_options(options))
    if as_json:
        print_json(found)
        return
    runtime = found["runtime"]
    click.echo(f"version: {found['version']}")
    click.echo(f"runtime: {runtime['name']} {runtime['version']} ({runtime['platform']} {runtime['arch']})")
    click.echo(f"token file: {found['paths']['GITHUB_TOKEN_PATH']}")
    click.echo(f"token exists: {'yes' if found['tokenExists'] else 'no'}")


def _options(given: dict[str, Any]) -> CopilotApiOptions:
    from gateway.copilotapi.options import CopilotApiOptions

    return CopilotApiOptions(**given)


def _ask(model: str) -> bool:
    return click.confirm(f"let a call of {model or 'a model'} through?", default=False, err=True)

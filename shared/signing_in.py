"""What a person at a terminal sees of a sign-in: an address to open, a code to type or to paste, and what came of it.

Who answers the steps is the caller's: the gateway itself, or a tenant that hands them on to it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, Final, Literal, Protocol

import click

from shared.cli import print_json
from shared.errors import GatewayError, Invalid

Step = Literal["begin", "resume", "complete", "poll"]
_MAX_TRIES: Final = 3


class Ask(Protocol):
    """Does one step of a sign-in; its answers are those of ``gateway/credentials/signins.py``, and hold no token."""

    def __call__(self, step: Step, /, **params: str) -> Any:  # noqa: ANN401 - JSON
        """The step's result; raises what it raises."""
        ...


def talk(ask: Ask, provider: str, *, finish: str, resume: bool = False, as_json: bool = False) -> int:
    """Lead a person through a sign-in.

    Args:
        ask: does the steps.
        provider: for the last line.
        finish: the command that finishes a login which stayed open.
        resume: finish the login begun last instead of starting a new one.
        as_json: print for a program.

    Raises:
        Invalid: nothing usable was pasted; the login stays open.
        GatewayError: as the step says.
    """
    begun = ask("resume" if resume else "begin")
    if not resume:
        _show(begun, as_json=as_json)
    answer = _wait(ask, begun["interval_s"]) if begun["flow"] == "device" else _paste(ask, finish)
    tell("signed in", provider, answer, as_json=as_json)
    return 0


def tell(what: str, provider: str, answer: Mapping[str, Any], *, as_json: bool) -> None:
    """Say that something about a sign-in is done, and whose it is."""
    if as_json:
        print_json(answer)
        return
    account = f" as {answer['account']}" if answer.get("account") else ""
    plan = f" ({answer['plan']})" if answer.get("plan") else ""
    click.echo(f"{provider}: {answer.get('detail') or what}{account}{plan}")


def _show(begun: Mapping[str, Any], *, as_json: bool) -> None:
    # The address goes to standard output also with --json, as its own line: a program has to open it.
    if as_json:
        print_json(begun)
    else:
        click.echo(begun["instructions"])
        click.echo(f"\n  {begun['url']}\n")
        if begun["user_code"]:
            click.echo(f"  code: {begun['user_code']}\n")
    sys.stdout.flush()


def _paste(ask: Ask, finish: str) -> Mapping[str, Any]:
    asks = "Paste the code or the address"
    for left in reversed(range(_MAX_TRIES)):
        pasted = _read_paste(asks, hidden="JSON" in asks)
        if not pasted.strip():
            raise Invalid(f"nothing was pasted; the login stays open for ten minutes. Finish it with: {finish}")
        try:
            answer: Mapping[str, Any] = ask("complete", pasted=pasted)
        except GatewayError as error:
            # A slip of the mouse should not cost the whole login; a pipe cannot paste again.
            if error.code not in {"auth.paste", "auth.state"} or not sys.stdin.isatty() or not left:
                raise
            click.echo(error.detail, err=True)
            continue
        if answer["done"]:
            return answer
        click.echo(f"{answer['detail']}.\nRun this on any machine with Node 18 or newer, and paste what it prints:\n")
        click.echo(answer["node_command"] + "\n")
        sys.stdout.flush()
        asks = "Paste the JSON"
    raise Invalid(f"the login was not finished; it stays open for ten minutes: {finish}", code="auth.paste")


def _wait(ask: Ask, interval_s: float) -> Mapping[str, Any]:
    click.echo("waiting for your approval in the browser (Ctrl-C stops)", err=True)
    wait_s = interval_s
    while True:
        time.sleep(max(wait_s, 0.05))
        answer: Mapping[str, Any] = ask("poll")
        if answer["done"]:
            return answer
        wait_s = answer["wait_s"]


def _read_paste(asks: str, *, hidden: bool) -> str:
    if sys.stdin.isatty():
        value: str = click.prompt(asks, default="", show_default=False, hide_input=hidden)
        return value
    # One line is one paste; a program on the other end may send the next after reading what we print.
    return sys.stdin.readline()

"""``clawgate halt`` and ``clawgate resume``: the kill switch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from shared.cli import json_option, paths_of, print_json, state_option
from shared.config.paths import Paths

_LIMIT_S = 60.0


@click.command()
@click.option("--reason", default="", help="Why; kept in the audit chain.")
@state_option
@json_option
def halt(reason: str, state: Path | None, *, as_json: bool) -> None:
    """Stop everything that agents do, at once: workers, model calls, posts, the web, commands; until `resume`."""
    from shared.lifecycle.halt import halt as stop

    paths = paths_of(state)
    stop(paths, reason or "no reason given")  # before anybody is asked: it holds also when the gateway hangs
    answer = _tell(paths, "halt", reason=reason) or {"ended": 0}
    if as_json:
        print_json({"halted": True, **answer})
    else:
        click.echo(f"stopped; {answer['ended']} workers ended. Go on with: clawgate resume{paths.state_option}")


@click.command()
@state_option
@json_option
def resume(state: Path | None, *, as_json: bool) -> None:
    """Let agents go on after `clawgate halt`."""
    from shared.lifecycle.halt import resume as go_on

    paths = paths_of(state)
    answer = _tell(paths, "resume") or {"was_halted": go_on(paths)}
    if as_json:
        print_json(answer)
    else:
        click.echo("going on" if answer["was_halted"] else "nothing was stopped")


def _tell(paths: Paths, op: str, **params: Any) -> dict[str, Any] | None:  # noqa: ANN401 - the operation's own
    """The gateway's answer; None, and a row in the chain, when it does not run."""
    from gateway.audit.chain import Chain
    from shared.errors import Unavailable
    from shared.lifecycle.control import call

    try:
        answer: dict[str, Any] = call(paths.control_socket("gateway"), op, timeout_s=_LIMIT_S, **params)
    except Unavailable as error:
        if error.code != "control.not_running":
            raise
        Chain(paths).note(
            "halted" if op == "halt" else "resumed", actor="operator", detail=str(params.get("reason", ""))
        )
        return None
    return answer

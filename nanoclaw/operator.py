"""What every ``nanoclaw`` command shares: which process is asked, and how."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from shared.cli import paths_of, state_option

_TENANT = "nanoclaw"


def common(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--state`` and ``--tenant``, which together say which process is asked."""
    tenant = click.option("--tenant", default=_TENANT, show_default=True, help="Which NanoClaw, if there are several.")
    return state_option(tenant(function))


def ask(state: Path | None, tenant: str, op: str, *, timeout_s: float = 30.0, **params: Any) -> Any:  # noqa: ANN401 - JSON
    """Call an operation of the running process.

    Raises:
        Unavailable: it does not run.
        RemoteError: it refused.
    """
    from shared.lifecycle.control import call

    return call(paths_of(state).control_socket(tenant), op, timeout_s=timeout_s, **params)

"""``openclaw models``: which models answer, and the sign-ins behind them. Works whether the gateway runs or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from openclaw.cli.sign_in import sign_in
from openclaw.cli_target import TENANT, Target, source_of, target_options
from shared.cli import json_option, paths_of, print_json, print_table, state_option
from shared.errors import Invalid, NotFound, Unavailable

if TYPE_CHECKING:
    from openclaw.config.snapshot import Source

_PRIMARY: Final = ("agents", "defaults", "model", "primary")
_FALLBACKS: Final = ("agents", "defaults", "model", "fallbacks")

_TENANT = click.option("--tenant", default=TENANT, show_default=True, help="Which OpenClaw, if there are several.")


@dataclass(frozen=True, slots=True)
class Chosen:
    """The models in force.

    Attributes:
        fallbacks: asked in this order when the first fails.
    """

    primary: str
    fallbacks: tuple[str, ...]


def _chosen(source: Source) -> Chosen:
    agent = source.check().required().policy.agent
    return Chosen(agent.model, tuple(agent.fallbacks))


def _known(state: Path | None, ref: str) -> str:
    """The catalogue's spelling of a model.

    Raises:
        Invalid: there is no such model; names near ones.
    """
    from shared.providers.catalog import load_catalog

    return load_catalog(paths_of(state)).require(ref).ref


def _write(source: Source, values: Sequence[tuple[tuple[str, ...], object]], how: str) -> None:
    from openclaw.config.changing import edit_config
    from openclaw.config.editing import set_value
    from openclaw.config.files import Writer
    from openclaw.config.policy import OPERATOR

    def edit(current: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
        for path, value in values:
            current = set_value(current, path, value)
        return dict(current)

    edit_config(source, edit, Writer(OPERATOR, how))


@click.group()
def cli() -> None:
    """Models and the sign-ins behind them."""


@cli.command("list")
@click.option("--all", "show_all", is_flag=True, help="Also those that pickers do not show.")
@click.option("--provider", default="", help="Only this provider's.")
@_TENANT
@state_option
@json_option
def models_list(provider: str, tenant: str, state: Path | None, *, show_all: bool, as_json: bool) -> None:
    """List the catalogue: what `models set` takes."""
    from shared.providers.catalog import load_catalog

    catalog = load_catalog(paths_of(state))
    found = catalog.everything(provider) if show_all else catalog.listed(provider)
    chosen = _chosen(source_of(state, tenant))
    uses = {ref: f"fallback {n}" for n, ref in enumerate(chosen.fallbacks, 1)} | {chosen.primary: "default"}
    if as_json:
        rows = [
            {"key": m.ref, "contextWindow": m.context, "reasoning": m.reasoning, "use": uses.get(m.ref)} for m in found
        ]
        print_json({"count": len(rows), "models": rows})
        return
    table = [(m.ref, m.context, "yes" if m.reasoning else "", uses.get(m.ref, "")) for m in found]
    print_table(("MODEL", "CONTEXT", "REASONS", "USE"), table, empty=f"The catalogue has no model of {provider!r}.")


@cli.command("status")
@target_options
@json_option
def models_status(target: Target, *, as_json: bool) -> None:
    """Show the models in force and, while the gateway runs, which of them rest after a failure."""
    chosen = _chosen(source_of(target.state, target.tenant))
    rests: dict[str, str] = {}
    running = True
    try:
        for row in target.request("usage.status", {})["providers"]:
            if "error" in row:
                rests[row["displayName"]] = row["error"]
    except Unavailable:
        running = False
    if as_json:
        print_json({"default": chosen.primary, "fallbacks": list(chosen.fallbacks), "running": running, "rests": rests})
        return
    click.echo(f"Default:   {chosen.primary}")
    click.echo(f"Fallbacks: {', '.join(chosen.fallbacks) or 'none; openclaw models fallbacks add PROVIDER/MODEL'}")
    for ref, words in rests.items():
        click.echo(f"{ref} {words}")
    if not running:
        click.echo("The gateway does not run: whether a model rests is not known.")
    click.echo("Sign-ins: clawgate auth status")


@cli.command("set")
@click.argument("model")
@_TENANT
@state_option
@json_option
def models_set(model: str, tenant: str, state: Path | None, *, as_json: bool) -> None:
    """Answer with MODEL (provider/model) first. One that nobody knows is refused with near names."""
    source = source_of(state, tenant)
    ref = _known(state, model)
    old = _chosen(source)
    rest = [name for name in old.fallbacks if name != ref]
    changes: list[tuple[tuple[str, ...], object]] = [(_PRIMARY, ref), (_FALLBACKS, rest)]
    _write(source, changes, "models set")
    now = _chosen(source)
    if as_json:
        print_json({"default": now.primary, "fallbacks": list(now.fallbacks)})
        return
    click.echo(f"Updated {source.path}")
    click.echo(f"Default model: {now.primary}")


@cli.group("fallbacks")
def models_fallbacks() -> None:
    """Models asked when the first fails, in this order."""


def _told(source: Source, *, as_json: bool) -> None:
    found = list(_chosen(source).fallbacks)
    if as_json:
        print_json({"fallbacks": found})
        return
    rows = [(number, ref) for number, ref in enumerate(found, 1)]
    print_table(("", "MODEL"), rows, empty="There is no fallback: openclaw models fallbacks add PROVIDER/MODEL")


@models_fallbacks.command("list")
@_TENANT
@state_option
@json_option
def fallbacks_list(tenant: str, state: Path | None, *, as_json: bool) -> None:
    """List them."""
    _told(source_of(state, tenant), as_json=as_json)


@models_fallbacks.command("add")
@click.argument("model")
@_TENANT
@state_option
@json_option
def fallbacks_add(model: str, tenant: str, state: Path | None, *, as_json: bool) -> None:
    """Ask MODEL last."""
    source = source_of(state, tenant)
    ref = _known(state, model)
    chosen = _chosen(source)
    if ref in {chosen.primary, *chosen.fallbacks}:
        raise Invalid(f"{ref} is asked already", code="models.twice")
    _write(source, [(_FALLBACKS, [*chosen.fallbacks, ref])], "models fallbacks add")
    _told(source, as_json=as_json)


@models_fallbacks.command("remove")
@click.argument("model")
@_TENANT
@state_option
@json_option
def fallbacks_remove(model: str, tenant: str, state: Path | None, *, as_json: bool) -> None:
    """Ask MODEL no more."""
    source = source_of(state, tenant)
    chosen = _chosen(source)
    if model not in chosen.fallbacks:
        raise NotFound(f"{model} is no fallback: openclaw models fallbacks list", code="models.no_fallback")
    _write(source, [(_FALLBACKS, [ref for ref in chosen.fallbacks if ref != model])], "models fallbacks remove")
    _told(source, as_json=as_json)


@models_fallbacks.command("clear")
@_TENANT
@state_option
@json_option
def fallbacks_clear(tenant: str, state: Path | None, *, as_json: bool) -> None:
    """Ask nobody but the first."""
    source = source_of(state, tenant)
    _write(source, [(_FALLBACKS, [])], "models fallbacks clear")
    _told(source, as_json=as_json)


@cli.group(name="auth")
def models_auth() -> None:
    """Sign-ins at model providers."""


@models_auth.command(name="login-github-copilot")
@state_option
def login_github_copilot(state: Path | None) -> int:
    """Sign in at GitHub for Copilot (the policy's spelling of `clawgate auth login copilot`)."""
    return sign_in("copilot", state)

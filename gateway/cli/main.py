"""Entry of the ``clawgate`` command; subcommands import what they need when they run, so that ``--help`` is fast."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

import click

from shared.cli import LazyGroup, guarded, json_option, paths_of, print_done, print_json, print_table, state_option

MODULES: Final = {
    "audit": "gateway.audit.cli",
    "auth": "gateway.cli.auth",
    "backup": "gateway.cli.backup",
    "completion": "gateway.cli.completion",
    "copilot-api": "gateway.cli.copilot_api",
    "doctor": "gateway.doctor.cli",
    "egress": "gateway.cli.egress",
    "install": "gateway.units.cli",
    "export": "gateway.cli.leave:export",
    "halt": "gateway.audit.halting:halt",
    "host": "gateway.host.cli",
    "init": "gateway.cli.init",
    "logs": "gateway.cli.logs",
    "maintenance": "gateway.maintenance.cli",
    "model-api": "gateway.cli.model_api",
    "notices": "gateway.cli.notices",
    "posts": "gateway.cli.posts",
    "resume": "gateway.audit.halting:resume",
    "secrets": "gateway.cli.secrets",
    "status": "gateway.cli.status",
    "tenants": "gateway.tenants.cli",
    "tunnel": "gateway.cli.tunnel",
    "uninstall": "gateway.cli.leave:uninstall",
    "upgrade": "gateway.upgrade.cli",
    "usage": "gateway.cli.usage",
}


@click.group(cls=LazyGroup, modules=MODULES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="clawgate", prog_name="clawgate")
def cli() -> None:
    """Run two AI assistants, NanoClaw and OpenClaw, behind one gateway.

    Without accounts: `clawgate sandbox` runs everything offline. With accounts: `clawgate up`.
    """


@cli.command()
@state_option
def up(state: Path | None) -> int:
    """Start the gateway and all tenants in the foreground."""
    from gateway.up import run_up

    return run_up(paths_of(state))


@cli.command()
@state_option
@json_option
def down(state: Path | None, *, as_json: bool) -> None:
    """Stop what `clawgate up` or `clawgate sandbox` started."""
    from shared.lifecycle.control import call

    print_done(call(paths_of(state).control_socket("up"), "stop"), "stopping", as_json=as_json)


@cli.command()
@click.argument("name")
@state_option
@json_option
def restart(name: str, state: Path | None, *, as_json: bool) -> None:
    """Restart one process: gateway, nanoclaw or openclaw."""
    from shared.lifecycle.control import call

    call(paths_of(state).control_socket("up"), "restart", name=name, timeout_s=60.0)
    print_done({"restarted": name}, f"{name} restarted", as_json=as_json)


@cli.command(hidden=True)
@state_option
def gateway(state: Path | None) -> int:
    """Run the gateway process alone; the supervisor and the service unit call this."""
    from gateway.app import run_gateway

    return asyncio.run(run_gateway(paths_of(state)))


@cli.command()
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="State directory; created if missing.",
)
@click.option(
    "--port-base",
    type=click.IntRange(0, 65000),
    default=18700,
    show_default=True,
    help="All ports derive from it; 0 takes any free ones.",
)
@click.option(
    "--ready-file", type=click.Path(path_type=Path, dir_okay=False), help="Written (by rename) when everything answers."
)
@click.option(
    "--engine",
    type=click.Choice(["docker", "process"]),
    default=None,
    help="Where workers run; default: docker, else process with a warning.",
)
@click.option(
    "--docker-host",
    default=None,
    help="Docker engine address; default DOCKER_HOST, else the system's, else a private one.",
)
@click.option(
    "--script",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="What the model answers (docs/sandbox-model.md).",
)
@click.option(
    "--faults",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Fault plan, JSON lines (docs/sandbox-faults.md).",
)
@click.option(
    "--use",
    "use",
    multiple=True,
    metavar="KEY=URL",
    help="Another server in place of an emulator, e.g. discord.api_base=http://127.0.0.1:9000/api/v10.",
)
@click.option(
    "--bot-token",
    "bot_tokens",
    multiple=True,
    metavar="TENANT=@FILE",
    help="A tenant's bot token for a server given with --use.",
)
@click.option("--slack", is_flag=True, help="Emulate Slack too, with NanoClaw on it (docs/slack.md).")
def sandbox(
    state: Path | None,
    port_base: int,
    ready_file: Path | None,
    engine: str | None,
    docker_host: str | None,
    script: Path | None,
    faults: Path | None,
    use: tuple[str, ...],
    bot_tokens: tuple[str, ...],
    *,
    slack: bool,
) -> int:
    """Run the whole product offline against emulators of every upstream."""
    from gateway.sandbox.options import SandboxOptions
    from gateway.sandbox.run import run_sandbox

    options = SandboxOptions.parse(
        state=state,
        port_base=port_base,
        ready_file=ready_file,
        engine=engine,
        docker_host=docker_host,
        script=script,
        faults=faults,
        use=use,
        bot_tokens=bot_tokens,
        slack=slack,
    )
    return asyncio.run(run_sandbox(options))


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--engine", type=click.Choice(["docker", "process"]), default=None, help="As for `clawgate sandbox`.")
@click.option("--docker-host", default=None, help="As for `clawgate sandbox`.")
def selftest(engine: str | None, docker_host: str | None, *, as_json: bool) -> int:
    """Check this machine: start the sandbox, talk to both bots and the Control UI, stop it."""
    from gateway.selftest import run_selftest

    report = asyncio.run(run_selftest(engine=engine, docker_host=docker_host))
    if as_json:
        print_json(report)
    else:
        rows = [
            (step["name"], "ok" if step["ok"] else "FAILED", f"{step['ms']:.0f} ms", step["detail"])
            for step in report["steps"]
        ]
        print_table(("STEP", "RESULT", "TIME", "DETAIL"), rows, empty="no step was run")
        click.echo(
            f"engine: {report['engine']}; " + ("everything answers" if report["ok"] else "something does not answer")
        )
    return 0 if report["ok"] else 1


def main() -> None:
    """Console entry."""
    sys.exit(guarded(lambda: cli(standalone_mode=False), prog="clawgate"))


if __name__ == "__main__":
    main()

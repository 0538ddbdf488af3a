"""The ``openclaw`` command: what an operator asks a running OpenClaw; heavy imports wait until they are needed.

Gateway commands are real clients of the WebSocket on 18789, with a device identity of their own.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from openclaw.approvals.cli import approvals
from openclaw.cli_target import TENANT, Target, json_option, target_options
from shared.cli import guarded, paths_of, print_json, print_table, state_option
from shared.errors import GatewayError, Invalid, NotFound

if TYPE_CHECKING:
    from shared.openclawclient.client import OpenClawClient

_SHORT_ID = 12


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="clawgate", prog_name="openclaw")
def cli() -> None:
    """Speak to OpenClaw: its gateway, its devices, and who may write to its bot."""


@cli.command(hidden=True)
@click.option("--tenant", default=TENANT)
@state_option
def run(state: Path | None, tenant: str) -> int:
    """Run the tenant process; the supervisor and the service unit call this."""
    import asyncio

    from openclaw.tenant import run as run_tenant

    return asyncio.run(run_tenant(tenant, paths_of(state)))


def _sign_in(provider: str, state: Path | None) -> int:
    """Hand over to ``clawgate auth``: sign-ins belong to the gateway, and this tenant never holds one."""
    import subprocess

    where = ["--state", str(state)] if state else []
    command = [sys.executable, "-m", "gateway.cli.main", "auth", "login", provider, *where]
    return subprocess.run(command, check=False).returncode


@cli.command()
@click.option("--auth-choice", type=click.Choice(["openai-codex", "github-copilot"]), required=True, help="Provider.")
@click.option("--accept-risk", is_flag=True, required=True, help="You know that an agent will act with this account.")
@state_option
def onboard(state: Path | None, auth_choice: str, *, accept_risk: bool) -> int:
    """Sign in at a model provider (the policy's spelling of `clawgate auth login`)."""
    if not accept_risk:
        raise Invalid("an agent will act with this account: repeat the command with --accept-risk")
    return _sign_in({"openai-codex": "codex", "github-copilot": "copilot"}[auth_choice], state)


@cli.group()
def models() -> None:
    """Models and the sign-ins behind them."""


@models.group(name="auth")
def models_auth() -> None:
    """Sign-ins at model providers."""


@models_auth.command(name="login-github-copilot")
@state_option
def login_github_copilot(state: Path | None) -> int:
    """Sign in at GitHub for Copilot (the policy's spelling of `clawgate auth login copilot`)."""
    return _sign_in("copilot", state)


@cli.command()
@target_options
@json_option
def status(target: Target, *, as_json: bool) -> None:
    """Show how OpenClaw is doing."""
    report = target.control("status")
    if as_json:
        print_json(report)
        return
    click.echo(report["summary"])
    click.echo(f"connections {report['connections']}, runs {report['runs']}")
    if report["pending_devices"]:
        click.echo(f"{report['pending_devices']} device(s) wait for approval: openclaw devices list")


@cli.command()
@target_options
@json_option
def health(target: Target, *, as_json: bool) -> None:
    """Ask the gateway for its health."""
    report = target.request("health")
    if as_json:
        print_json(report)
        return
    click.echo(f"Agents: {', '.join(row['agentId'] for row in report['agents'])} (default)")
    for name, channel in report["channels"].items():
        words = "connected" if channel["connected"] else channel["lastError"] or "not connected"
        click.echo(f"{report['channelLabels'].get(name, name)}: {words}")
    click.echo(f"Session store: {report['sessions']['path']} ({report['sessions']['count']} entries)")


@cli.command()
@target_options
@click.option("--no-open", is_flag=True, help="Accepted for compatibility; nothing is opened.")
@json_option
def dashboard(target: Target, *, no_open: bool, as_json: bool) -> None:  # noqa: ARG001 - a flag of the original
    """Print the Control UI's address with the token in it."""
    found = target.control("dashboard")
    url = f"{found['http_url']}#token={found['token']}"
    if as_json:
        print_json({"url": url})
    else:
        click.echo(f"Dashboard URL: {url}")


# --- gateway -------------------------------------------------------------------------


@cli.group()
def gateway() -> None:
    """Speak to the gateway directly."""


@gateway.command("call")
@click.argument("method")
@click.option("--params", default="{}", show_default=True, help="Parameters as JSON.")
@target_options
@json_option
def gateway_call(target: Target, method: str, params: str, *, as_json: bool) -> None:
    """Call any method of the protocol."""
    try:
        parsed = json.loads(params)
    except ValueError as error:
        raise Invalid(f"--params is not JSON: {error}", code="openclaw.params") from None
    payload = target.request(method, parsed)
    if as_json:
        print_json(payload)
    else:
        click.echo(f"Gateway call: {method}")
        click.echo(json.dumps(payload, indent=2, ensure_ascii=False))


@gateway.command("status")
@target_options
@json_option
def gateway_status(target: Target, *, as_json: bool) -> None:
    """Show where the gateway listens and whether it answers; exit 0 also when it does not."""
    report: dict[str, Any] = {"rpc": {"ok": False, "url": target.url or ""}}
    try:
        url, _ = target.address()
        report["rpc"]["url"] = url
        target.request("status")
        report["rpc"]["ok"] = True
    except GatewayError as error:
        report["rpc"]["error"] = error.detail
    if as_json:
        print_json(report)
        return
    click.echo(f"Gateway: bind=loopback {report['rpc']['url']}")
    click.echo(f"RPC probe: {'ok' if report['rpc']['ok'] else 'failed: ' + report['rpc']['error']}")


# --- devices -------------------------------------------------------------------------


@cli.group()
def devices() -> None:
    """Approve, list and remove devices that may connect."""


def _devices(target: Target, method: str, op: str, params: dict[str, Any]) -> Any:  # noqa: ANN401 - the method's own payload
    """Ask the gateway; when this very command line waits for approval, ask over the control socket."""
    from shared.openclawclient.client import PairingRequired

    try:
        return target.request(method, params)
    except PairingRequired:
        if target.url:
            raise
        wire = {"requestId": "request_id"}
        return target.control(op, **{wire.get(name, name): value for name, value in params.items()})


def _listing(target: Target) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = _devices(target, "device.pair.list", "devices.list", {})
    return found


@devices.command("list")
@target_options
@json_option
def devices_list(target: Target, *, as_json: bool) -> None:
    """List devices that wait and devices that are paired."""
    found = _listing(target)
    if as_json:
        print_json(found)
        return
    click.echo(f"Pending ({len(found['pending'])})")
    rows = [
        (d["requestId"], _name(d), d.get("role"), ", ".join(d.get("scopes", [])), d.get("remoteIp"))
        for d in found["pending"]
    ]
    print_table(("REQUEST", "DEVICE", "ROLE", "SCOPES", "IP"), rows, empty="No device waits for approval.")
    click.echo(f"\nPaired ({len(found['paired'])})")
    rows = [
        (d["deviceId"], _name(d), ", ".join(d["roles"]), ", ".join(d["scopes"]), _tokens(d)) for d in found["paired"]
    ]
    print_table(("DEVICE", "NAME", "ROLES", "SCOPES", "TOKENS"), rows, empty="No device is paired yet.")


def _name(device: dict[str, Any]) -> str:
    return str(device.get("displayName") or device.get("clientId") or device["deviceId"][:_SHORT_ID])


def _tokens(device: dict[str, Any]) -> str:
    return ", ".join(f"{t['role']}{' (revoked)' if 'revokedAtMs' in t else ''}" for t in device["tokens"])


@devices.command("approve")
@click.argument("request_id", required=False)
@click.option("--latest", is_flag=True, help="Approve the newest request.")
@target_options
@json_option
def devices_approve(target: Target, request_id: str | None, *, latest: bool, as_json: bool) -> None:
    """Approve a device: REQUEST_ID, or the newest request without one."""
    if request_id is None or latest:
        pending = _listing(target)["pending"]
        if not pending:
            raise NotFound("No pending device pairing requests to approve", code="device.none_pending")
        request_id = str(pending[0]["requestId"])
    answer = _devices(target, "device.pair.approve", "devices.approve", {"requestId": request_id})
    if as_json:
        print_json(answer)
    else:
        click.echo(f"Approved {answer['device']['deviceId']} ({answer['requestId']})")


@devices.command("reject")
@click.argument("request_id")
@target_options
@json_option
def devices_reject(target: Target, request_id: str, *, as_json: bool) -> None:
    """Turn a request down."""
    answer = _devices(target, "device.pair.reject", "devices.reject", {"requestId": request_id})
    if as_json:
        print_json(answer)
    else:
        click.echo(f"Rejected {answer['deviceId']} ({answer['requestId']})")


@devices.command("remove")
@click.argument("device_id")
@target_options
@json_option
def devices_remove(target: Target, device_id: str, *, as_json: bool) -> None:
    """Forget a paired device and end its connections."""
    answer = target.request("device.pair.remove", {"deviceId": device_id})
    if as_json:
        print_json(answer)
    else:
        click.echo(f"Removed {answer['deviceId']}")


@devices.command("clear")
@click.option("--yes", is_flag=True, help="Really forget every paired device.")
@target_options
@json_option
def devices_clear(target: Target, *, yes: bool, as_json: bool) -> None:
    """Forget every paired device; this command line's own one goes last."""
    if not yes:
        raise Invalid("this forgets every paired device: add --yes", code="device.clear")

    async def clear(client: OpenClawClient) -> list[str]:
        ids = [device["deviceId"] for device in (await client.request("device.pair.list", {}))["paired"]]
        for device_id in sorted(ids, key=lambda found: found == client.device_id):
            await client.request("device.pair.remove", {"deviceId": device_id})
        return ids

    removed = target.with_client(clear)
    if as_json:
        print_json({"removed": removed})
    else:
        click.echo(f"Cleared {len(removed)} paired devices")


@devices.command("rotate")
@click.option("--device", "device_id", required=True, help="Device id.")
@click.option("--role", required=True, help="Role of the token, as a rule operator.")
@click.option("--scope", "scopes", multiple=True, help="Keep only these scopes.")
@target_options
@json_option
def devices_rotate(target: Target, device_id: str, role: str, scopes: tuple[str, ...], *, as_json: bool) -> None:  # noqa: ARG001 - always JSON
    """Replace a device's token; prints JSON."""
    params: dict[str, Any] = {"deviceId": device_id, "role": role}
    print_json(target.request("device.token.rotate", params | ({"scopes": list(scopes)} if scopes else {})))


@devices.command("revoke")
@click.option("--device", "device_id", required=True, help="Device id.")
@click.option("--role", required=True, help="Role of the token, as a rule operator.")
@target_options
@json_option
def devices_revoke(target: Target, device_id: str, role: str, *, as_json: bool) -> None:  # noqa: ARG001 - always JSON
    """End a device's token and its connections; prints JSON."""
    print_json(target.request("device.token.revoke", {"deviceId": device_id, "role": role}))


# --- pairing by direct message -------------------------------------------------------


@cli.group()
def pairing() -> None:
    """Let people write to the bot in direct messages."""


@pairing.command("list")
@click.argument("channel", default="discord")
@target_options
@json_option
def pairing_list(target: Target, channel: str, *, as_json: bool) -> None:
    """List people who were given a code."""
    found = target.control("pairing.list", channel=channel)
    if as_json:
        print_json({"channel": channel, "requests": found})
        return
    rows = [(row["code"], row["id"], row["name"], row["createdAt"]) for row in found]
    print_table(("CODE", "USER ID", "NAME", "ASKED AT"), rows, empty=f"Nobody waits for pairing on {channel}.")


@pairing.command("approve")
@click.argument("channel")
@click.argument("code", required=False)
@target_options
@json_option
def pairing_approve(target: Target, channel: str, code: str | None, *, as_json: bool) -> None:
    """Approve a code: openclaw pairing approve discord CODE."""
    if code is None:
        channel, code = "discord", channel
    answer = target.control("pairing.approve", channel=channel, code=code)
    if as_json:
        print_json(answer)
    else:
        click.echo(f"Approved {channel} sender {answer['id']} ({answer['name']}).")


# --- channels and logs ---------------------------------------------------------------


@cli.group()
def channels() -> None:
    """How the chat channels are doing."""


@channels.command("status")
@target_options
@click.option("--probe", is_flag=True, help="Ask the platform, too.")
@json_option
def channels_status(target: Target, *, probe: bool, as_json: bool) -> None:
    """Show every channel; exit 0 also when the gateway does not answer."""
    try:
        report = target.request("channels.status", {"probe": probe})
    except GatewayError as error:
        if as_json:
            raise
        click.echo(f"Gateway not reachable: {error.detail}", err=True)
        return
    if as_json:
        print_json(report)
        return
    click.echo("Gateway reachable.")
    for name in report["channelOrder"]:
        for row in report["channelAccounts"][name]:
            words = [
                "enabled" if row["enabled"] else "disabled",
                "configured" if row["configured"] else "not configured",
                "running" if row["running"] else "stopped",
                *(["connected"] if row.get("connected") else []),
                f"token:{row['tokenSource']}",
                *([f"error:{row['lastError']}"] if row["lastError"] else []),
            ]
            click.echo(f"- {report['channelLabels'][name]} {row['accountId']}: {', '.join(words)}")


@cli.command()
@click.option("--limit", type=click.IntRange(1, 5000), default=200, show_default=True, help="How many lines.")
@target_options
@json_option
def logs(target: Target, limit: int, *, as_json: bool) -> None:
    """Show the newest log lines."""
    found = target.request("logs.tail", {"limit": limit})
    if as_json:
        meta = {key: found[key] for key in ("file", "cursor", "size")}
        click.echo(json.dumps({"type": "meta", **meta}))
    for line in found["lines"]:
        click.echo(json.dumps({"type": "log", "raw": line}) if as_json else line)


@cli.group("exec")
def exec_() -> None:
    """What an agent may run."""


@exec_.command("explain")
@click.argument("command", required=False)
@click.option("--batch", is_flag=True, help="Read JSON lines {id, command, env?, cwd?, path?, …} from standard input.")
@click.option("--cwd", default="", help="The command's working directory.")
@click.option("--env", "variables", multiple=True, metavar="NAME=VALUE", help="A variable of the command.")
@state_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def exec_explain(
    command: str | None, cwd: str, variables: tuple[str, ...], state: Path | None, *, batch: bool, as_json: bool
) -> None:
    """Say what would happen to COMMAND, and which rule decides. Nothing runs, and nothing needs to be running."""
    from openclaw import exec_explain as explaining
    from shared.execpolicy.policy import load_exec_policy

    policy = load_exec_policy(paths_of(state))
    if batch:
        for answer in explaining.explain_batch(sys.stdin, policy):
            click.echo(json.dumps(answer, ensure_ascii=False))
        return
    if command is None:
        raise Invalid("name a command in quotes, or use --batch")
    env = dict(pair.partition("=")[::2] for pair in variables)
    decision = explaining.explain(explaining.Question(command=command, env=env, cwd=cwd), policy)
    told = explaining.as_json(decision)
    if as_json:
        print_json(told)
        return
    click.echo(f"{decision.verdict.upper()}: {decision.reason} (rule {decision.rule})")
    click.echo(f"argv: {json.dumps(told['argv'], ensure_ascii=False) if told['argv'] else 'none, it cannot run'}")
    if told["hosts"]:
        click.echo(f"hosts: {', '.join(told['hosts'])}")
    rows = [(finding.verdict, finding.rule, finding.reason) for finding in decision.findings]
    print_table(("SAYS", "RULE", "WHY"), rows, empty="")


cli.add_command(approvals)


def main() -> None:
    """Entry of the ``openclaw`` command."""
    sys.exit(guarded(lambda: cli.main(standalone_mode=False), prog="openclaw"))


if __name__ == "__main__":
    main()

"""``openclaw devices``: which programs may connect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from openclaw.cli_target import Target, target_options
from shared.cli import json_option, print_json, print_table
from shared.errors import Invalid, NotFound

if TYPE_CHECKING:
    from shared.openclawclient.client import OpenClawClient

_SHORT_ID = 12


@click.group()
def cli() -> None:
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


@cli.command("list")
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


@cli.command("approve")
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


@cli.command("reject")
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


@cli.command("remove")
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


@cli.command("clear")
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


@cli.command("rotate")
@click.option("--device", "device_id", required=True, help="Device id.")
@click.option("--role", required=True, help="Role of the token, as a rule operator.")
@click.option("--scope", "scopes", multiple=True, help="Keep only these scopes.")
@target_options
@json_option
def devices_rotate(target: Target, device_id: str, role: str, scopes: tuple[str, ...], *, as_json: bool) -> None:  # noqa: ARG001 - always JSON
    """Replace a device's token; prints JSON."""
    params: dict[str, Any] = {"deviceId": device_id, "role": role}
    print_json(target.request("device.token.rotate", params | ({"scopes": list(scopes)} if scopes else {})))


@cli.command("revoke")
@click.option("--device", "device_id", required=True, help="Device id.")
@click.option("--role", required=True, help="Role of the token, as a rule operator.")
@target_options
@json_option
def devices_revoke(target: Target, device_id: str, role: str, *, as_json: bool) -> None:  # noqa: ARG001 - always JSON
    """End a device's token and its connections; prints JSON."""
    print_json(target.request("device.token.revoke", {"deviceId": device_id, "role": role}))

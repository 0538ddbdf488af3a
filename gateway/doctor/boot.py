"""What the gateway's own start does, done without its effects: never green when a start would refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from gateway.app import build_engine, build_launcher, client_keys, require_engine
from gateway.backup.policy import load_backup
from gateway.budget.policy import load_budgets
from gateway.credentials.settings import OAuthPolicy
from gateway.doctor.patient import Patient
from gateway.maintenance.jobs import require_known
from gateway.social.policy import SocialPolicy
from gateway.tunnel.policy import TunnelPolicy
from gateway.up import require_accounts
from shared.config.parse import parse_zone
from shared.config.toml import load_policy
from shared.doctor.rows import Row, refused
from shared.doctor.state import database_rows, folder_rows, lock_rows, port_rows, socket_rows
from shared.errors import GatewayError
from shared.maintenance.policy import MaintenancePolicy
from shared.providers.catalog import load_catalog
from shared.storage import Database


def settings(patient: Patient) -> Iterator[Row]:
    """Whether the settings, `.env` and the vault can be read."""
    if patient.refusal is not None:
        yield patient.refusal
        return
    yield Row("settings", "ok", "policies/gateway, upstreams, egress and mounts; .env and the vault: all of it reads")


def _accounts(patient: Patient) -> Iterator[Row]:
    if patient.settings is None or patient.paths.sandbox_marker.exists():
        return
    try:
        require_accounts(patient.settings)
    except GatewayError as error:
        yield refused("accounts", error, "clawgate init")
    else:
        yield Row("accounts", "ok", "at least one bot has a token")


def policies(patient: Patient) -> Iterator[Row]:
    """Whether every policy file of the gateway can be used."""
    paths = patient.paths
    loads: tuple[tuple[str, Callable[[], object]], ...] = (
        ("oauth", lambda: OAuthPolicy.load(paths)),
        ("budgets", lambda: load_budgets(paths)),
        ("models", lambda: load_catalog(paths)),
        ("social", lambda: load_policy("social", SocialPolicy, paths)),
        ("maintenance", lambda: require_known(MaintenancePolicy.load(paths), paths)),
        ("backup", lambda: load_backup(paths)),
        ("tunnel", lambda: load_policy("tunnel", TunnelPolicy, paths)),
    )
    wrong = False
    for name, load in loads:
        try:
            load()
        except GatewayError as error:
            wrong = True
            yield refused(f"policies.{name}", error, "mend the named line")
    if not wrong:
        yield Row("policies", "ok", f"{', '.join(name for name, _ in loads)}: valid")


def zone(patient: Patient) -> Iterator[Row]:
    """Whether this machine knows the owner's time zone."""
    if patient.settings is None:
        return
    try:
        name = parse_zone(patient.settings.policy.workers.timezone)
    except GatewayError as error:
        yield refused("zone", error, "sudo apt-get install tzdata, or set TZ in .env")
    else:
        yield Row("zone", "ok", f"the owner's clock is {name}")


def _folders(patient: Patient) -> Iterator[Row]:
    yield from folder_rows(patient.paths.gateway)
    yield from folder_rows(patient.paths.runtime, is_private=False)


def _locks(patient: Patient) -> Iterator[Row]:
    paths = patient.paths
    yield from lock_rows(paths.up_lock, what=f"clawgate with state in {paths.state}", answers="up" in patient.running)
    what = f"the gateway with state in {paths.state}"
    yield from lock_rows(paths.gateway_lock, what=what, answers="gateway" in patient.running)


def _database(patient: Patient) -> Iterator[Row]:
    path = patient.paths.gateway_db
    database = Database(path, migrations="gateway.migrations")
    return database_rows(database, path, restore="clawgate backup restore gateway --to FOLDER")


def _sockets(patient: Patient) -> Iterator[Row]:
    paths = patient.paths
    tenants = patient.settings.enabled_tenants() if patient.settings else ("nanoclaw", "openclaw")
    places = [
        place
        for name in tenants
        for place in (paths.tenant_socket(name), paths.tenant_graph_socket(name), paths.control_socket(name))
    ]
    return socket_rows(*places, paths.worker_socket("0" * 16))


def _ports(patient: Patient) -> Iterator[Row]:
    if patient.settings is None:
        return
    api, ours = patient.settings.policy.model_api, patient.running.get("gateway", {})
    if api.enabled:
        serves = f"the model API on {ours['model_api_port']}" if ours.get("model_api_port") else ""
        yield from port_rows(api.host, api.port, serves=serves, setting="model_api.port in policies/gateway.toml")
        try:
            client_keys(patient.settings)
        except GatewayError as error:
            yield refused("keys_file", error)
    try:
        media = load_policy("social", SocialPolicy, patient.paths).media
    except GatewayError:
        return  # a row of its own says so
    if media.public_base:
        serves = f"files for social networks on {ours['media_port']}" if ours.get("media_port") else ""
        yield from port_rows(media.host, media.port, serves=serves, setting="media.port in policies/social.toml")


def _engine(patient: Patient) -> Iterator[Row]:
    if (found := patient.settings) is None:
        return

    async def ask() -> str:
        engine = build_engine(found)
        try:
            info = await require_engine(engine, found.policy.workers.image)
        finally:
            await engine.close()
        return f"{info.kind} {info.version}, and the worker image is there"

    try:
        build_launcher(found)
        yield Row("engine", "ok", asyncio.run(ask()))
    except GatewayError as error:
        is_image = error.code == "engine.image_missing"
        fix = f"clawgate init{patient.paths.state_option} --build" if is_image else "sudo systemctl start docker"
        yield refused("engine", error, fix)


EXAMINATIONS: Final[tuple[Callable[[Patient], Iterable[Row]], ...]] = (
    settings,
    _accounts,
    policies,
    zone,
    _folders,
    _locks,
    _database,
    _sockets,
    _ports,
    _engine,
)

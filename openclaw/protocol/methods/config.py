"""Methods about configuration: what the file says with every secret hidden, and changes guarded by its hash.

Source: reference gateway §14 (shapes, words of errors) and §4 (rate limit). One thing differs on purpose: a change that
can be taken up while running does not restart the gateway, and ``restart.mode`` says ``hot``.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import Annotated, Any, Final

from pydantic import Field

from openclaw.config.editing import merge_patch
from openclaw.config.files import CHANGED, Writer, render, stamped
from openclaw.config.issues import Issue, Place, told
from openclaw.config.masking import masked, restored
from openclaw.config.snapshot import Checked, Snapshot
from openclaw.config.view import config_view, mending_view, schema_view, told_config
from openclaw.protocol.errors import ProtocolError, invalid
from openclaw.protocol.frames import SERVER_VERSION, Wire
from openclaw.protocol.registry import Call, Method, NoParams
from openclaw.protocol.scopes import ADMIN, READ, allows
from shared.clock import unix_ms
from shared.config.json5 import Json5Error, parse_json5
from shared.errors import Conflict

RESTART_DELAY_MS: Final = 2000
"""Between the answer and the restart, unless the caller asks for another. Source: reference features §2.4."""
_WRITES: Final = "3 per 60s"


class SetParams(Wire):
    """``config.set``."""

    raw: Annotated[str, Field(min_length=1, max_length=2_000_000)]
    base_hash: Annotated[str, Field(min_length=1)] | None = None


class ApplyParams(SetParams):
    """``config.apply`` and ``config.patch``."""

    session_key: str | None = None
    note: Annotated[str, Field(max_length=2000)] | None = None
    restart_delay_ms: Annotated[int, Field(ge=0, le=600_000)] | None = None


async def _get(call: Call, _params: object) -> object:
    config = call.services.config
    checked = await asyncio.to_thread(config.source.check)
    warnings = checked.snapshot.warnings() if checked.snapshot is not None else []
    view = config_view(checked, [issue.as_json() for issue in warnings])
    if checked.snapshot is None and allows(call.grant.scopes, ADMIN):
        view |= mending_view(checked, config.current)
    return view | {"pending": config.state()}


def _schema(call: Call, _params: object) -> object:
    return schema_view(SERVER_VERSION, call.services.clock.now().isoformat())


async def _set(call: Call, params: SetParams) -> object:
    checked = await _base(call, params)
    snapshot = await _store(call, await _whole(call, checked, params.raw), checked)
    return {"ok": True, "path": str(call.services.config.path), "config": _shown(snapshot)}


async def _apply(call: Call, params: ApplyParams) -> object:
    _spend(call)
    checked = await _base(call, params)
    return await _and_restart(call, params, await _whole(call, checked, params.raw), checked)


async def _patch(call: Call, params: ApplyParams) -> object:
    _spend(call)
    checked = await _base(call, params)
    if checked.snapshot is None:
        raise invalid("invalid config; fix before patching", issues=[issue.as_json() for issue in checked.issues])
    patch = _parsed(params.raw)
    if not isinstance(patch, dict):
        raise invalid("config.patch raw must be an object")
    merged = stamped(merge_patch(checked.document.parsed, patch), call.services.clock)
    return await _and_restart(call, params, _with_secrets(call, merged, checked), checked)


# --- parts -----------------------------------------------------------------------------


async def _base(call: Call, params: SetParams) -> Checked:
    """What is on disk, if it is what the caller has seen."""
    checked = await asyncio.to_thread(call.services.config.source.check)
    if checked.document.exists:
        if params.base_hash is None:
            raise invalid("config base hash required; re-run config.get and retry")
        if params.base_hash != checked.document.hash:
            raise invalid(CHANGED)
    return checked


def _parsed(raw: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return parse_json5(raw).value
    except Json5Error as error:
        raise invalid(f"raw is not JSON5: {error.detail}") from None


async def _whole(call: Call, checked: Checked, raw: str) -> str:
    values = _parsed(raw)
    text = _with_secrets(call, values, checked)
    return raw if json.loads(text) == values else text


def _with_secrets(call: Call, values: Any, checked: Checked) -> str:  # noqa: ANN401 - any JSON value
    kept: Any = checked.document.parsed
    if checked.snapshot is None:  # who mends it may have begun from the last valid text
        kept = merge_patch(call.services.config.current.document.parsed, kept)
    whole, issues = restored(values, kept, Place(str(checked.document.path)))
    if issues:
        raise _rejected(issues)
    return render(whole)


async def _store(call: Call, text: str, checked: Checked, *, restart_after_s: float = 0.0) -> Snapshot:
    config = call.services.config
    candidate = await asyncio.to_thread(config.source.check_text, text)
    if candidate.snapshot is None:
        raise _rejected(list(candidate.issues))
    try:
        writer = Writer(_who(call), call.request.method)
        return await config.write_text(text, checked.document.hash, writer, restart_after_s=restart_after_s)
    except Conflict:
        raise invalid(CHANGED) from None


def _rejected(issues: list[Issue]) -> ProtocolError:
    return invalid("invalid config", issues=[issue.as_json() for issue in issues], summary=told(issues))


async def _and_restart(call: Call, params: ApplyParams, text: str, checked: Checked) -> object:
    services = call.services
    delay_ms = RESTART_DELAY_MS if params.restart_delay_ms is None else params.restart_delay_ms
    snapshot = await _store(call, text, checked, restart_after_s=delay_ms / 1000)
    needed = bool(services.config.waits_for_restart)
    kind = call.request.method.replace(".", "-")
    payload = {
        "kind": kind,
        "status": "ok",
        "ts": unix_ms(services.clock.now()),
        "sessionKey": params.session_key,
        "message": params.note,
        "stats": {"mode": call.request.method, "root": str(services.folder)},
    }
    return {
        "ok": True,
        "path": str(services.config.path),
        "config": _shown(snapshot),
        "restart": {
            "ok": True,
            "pid": os.getpid(),
            "signal": "SIGUSR1",
            "delayMs": delay_ms if needed else 0,
            "reason": call.request.method,
            "mode": "emit" if needed else "hot",
            "paths": list(services.config.waits_for_restart),
        },
        "sentinel": {"path": None, "payload": {key: value for key, value in payload.items() if value is not None}},
    }


def _shown(snapshot: Snapshot) -> Any:  # noqa: ANN401 - any JSON value
    return masked(told_config(snapshot))


def _who(call: Call) -> str:
    return call.grant.device_id or call.grant.client.id


def _spend(call: Call) -> None:
    """Source: reference gateway §4: three control-plane writes in 60 s for each device and address."""
    wait_s = call.services.config.writes.spend(f"{call.grant.device_id}|{call.connection.upgrade.client_ip}")
    if wait_s > 0:
        method = call.request.method
        raise ProtocolError(
            "UNAVAILABLE",
            f"rate limit exceeded for {method}; retry after {max(1, round(wait_s))}s",
            details={"method": method, "limit": _WRITES},
            retryable=True,
            retry_after_ms=int(wait_s * 1000),
        )


METHODS = (
    Method("config.get", READ, _get, params=NoParams),
    Method("config.schema", ADMIN, _schema, params=NoParams),
    Method("config.set", ADMIN, _set, params=SetParams),
    Method("config.patch", ADMIN, _patch, params=ApplyParams),
    Method("config.apply", ADMIN, _apply, params=ApplyParams),
)

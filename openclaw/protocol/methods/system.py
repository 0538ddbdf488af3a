"""Methods about the machine's news: presence beacons, system events, heartbeats, memory search."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from openclaw.protocol.errors import ProtocolError
from openclaw.protocol.frames import NonEmpty, Wire
from openclaw.protocol.registry import Call, Method
from openclaw.protocol.scopes import ADMIN, READ, WRITE
from openclaw.runs import clean_message
from openclaw.sessions import AGENT_ID, MAIN_SESSION
from openclaw.transcript import text_message
from shared.ids import new_id


class EventParams(Wire):
    """``system-event``: a program tells that it is there, and in which state."""

    model_config = ConfigDict(extra="ignore")

    text: Annotated[str, Field(min_length=1, max_length=4000)]
    device_id: str | None = None
    instance_id: str | None = None
    host: str | None = None
    ip: str | None = None
    mode: str | None = None
    version: str | None = None
    platform: str | None = None
    device_family: str | None = None
    model_identifier: str | None = None
    last_input_seconds: float | None = None
    reason: str | None = None
    roles: list[str] | None = None
    scopes: list[str] | None = None
    tags: list[str] | None = None


def _event(call: Call, params: EventParams) -> object:
    services = call.services
    fields = params.model_dump(by_alias=True, exclude_none=True)
    key = params.device_id or params.instance_id or params.host or params.ip or params.text[:64]
    services.presence.beacon(key, fields)
    call.after.append(services.hub.tell_presence)
    return {"ok": True}


class WakeParams(Wire):
    """``wake``: the agent hears a text, now or with the next turn of the main session."""

    mode: Literal["now", "next-heartbeat"]
    text: NonEmpty


async def _wake(call: Call, params: WakeParams) -> object:
    services = call.services
    text = f"[System event, not written by a person] {clean_message(params.text)}"
    if params.mode == "now":
        await services.runs.submit(MAIN_SESSION, MAIN_SESSION, text, new_id("wake"))
    else:
        row = await services.sessions.open(MAIN_SESSION)
        await services.transcripts.append(row.session_id, "", text_message("user", text, services.clock.now()))
    return {"ok": True}


def _last_heartbeat(call: Call, _params: object) -> object:
    beats = call.services.heartbeat
    return beats.last.as_json() if beats is not None and beats.last is not None else None


class HeartbeatsParams(Wire):
    """``set-heartbeats``."""

    enabled: bool


def _set_heartbeats(call: Call, params: HeartbeatsParams) -> object:
    beats = call.services.heartbeat
    if params.enabled and (beats is None or call.services.policy.heartbeat.every_minutes == 0):
        detail = "this agent has no heartbeat: set every_minutes under [heartbeat] in policies/openclaw.toml"
        raise ProtocolError("UNAVAILABLE", detail)
    if beats is not None:
        beats.enabled = params.enabled
    return {"ok": True, "enabled": params.enabled}


def _memory(_call: Call, _params: object) -> object:
    return {"agentId": AGENT_ID, "embedding": {"ok": False, "error": "memory is searched by words, not by embeddings"}}


METHODS = (
    Method("last-heartbeat", READ, _last_heartbeat, params=None),
    Method("set-heartbeats", ADMIN, _set_heartbeats, params=HeartbeatsParams),
    Method("system-event", ADMIN, _event, params=EventParams),
    Method("wake", WRITE, _wake, params=WakeParams),
    Method("doctor.memory.status", READ, _memory, params=None),
)

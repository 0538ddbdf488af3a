"""Methods about the agent's standing files: the few Markdown files of its workspace that people edit."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any, Final

from openclaw.protocol.errors import invalid
from openclaw.protocol.frames import NonEmpty, Wire
from openclaw.protocol.registry import Call, Method
from openclaw.protocol.scopes import ADMIN, READ
from openclaw.sessions import AGENT_ID
from shared.errors import Invalid, NotFound
from shared.secrets.files import write_private

NAMES: Final = (
    "AGENTS.md",
    "SOUL.md",
    "TOOLS.md",
    "IDENTITY.md",
    "USER.md",
    "HEARTBEAT.md",
    "BOOTSTRAP.md",
    "MEMORY.md",
)
_MAX_BYTES: Final = 1 << 20


class AgentParams(Wire):
    """``agents.files.list``."""

    agent_id: NonEmpty


class FileParams(AgentParams):
    """``agents.files.get``."""

    name: NonEmpty


class WriteParams(FileParams):
    """``agents.files.set``."""

    content: str


def _workspace(call: Call, agent_id: str) -> Path:
    if agent_id != AGENT_ID:
        raise invalid(f'unknown agent id "{agent_id}"')
    return call.services.folder / "workspace"


def _path(call: Call, params: FileParams) -> Path:
    folder = _workspace(call, params.agent_id)
    if params.name not in NAMES:
        raise invalid(f'unsupported file "{params.name}"')
    return folder / params.name


def describe(path: Path) -> dict[str, Any]:
    """A file as clients see it; a link or a folder in its place counts as missing."""
    try:
        info = path.lstat()
    except OSError:
        info = None
    if info is None or not path.is_file() or path.is_symlink():
        return {"name": path.name, "path": str(path), "missing": True}
    about = {"size": info.st_size, "updatedAtMs": info.st_mtime_ns // 1_000_000}
    return {"name": path.name, "path": str(path), "missing": False, **about}


def _read(path: Path) -> dict[str, Any]:
    about = describe(path)
    if about["missing"]:
        return about
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        raise NotFound(f"{path.name} cannot be read", code="agents.file") from None
    with os.fdopen(descriptor, "rb") as handle:
        return {**about, "content": handle.read(_MAX_BYTES).decode(errors="replace")}


def _write(path: Path, content: str) -> dict[str, Any]:
    if len(data := content.encode(errors="replace")) > _MAX_BYTES:
        raise Invalid(f"{path.name} may hold {_MAX_BYTES} bytes at most", code="agents.file_size")
    write_private(path, data)
    return {**describe(path), "content": content}


async def _list(call: Call, params: AgentParams) -> object:
    folder = _workspace(call, params.agent_id)
    files = await asyncio.to_thread(lambda: [describe(folder / name) for name in NAMES])
    return {"agentId": AGENT_ID, "workspace": str(folder), "files": files}


async def _get(call: Call, params: FileParams) -> object:
    path = _path(call, params)
    return {"agentId": AGENT_ID, "workspace": str(path.parent), "file": await asyncio.to_thread(_read, path)}


async def _set(call: Call, params: WriteParams) -> object:
    path = _path(call, params)
    written = await asyncio.to_thread(_write, path, params.content)
    return {"ok": True, "agentId": AGENT_ID, "workspace": str(path.parent), "file": written}


METHODS = (
    Method("agents.files.list", READ, _list, params=AgentParams),
    Method("agents.files.get", READ, _get, params=FileParams),
    Method("agents.files.set", ADMIN, _set, params=WriteParams),
)

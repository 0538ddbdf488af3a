"""Methods about the agent's standing files: the few Markdown files of its workspace that people edit."""

from __future__ import annotations

import asyncio
import hashlib
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
from shared.standing_files import STANDING_FILES

NAMES: Final = (*STANDING_FILES, "BOOTSTRAP.md")
_MAX_BYTES: Final = 1 << 20


class AgentParams(Wire):
    """``agents.files.list``."""

    agent_id: NonEmpty


class FileParams(AgentParams):
    """``agents.files.get``."""

    name: NonEmpty


class WriteParams(FileParams):
    """``agents.files.set``; `base_hash` is the `hash` of what the caller has read, empty for a file that is not there.

    It is ours: the agent writes these files, too, and neither may overwrite the other unseen.
    """

    content: str
    base_hash: str | None = None


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
        data = handle.read(_MAX_BYTES + 1)
    try:
        if len(data) > _MAX_BYTES:
            raise ValueError
        # What cannot be shown as it is must not come back changed.
        return {**about, "content": data.decode(), "hash": _hash(data)}
    except ValueError:
        detail = f"{path.name} is larger than {_MAX_BYTES} bytes or no UTF-8 text: change it on the machine"
        raise Invalid(detail, code="agents.file_size") from None


def _write(path: Path, content: str, base_hash: str | None) -> dict[str, Any]:
    if len(data := content.encode(errors="replace")) > _MAX_BYTES:
        raise Invalid(f"{path.name} may hold {_MAX_BYTES} bytes at most", code="agents.file_size")
    if base_hash is not None and base_hash != _read(path).get("hash", ""):
        raise invalid(f"{path.name} changed since it was read; read it again")
    write_private(path, data)
    return {**describe(path), "content": content, "hash": _hash(data)}


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def _list(call: Call, params: AgentParams) -> object:
    folder = _workspace(call, params.agent_id)
    files = await asyncio.to_thread(lambda: [describe(folder / name) for name in NAMES])
    return {"agentId": AGENT_ID, "workspace": str(folder), "files": files}


async def _get(call: Call, params: FileParams) -> object:
    path = _path(call, params)
    return {"agentId": AGENT_ID, "workspace": str(path.parent), "file": await asyncio.to_thread(_read, path)}


async def _set(call: Call, params: WriteParams) -> object:
    path = _path(call, params)
    written = await asyncio.to_thread(_write, path, params.content, params.base_hash)
    return {"ok": True, "agentId": AGENT_ID, "workspace": str(path.parent), "file": written}


METHODS = (
    Method("agents.files.list", READ, _list, params=AgentParams),
    Method("agents.files.get", READ, _get, params=FileParams),
    Method("agents.files.set", ADMIN, _set, params=WriteParams),
)

"""A process's control socket: operator commands as one JSON line each way, mode 0600.

Request ``{"op": name, "params": {…}}``; answer ``{"ok": true, "result": …}`` or
``{"ok": false, "error": {"code", "detail"}}``. Who may connect is decided by the file's owner and mode.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from shared.errors import GatewayError, Invalid, Unavailable
from shared.obs.log import get_logger

_log = get_logger(__name__)
_MAX_LINE_BYTES = 1 << 20

Operation = Callable[[dict[str, Any]], Awaitable[Any]]


class ControlServer:
    """Serves a table of operations on a unix socket."""

    def __init__(self, path: Path, operations: Mapping[str, Operation]) -> None:
        self._path = path
        self._operations = dict(operations)
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; a left-over socket file of a dead process is replaced."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
        self._path.unlink(missing_ok=True)
        old_mask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=_MAX_LINE_BYTES)
        finally:
            os.umask(old_mask)

    async def stop(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.LimitOverrunError, ValueError):
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line), ensure_ascii=False).encode() + b"\n")
                await writer.drain()
        writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            operation = self._operations.get(request["op"])
            if operation is None:
                raise Invalid(f"unknown operation {request['op']!r}; known: {', '.join(sorted(self._operations))}")
            return {"ok": True, "result": await operation(request.get("params") or {})}
        except GatewayError as error:
            return {"ok": False, "error": {"code": error.code, "detail": error.detail, "exit": int(error.exit_code)}}
        except (ValueError, KeyError, TypeError) as error:
            return {"ok": False, "error": {"code": "invalid", "detail": f"not a control request: {error}", "exit": 2}}
        except Exception as error:  # noqa: BLE001 - an operator's command must not end the process
            _log.exception("control.failed")
            return {
                "ok": False,
                "error": {"code": "internal", "detail": f"internal error ({type(error).__name__})", "exit": 1},
            }


def required_text(params: Mapping[str, Any], name: str) -> str:
    """A parameter that must be there.

    Raises:
        Invalid: it is missing or empty.
    """
    value = params.get(name)
    if not isinstance(value, str) or not value:
        raise Invalid(f"{name} is missing")
    return value


class RemoteError(GatewayError):
    """The running process refused an operator command; code, detail and exit code are its own."""

    def __init__(self, detail: str, *, code: str, exit_code: int) -> None:
        super().__init__(detail, code=code)
        self.remote_exit_code = exit_code


def call(path: Path, op: str, *, timeout_s: float = 30.0, **params: Any) -> Any:  # noqa: ANN401 - the operation's own result
    """Ask a running process, from a command (no event loop).

    Raises:
        Unavailable: nothing listens there.
        RemoteError: the process refused.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.settimeout(timeout_s)
        try:
            channel.connect(str(path))
            channel.sendall(json.dumps({"op": op, "params": params}).encode() + b"\n")
            with channel.makefile("rb") as lines:
                line = lines.readline()
        except (FileNotFoundError, ConnectionRefusedError):
            raise Unavailable(
                f"nothing is running at {path}: start it with `clawgate up`", code="control.not_running"
            ) from None
        except (OSError, TimeoutError) as error:
            raise Unavailable(f"{path} does not answer: {error}", code="control.no_answer") from None
    if not line:
        raise Unavailable(f"{path} closed the connection without an answer", code="control.no_answer")
    answer = json.loads(line)
    if answer["ok"]:
        return answer["result"]
    refusal = answer["error"]
    raise RemoteError(refusal["detail"], code=refusal["code"], exit_code=refusal["exit"])

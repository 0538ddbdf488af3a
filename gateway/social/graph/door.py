"""Where contained commands reach the Graph hosts: a unix socket for each tenant, TLS inside it.

The tenant's checking proxy opens it, says the tenant's key in one line and waits for the answer; from then on the bytes
are the command's own TLS, which ends here. A command cannot reach the socket itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from gateway.broker.auth import decide_caller
from gateway.social.graph.authority import AuthorityKeeper
from gateway.social.graph.models import GraphAnswer, GraphCall
from gateway.social.graph.service import OWN_FILES, GraphService
from gateway.store import TenantKey
from shared.errors import GatewayError
from shared.obs.log import get_logger
from shared.social.hosts import GRAPH_HOSTS

_log = get_logger(__name__)

HELLO = b"clawgate graph "
READY = b"ready\n"
_HEAD_BYTES = 32 << 10
_BODY_BYTES = 128 << 10
_HEAD_S = 15.0
_WHOLE_S = 120.0
_HIDDEN = frozenset({"access_token", "client_secret", "input_token", "appsecret_proof"})


class GraphDoor:
    """The sockets of all tenants.

    Args:
        service: answers.
        authority: has the certificate that is shown now.
        keys: stored tenant keys.
    """

    def __init__(self, service: GraphService, authority: AuthorityKeeper, keys: Mapping[str, TenantKey]) -> None:
        self._service = service
        self._authority = authority
        self._keys = keys
        self._servers: dict[Path, asyncio.Server] = {}
        self._open: set[asyncio.StreamWriter] = set()

    async def add(self, tenant: str, path: Path) -> None:
        """Listen for a tenant."""
        await asyncio.to_thread(path.unlink, missing_ok=True)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(tenant, reader, writer)

        old_mask = os.umask(0o117)
        try:
            self._servers[path] = await asyncio.start_unix_server(serve, path, limit=_HEAD_BYTES)
        finally:
            os.umask(old_mask)

    def remove(self, path: Path) -> None:
        """Stop listening for a tenant; what it has open ends within its own time."""
        if (server := self._servers.pop(path, None)) is not None:
            server.close()
            path.unlink(missing_ok=True)

    async def close(self) -> None:
        """Stop listening and hang up."""
        for server in self._servers.values():
            server.close()
        for writer in list(self._open):
            writer.close()

    async def _serve(self, tenant: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            async with asyncio.timeout(_WHOLE_S):
                if not await self._admit(tenant, reader, writer):
                    return
                await writer.start_tls(self._authority.current.context, ssl_handshake_timeout=_HEAD_S)
                await self._answer(tenant, reader, writer)
        except (TimeoutError, OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            _log.info("graph.cut", tenant=tenant, reason=type(error).__name__)
        finally:
            self._open.discard(writer)
            writer.close()

    async def _admit(self, tenant: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        async with asyncio.timeout(_HEAD_S):
            line = await reader.readline()
        peer = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        header = (b"authorization", b"Bearer " + line.removeprefix(HELLO).strip())
        try:
            decide_caller(tenant, struct.unpack("3i", peer), [header], self._keys.get(tenant))
        except GatewayError as error:
            _log.warning("graph.refused", tenant=tenant, reason=error.code)
            return False
        writer.write(READY)
        await writer.drain()
        return True

    async def _answer(self, tenant: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_HEAD_S):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            request, *lines = head[:-4].split("\r\n")
            method, target, _ = request.split(" ")
            headers = {
                name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
            }
            length = int(headers.get("content-length", "0"))
            if headers.get("expect", "").lower() == "100-continue" and length <= _BODY_BYTES:
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = await reader.readexactly(length) if 0 <= length <= _BODY_BYTES else None
        answer = await self._reply(tenant, method, target, headers, body)
        reason = "OK" if answer.status < 400 else "Refused"
        lines = [
            f"HTTP/1.1 {answer.status} {reason}",
            "Content-Type: application/json; charset=UTF-8",
            f"Content-Length: {len(answer.body)}",
            "Connection: close",
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode() + (b"" if method == "HEAD" else answer.body))
        await writer.drain()

    async def _reply(
        self, tenant: str, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> GraphAnswer:
        network = GRAPH_HOSTS.get(headers.get("host", "").partition(":")[0].lower())
        if network is None:
            return GraphAnswer.refusal("this is for the Graph hosts alone", 100)
        if body is None or "transfer-encoding" in headers:
            detail = f"a body has at most {_BODY_BYTES} bytes and says its length; {OWN_FILES}"
            return GraphAnswer.refusal(detail, 100)
        url = urlsplit(target)
        kind = headers.get("content-type", "application/x-www-form-urlencoded").partition(";")[0].strip().lower()
        fields = dict(parse_qsl(url.query, keep_blank_values=True))
        if body and kind == "application/json":
            given = json.loads(body)
            fields |= {str(k): v if isinstance(v, str) else json.dumps(v) for k, v in dict(given).items()}
        elif body and kind == "application/x-www-form-urlencoded":
            fields |= dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        elif body:
            return GraphAnswer.refusal(f"send a form or JSON, not {kind[:60]}; {OWN_FILES}", 100)
        # Whatever stands for a token ends here; the real one is added behind this door.
        fields = {name: value for name, value in fields.items() if name.lower() not in _HIDDEN}
        call = GraphCall(tenant, network, method, unquote(url.path), fields)
        answer = await self._service.answer(call)
        _log.info(
            "graph.answered", tenant=tenant, network=network, method=method, path=url.path[:80], status=answer.status
        )
        return answer

"""The few calls of Discord's REST API that setting up needs; the bots speak through `shared.channels.discord`."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import urlencode

from gateway.setup.models import Bot
from shared.errors import AuthRequired, UpstreamError
from shared.http.client import HttpPool
from shared.secrets.files import Secret

_INVITE = "https://discord.com/oauth2/authorize"
_SCOPES = "bot applications.commands"
_CREATE_PUBLIC_THREADS, _SEND_IN_THREADS = 1 << 35, 1 << 38
_ADD_REACTIONS, _VIEW, _SEND, _EMBED, _ATTACH, _HISTORY = 1 << 6, 1 << 10, 1 << 11, 1 << 14, 1 << 15, 1 << 16
PERMISSIONS: Final = (
    _VIEW | _SEND | _HISTORY | _ATTACH | _EMBED | _ADD_REACTIONS | _CREATE_PUBLIC_THREADS | _SEND_IN_THREADS
)
"""What the bots do and no more: read, write, threads, files, reactions. Source: Discord's permission flags."""

_MESSAGE_CONTENT = (1 << 18) | (1 << 19)
"""Application flags: the privileged intent, as a verified application and as a small one."""

_UNAUTHORIZED, _FIRST_ERROR = 401, 400
_TEXT_CHANNELS = frozenset({0, 5})
_MOST_BYTES = 1 << 20


class DiscordSetup:
    """Asks Discord with a bot's own token.

    Args:
        http: connections.
        api_base: REST root.
    """

    def __init__(self, http: HttpPool, api_base: str) -> None:
        self._http = http
        self._base = api_base.rstrip("/")

    async def bot(self, token: Secret) -> Bot:
        """Who a token belongs to.

        Raises:
            AuthRequired: Discord refuses the token.
            UpstreamError: it answers something else.
            Unavailable: it does not answer.
        """
        application = await self._call("GET", "/applications/@me", token)
        servers = await self._call("GET", "/users/@me/guilds", token)
        return Bot(
            application=str(application["id"]),
            name=str(application.get("name", "")),
            reads_messages=bool(int(application.get("flags", 0)) & _MESSAGE_CONTENT),
            servers=tuple((str(server["id"]), str(server["name"])) for server in servers),
        )

    async def owner_of(self, token: Secret, server: str) -> str:
        """User id of a server's owner; raises as `bot` does."""
        return str((await self._call("GET", f"/guilds/{server}", token))["owner_id"])

    async def channels(self, token: Secret, server: str) -> list[tuple[str, str]]:
        """Id and name of the text channels a bot can see; raises as `bot` does."""
        found = await self._call("GET", f"/guilds/{server}/channels", token)
        return [(str(one["id"]), str(one["name"])) for one in found if one["type"] in _TEXT_CHANNELS]

    async def say(self, token: Secret, channel: str, text: str) -> None:
        """Write into a channel, calling nobody; raises as `bot` does."""
        body = {"content": text, "allowed_mentions": {"parse": []}}
        await self._call("POST", f"/channels/{channel}/messages", token, body)

    async def _call(self, method: str, path: str, token: Secret, body: Any = None) -> Any:  # noqa: ANN401 - JSON
        headers = [
            (b"authorization", f"Bot {token.reveal()}".encode()),
            (b"user-agent", b"DiscordBot (clawgate, 1)"),
            (b"content-type", b"application/json"),
        ]
        data = b"" if body is None else json.dumps(body).encode()
        answer = await self._http.request(method, self._base + path, headers=headers, body=data, max_bytes=_MOST_BYTES)
        if answer.status == _UNAUTHORIZED:
            raise AuthRequired("Discord refuses this bot token", code="setup.token")
        try:
            value = json.loads(answer.body)
        except ValueError:
            value = {}
        if answer.status >= _FIRST_ERROR:
            why = value.get("message", "no reason given") if isinstance(value, dict) else "no reason given"
            raise UpstreamError(f"Discord answers {answer.status}: {why}", code="setup.discord", status=answer.status)
        return value


def invite_link(application: str) -> str:
    """Where a person lets a bot into a server."""
    query = urlencode({"client_id": application, "scope": _SCOPES, "permissions": PERMISSIONS})
    return f"{_INVITE}?{query}"

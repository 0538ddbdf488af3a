"""Calls of Slack's Web API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from shared.channels.slack.faults import refusal
from shared.errors import AuthRequired, DeadlineExceeded, RateLimited, Unavailable
from shared.http.client import Answer, HttpPool
from shared.secrets.files import Secret

API_BASE = "https://slack.com/api"

_TIMEOUT_S = 30.0
_DEFAULT_WAIT_S = 30.0
_TOO_MANY = 429
_OK = 200
_PAGE = 200

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that says ok.

    Attributes:
        scopes: what the token may do, empty when the answer does not say.
    """

    body: Json
    scopes: frozenset[str] = frozenset()


class SlackApi:
    """Makes calls with one token.

    Args:
        http: carries them.
        token: the bot's, or the app's.
        base: address of the API, without a slash at its end.

    Attributes:
        is_encrypted: what passes between us and the API cannot be read on the way.
        refused: set when Slack does not accept the token. Whoever made the call is told `Unavailable`, since its work
            may be done once a person has replaced the token; who supervises the connection looks here.
    """

    def __init__(self, http: HttpPool, token: Secret, base: str = API_BASE) -> None:
        self._http = http
        self._token = token
        self._base = base.rstrip("/")
        self.is_encrypted = self._base.startswith("https://")
        self.refused = asyncio.Event()

    async def call(self, what: str, method: str, **arguments: str | int | bool | Json) -> Reply:
        """Call a method.

        Args:
            what: the call in words, for error details: ``send a message``.
            method: its name, ``chat.postMessage``.
            arguments: as the method takes them; empty texts are left out.

        Raises:
            Unavailable: no answer, or one that says to come back; the work may have been done. Or the token is refused.
            RateLimited: it was not done.
            Denied: we may not; a scope may be missing.
            NotFound: no such channel or message.
            Invalid: Slack refused the arguments.
        """
        headers = (
            (b"Authorization", f"Bearer {self._token.reveal()}".encode()),
            (b"Content-Type", b"application/x-www-form-urlencoded; charset=utf-8"),
        )
        body = urlencode({name: _text(value) for name, value in arguments.items() if value != ""}).encode()
        try:
            answer = await self._http.request(
                "POST", f"{self._base}/{method}", headers=headers, body=body, read_timeout_s=_TIMEOUT_S
            )
        except DeadlineExceeded:
            raise Unavailable(f"Slack did not answer in time when asked to {what}") from None
        try:
            return _read(what, answer)
        except AuthRequired as error:
            self.refused.set()
            raise Unavailable(error.detail, code=error.code) from None

    async def messages(
        self, method: str, channel: str, *, thread: str = "", oldest: str = "", limit: int, metadata: bool = False
    ) -> AsyncGenerator[Json, None]:
        """Entries of a channel's history (newest first), or of a thread's replies (oldest first).

        Args:
            method: ``conversations.history`` or ``conversations.replies``.
            channel: of which channel.
            thread: of which thread.
            oldest: only those after this time stamp.
            limit: at most so many, in as many pages as that takes.
            metadata: with what the sender attached.

        Raises:
            As `call`.
        """
        cursor, left = "", limit
        while left > 0:
            reply = await self.call(
                "read the history of a channel",
                method,
                channel=channel,
                ts=thread,
                oldest=oldest,
                cursor=cursor,
                limit=min(left, _PAGE),
                include_all_metadata=metadata,
            )
            page = reply.body.get("messages")
            for entry in page if isinstance(page, list) else []:
                if isinstance(entry, Mapping):
                    left -= 1
                    yield entry
            more = reply.body.get("response_metadata")
            cursor = str(more.get("next_cursor") or "") if isinstance(more, Mapping) else ""
            if not cursor:
                return


def _text(value: str | int | bool | Json) -> str:  # noqa: FBT001 - Slack's arguments may be booleans
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping) else str(value)


def _read(what: str, answer: Answer) -> Reply:
    if answer.status == _TOO_MANY:
        raise RateLimited(f"Slack limits how often we may {what}", retry_after_s=_wait_s(answer))
    if answer.status != _OK:
        raise Unavailable(f"Slack did not {what}: HTTP {answer.status}")
    try:
        body = json.loads(answer.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Unavailable(f"Slack's answer to the wish to {what} could not be read")
    if body.get("ok") is not True:
        raise refusal(
            what,
            str(body.get("error") or "no reason given"),
            needed=str(body.get("needed") or ""),
            retry_after_s=_wait_s(answer),
        )
    scopes = answer.header("x-oauth-scopes").split(",")
    return Reply(body, frozenset(scope.strip() for scope in scopes) - {""})


def _wait_s(answer: Answer) -> float:
    value = answer.header("retry-after")
    return float(value) if value.isascii() and value.isdecimal() else _DEFAULT_WAIT_S

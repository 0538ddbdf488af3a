"""Calls to a Graph API: token in a header, form bodies, one try, and every failure sorted by what to do next."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlencode

from shared.errors import Busy, GatewayError
from shared.http.client import Answer, HttpPool
from shared.json_values import count, mapping, object_of
from shared.secrets.files import Secret
from shared.social.models import ContainerState, ContainerStatus, Content, Kind, List, LivePost, Media, Network, Quota
from shared.social.problems import Operation, SocialError, lost_answer, read_problem

READ_TIMEOUT_S = 60.0
CALL_LIMIT_S = 75.0
"""The longest a call can take, connecting included; a lease must last longer."""

_FIRST_ERROR = 300
_STATES: frozenset[str] = frozenset({"IN_PROGRESS", "FINISHED", "PUBLISHED", "ERROR", "EXPIRED"})


class SocialClient(Protocol):
    """One network's calls; every one may raise `SocialError`."""

    @property
    def network(self) -> Network:
        """Which network."""
        ...

    @property
    def can_delete(self) -> bool:
        """Whether posts can be deleted by a call."""
        ...

    async def create_item(self, token: Secret, media: Media) -> str:
        """Make a carousel's child; gives its container id."""
        ...

    async def create(self, token: Secret, content: Content, children: tuple[str, ...]) -> str:
        """Make the container of a post; gives its id. Nothing is visible yet."""
        ...

    async def status(self, token: Secret, container: str) -> ContainerStatus:
        """How far a container is."""
        ...

    async def publish(self, token: Secret, container: str) -> str:
        """Put a container online; gives the media id."""
        ...

    async def recent(self, token: Secret, where: List = "posts", limit: int = 25) -> list[LivePost]:
        """The latest of one of the account's own lists."""
        ...

    async def permalink(self, token: Secret, media_id: str) -> str:
        """Where a post is seen; empty when the network does not say."""
        ...

    async def quota(self, token: Secret) -> Quota:
        """How many posts are left."""
        ...

    async def insights(self, token: Secret, media_id: str, kind: Kind) -> dict[str, int]:
        """How a post is doing, by the network's names; what it does not tell is left out."""
        ...

    async def delete(self, token: Secret, media_id: str) -> None:
        """Take a post offline; asking again for one that is gone is refused as unreadable."""
        ...


class Graph:
    """Calls one network.

    Args:
        network: which.
        http: sends without retrying.
        base: root address with the version.
    """

    def __init__(self, network: Network, http: HttpPool, base: str) -> None:
        self.network: Network = network
        self._http = http
        self._base = base.rstrip("/")

    async def get(self, path: str, token: Secret, query: Mapping[str, str]) -> dict[str, Any]:
        """Read something.

        Raises:
            SocialError: it was not read.
        """
        return await self._call("GET", f"{path}?{urlencode(query)}", token, b"", "read")

    async def post(self, path: str, token: Secret, form: Mapping[str, str], operation: Operation) -> str:
        """Create or publish; gives the id in the answer.

        Raises:
            SocialError: with `unknown` when it may have happened.
        """
        answer = await self._call("POST", path, token, urlencode(form).encode(), operation)
        return self._id_of(answer, operation)

    async def delete(self, path: str, token: Secret) -> None:
        """Delete something.

        Raises:
            SocialError: with `unknown` when it may have happened.
        """
        answer = await self._call("DELETE", path, token, b"", "delete")
        if answer.get("success") is not True:
            raise lost_answer(self.network, "delete", "the answer does not say that it is done", reached=True)

    async def _call(self, method: str, path: str, token: Secret, body: bytes, operation: Operation) -> dict[str, Any]:
        headers = [(b"Authorization", f"Bearer {token.reveal()}".encode()), (b"Accept", b"application/json")]
        if body:
            headers.append((b"Content-Type", b"application/x-www-form-urlencoded"))
        try:
            async with asyncio.timeout(CALL_LIMIT_S):
                answer = await self._http.request(
                    method, f"{self._base}{path}", headers=headers, body=body, read_timeout_s=READ_TIMEOUT_S
                )
        except TimeoutError:
            raise lost_answer(self.network, operation, f"no answer within {CALL_LIMIT_S:.0f} s", reached=True) from None
        except GatewayError as error:
            reached = error.code != "http.connect" and not isinstance(error, Busy)
            raise lost_answer(self.network, operation, error.detail, reached=reached) from None
        return self._document(answer, operation)

    def _document(self, answer: Answer, operation: Operation) -> dict[str, Any]:
        if answer.status >= _FIRST_ERROR:
            raise read_problem(self.network, operation, answer.status, answer.body)
        # Ids may come as numbers that a float cannot hold; Python's whole numbers can.
        document = object_of(answer.body)
        if document is None:
            raise lost_answer(self.network, operation, "the answer makes no sense", reached=True)
        if "error" in document:
            raise read_problem(self.network, operation, answer.status, answer.body)
        return document

    def _id_of(self, answer: Mapping[str, Any], operation: Operation) -> str:
        found = text_of(answer, "id")
        if not found.isdigit():
            raise lost_answer(self.network, operation, "the answer has no id", reached=True)
        return found

    def status_of(self, answer: Mapping[str, Any], state: str, detail: str) -> ContainerStatus:
        """A container's status from two fields of an answer.

        Raises:
            SocialError: there is none in it, which proves nothing.
        """
        word = text_of(answer, state)
        if word not in _STATES:
            raise SocialError(
                f"the container's status is not readable ({word[:40] or 'none'})",
                action="unreadable",
                post_code="container_not_found",
            )
        known: ContainerState = word  # type: ignore[assignment]
        return ContainerStatus(known, text_of(answer, detail)[:200])


def text_of(answer: Mapping[str, Any], name: str) -> str:
    """A field as text; ids are text whatever they came as."""
    value = answer.get(name)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def rows_of(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows in ``data``; what is no row is left out."""
    data = answer.get("data")
    return [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []


def media_fields(media: Media) -> dict[str, str]:
    """A picture's or video's form fields."""
    return {f"{media.kind}_url": media.url, **({"alt_text": media.alt_text} if media.alt_text else {})}


def posts_of(answer: Mapping[str, Any], kinds: Mapping[str, Kind], *, text: str) -> list[LivePost]:
    """The posts of a list; what has no time or is of another kind is left out.

    Args:
        answer: the list.
        kinds: ours by the network's word.
        text: name of the field that holds a post's text.
    """
    found: list[LivePost] = []
    for row in rows_of(answer):
        kind, moment = kinds.get(text_of(row, "media_type")), _moment_of(row)
        if kind is not None and moment is not None:
            found.append(LivePost(text_of(row, "id"), text_of(row, text), kind, moment, text_of(row, "permalink")))
    return found


def _moment_of(row: Mapping[str, Any]) -> datetime | None:
    # Such as 2026-03-02T02:00:00+0000.
    try:
        moment = datetime.fromisoformat(text_of(row, "timestamp"))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def quota_of(answer: Mapping[str, Any]) -> Quota:
    """The posting quota from its endpoint's answer; zeros for what it does not say."""
    row = next(iter(rows_of(answer)), {})
    config = mapping(row.get("config"))
    return Quota(count(row.get("quota_usage")), count(config.get("quota_total")), count(config.get("quota_duration")))


def figures_of(answer: Mapping[str, Any]) -> dict[str, int]:
    """The figures of a post's insights; a network may give one value, or a list of them."""
    found: dict[str, int] = {}
    for row in rows_of(answer):
        values = row.get("values")
        last = mapping(values[-1]) if isinstance(values, list) and values else mapping(row.get("total_value"))
        value = last.get("value")
        if isinstance(value, int) and not isinstance(value, bool):
            found[text_of(row, "name")] = value
    return found

"""Reads from the networks in an agent's place."""

from __future__ import annotations

import re
from collections.abc import Mapping

from shared.http.client import HttpPool
from shared.secrets.files import Secret
from shared.social.models import Network

_READ_S = 30.0
_VERSION = re.compile(r"/v\d+\.\d+(?=/|$)")


class HttpReader:
    """`GraphReader` over HTTP.

    Args:
        http: sends.
        bases: the networks' root addresses, without a version.
        versions: used where a call names none.
    """

    def __init__(self, http: HttpPool, bases: Mapping[Network, str], versions: Mapping[Network, str]) -> None:
        self._http = http
        self._bases = bases
        self._versions = versions

    async def read(self, network: Network, path: str, token: Secret) -> tuple[int, bytes]:
        """Status and body of a GET."""
        version = "" if _VERSION.match(path) else f"/{self._versions[network]}"
        headers = [(b"Authorization", f"Bearer {token.reveal()}".encode()), (b"Accept", b"application/json")]
        url = f"{self._bases[network].rstrip('/')}{version}{path}"
        answer = await self._http.request("GET", url, headers=headers, body=b"", read_timeout_s=_READ_S)
        return answer.status, answer.body

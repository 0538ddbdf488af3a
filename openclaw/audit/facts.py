"""What OpenClaw's checks look at: the configuration in force, the tenant's files, and the running gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from openclaw.config.snapshot import Checked, Snapshot, Source
from shared.config.paths import Paths
from shared.errors import GatewayError, Unavailable
from shared.lifecycle.control import call


@dataclass
class Facts:
    """One look at an installation; read when it is asked for, once."""

    paths: Paths
    tenant: str

    @property
    def folder(self) -> Path:
        """The tenant's state."""
        return self.paths.tenant(self.tenant)

    @cached_property
    def checked(self) -> Checked:
        """The configuration as a start would take it."""
        return Source.of(self.paths, self.tenant).check()

    @property
    def snapshot(self) -> Snapshot:
        """What is in force.

        Raises:
            ConfigError: nothing would be: a start refuses.
        """
        return self.checked.required()

    @cached_property
    def addresses(self) -> dict[str, str]:
        """``http_url``, ``ws_url`` and ``token`` of the running gateway.

        Raises:
            Unavailable: it is not running.
        """
        found: dict[str, str] = self.ask("dashboard")
        return found

    def ask(self, op: str, **params: Any) -> Any:  # noqa: ANN401 - the operation's own result
        """An operation of the running tenant.

        Raises:
            Unavailable: it is not running.
        """
        return call(self.paths.control_socket(self.tenant), op, **params)

    def head(self, path: str) -> dict[str, str]:
        """Headers of the running gateway's answer, names in lower case."""
        return asyncio.run(self._head(self.addresses["http_url"].rstrip("/") + path))

    async def _head(self, url: str) -> dict[str, str]:
        from shared.http.client import HttpPool

        async with HttpPool() as http:
            answer = await http.request("GET", url)
        return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}

    def refusal(self, token: str | None) -> str:
        """Why the running gateway refuses a client with this token and without a device; empty when it does not."""
        return asyncio.run(self._refusal(token))

    async def _refusal(self, token: str | None) -> str:
        from shared.openclawclient.client import OpenClawClient, RequestRefused
        from shared.secrets.files import Secret

        given = Secret(token) if token is not None else None
        try:
            async with OpenClawClient(self.addresses["ws_url"], token=given, timeout_s=5.0):
                return ""
        except RequestRefused as refused:
            return refused.detail
        except Unavailable:
            raise
        except GatewayError as error:
            return error.detail

    def files(self) -> Iterator[Path]:
        """Every plain file of the tenant, links not followed."""
        for place in sorted(self.folder.rglob("*")):
            if not place.is_symlink() and place.is_file():
                yield place

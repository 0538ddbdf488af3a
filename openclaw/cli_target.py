"""Which OpenClaw a command speaks to, and the options that say so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from shared.cli import paths_of, state_option
from shared.errors import Invalid

if TYPE_CHECKING:
    from openclaw.config.snapshot import Source
    from shared.openclawclient.client import OpenClawClient

T = TypeVar("T")

TENANT: Final = "openclaw"


@dataclass(frozen=True, slots=True)
class Target:
    """Which gateway a command speaks to; without a URL, the running tenant is asked for its own."""

    state: Path | None
    tenant: str
    url: str | None
    token: str | None
    timeout_s: float

    def control(self, op: str, **params: Any) -> Any:  # noqa: ANN401 - the operation's own result
        """Ask over the control socket."""
        from shared.lifecycle.control import call

        return call(paths_of(self.state).control_socket(self.tenant), op, **params)

    def address(self) -> tuple[str, str]:
        """WebSocket address and token.

        Raises:
            Invalid: an address without a token.
        """
        if self.url and not self.token:
            raise Invalid("gateway url override requires explicit credentials: add --token", code="openclaw.token")
        if self.url and self.token:
            return self.url, self.token
        found = self.control("dashboard")
        return found["ws_url"], self.token or found["token"]

    def with_client(self, work: Callable[[OpenClawClient], Awaitable[T]]) -> T:
        """Connect as this machine's command line and do something."""
        import asyncio

        from shared.openclawclient.client import OpenClawClient
        from shared.openclawclient.device import DeviceKey
        from shared.secrets.files import Secret

        url, token = self.address()
        key = DeviceKey.load_or_create(paths_of(self.state).tenant(self.tenant) / "identity" / "device.json")

        async def connected() -> T:
            client = OpenClawClient(url, token=Secret(token), device=key, timeout_s=self.timeout_s)
            async with client:
                return await work(client)

        return asyncio.run(connected())

    def request(self, method: str, params: object = None) -> Any:  # noqa: ANN401 - the method's own payload
        """Call one method."""
        return self.with_client(lambda client: client.request(method, params))


def source_of(state: Path | None, tenant: str) -> Source:
    """The configuration files of a tenant, for commands that read or change them without its process."""
    from openclaw.config.snapshot import Source

    return Source.of(paths_of(state), tenant)


def target_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--state --tenant --url --token --timeout``, handed over as one `Target`."""
    import functools

    @functools.wraps(function)
    def wrapped(
        *args: Any,  # noqa: ANN401 - click's
        state: Path | None,
        tenant: str,
        url: str | None,
        token: str | None,
        timeout: float,
        **kwargs: Any,  # noqa: ANN401 - click's
    ) -> Any:  # noqa: ANN401 - the command's own
        return function(Target(state, tenant, url, token, timeout / 1000), *args, **kwargs)

    for option in (
        click.option("--tenant", default=TENANT, show_default=True, help="Which OpenClaw, if there are several."),
        click.option("--url", default=None, help="WebSocket address of another gateway; needs --token."),
        click.option("--token", default=None, help="Gateway token (default: the running tenant's)."),
        click.option("--timeout", type=float, default=10_000, show_default=True, help="Milliseconds to wait."),
    ):
        wrapped = option(wrapped)
    return state_option(wrapped)

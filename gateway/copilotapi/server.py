"""The listener of the stand-alone model API. It starts without GitHub, and outlives whatever its upstreams do."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from gateway.copilotapi.options import CopilotApiOptions
from gateway.copilotapi.signin import CopilotSignIn
from gateway.modelproxy.client_keys import ClientKeys
from gateway.modelproxy.identity import ModelIdentity, RequestRecord
from gateway.modelproxy.pacing import Pacer
from gateway.modelproxy.proxy import ModelProxy
from gateway.modelproxy.public import PublicOptions, listener_identity, public_app
from gateway.modelproxy.quota import CopilotQuota
from shared.errors import AuthRequired, Denied
from shared.http.client import HttpPool
from shared.http.unixserver import AsgiListeners
from shared.obs.log import get_logger

_log = get_logger(__name__)
_DRAIN_S = 2.0

Ask = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class RunningApi:
    """A listening model API."""

    host: str
    port: int
    signin: CopilotSignIn
    proxy: ModelProxy

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


@asynccontextmanager
async def running_api(options: CopilotApiOptions, *, ask: Ask | None = None) -> AsyncIterator[RunningApi]:
    """Listen until the context is left.

    Args:
        options: see there.
        ask: approves a call by hand; called in a thread with the model's name.

    Raises:
        Occupied: the port is in use.
        ConfigError: the keys file is unusable.
    """
    keys = ClientKeys(options.keys_file.expanduser()) if options.keys_file is not None else None
    if keys is not None:
        keys.load()
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(HttpPool())
        signin = CopilotSignIn(options, http)
        gate = _Gate(options, ask)
        proxy = ModelProxy(
            signin,
            http,
            gate=gate.pass_on,
            on_request=_note if options.verbose else None,
            keep_alive_s=options.keep_alive_s,
        )
        quota = CopilotQuota(signin.github, github_token=signin.github_token)
        public = PublicOptions(keys=keys, loopback=options.is_loopback, quota=quota)
        listeners = AsgiListeners(public_app(proxy, listener_identity(), public))
        stack.push_async_callback(listeners.close, _DRAIN_S)
        host = "127.0.0.1" if options.host == "localhost" else options.host
        port = await listeners.add_tcp(host, options.port, state={})
        yield RunningApi(host, port, signin, proxy)


async def serve(options: CopilotApiOptions, *, ask: Ask | None, say: Callable[[str], None]) -> int:
    """Run until SIGINT or SIGTERM.

    Raises:
        Occupied: the port is in use.
        ConfigError: the keys file is unusable.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    async with running_api(options, ask=ask) as api:
        say(f"listening on {api.url}")
        try:
            await api.signin.github_token()
        except AuthRequired as error:
            say(f"{error.detail}; until then every call is answered with 401")
        await stopping.wait()
    return 0


class _Gate:
    """The person's approval, then the queue."""

    def __init__(self, options: CopilotApiOptions, ask: Ask | None) -> None:
        self._pacer = Pacer(options.rate_limit_s, wait=options.wait, max_waiting=options.max_waiting)
        self._ask = ask if options.manual else None
        self._manual = options.manual
        self._one_at_a_time = asyncio.Lock()

    async def pass_on(self, _identity: ModelIdentity, _route: str, model: str) -> None:
        await self._pacer.turn()
        if not self._manual:
            return
        if self._ask is None:
            raise Denied("calls are approved by hand here, but there is no terminal to ask on", code="model.rejected")
        async with self._one_at_a_time:
            if not await asyncio.to_thread(self._ask, model):
                raise Denied("Request rejected", code="model.rejected")


def _note(record: RequestRecord) -> None:
    # What was said stays unlogged, also when more is asked for: prompts are private, and may hold keys.
    sys.stderr.write(
        f"{record.route} {record.model or '-'} {record.status} {record.outcome} "
        f"in={record.input_tokens} out={record.output_tokens} first={record.first_byte_ms:.0f}ms "
        f"total={record.total_ms:.0f}ms\n"
    )

"""The whole tenant with a chat platform in memory, and ways to speak to it."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass

from openclaw_rig import TOKEN, ScriptedModel

from openclaw.config import OpenClawPolicy
from openclaw.gateway import RunningGateway
from openclaw.tenant import Tenant
from shared.channels.base import InboundMessage, Sender
from shared.clock import SYSTEM_CLOCK
from shared.config.paths import Paths
from shared.gatewayclient import GatewayClient
from shared.http.unixserver import AsgiListeners
from shared.lifecycle.control import call
from shared.secrets.files import Secret
from shared.testing.channel_bed import MemoryChannel

OWNER = Sender("200", "owner")
STRANGER = Sender("300", "stranger")
POLICY = OpenClawPolicy.model_validate({"port": 0, "discord": {"group_policy": "allowlist", "guilds": {"1": {}}}})


@dataclass
class House:
    tenant: Tenant
    gateway: RunningGateway
    channel: MemoryChannel
    model: ScriptedModel
    handlers: object

    async def say_directly(self, text: str, sender: Sender, message_id: str = "") -> None:
        message = InboundMessage(
            chat=f"dc:9{sender.id}",
            chat_name=sender.name,
            chat_kind="dm",
            id=message_id or str(secrets.randbelow(1 << 60)),
            sender=sender,
            text=text,
            addressed=True,
            sent_at=SYSTEM_CLOCK.now(),
        )
        await self.handlers.on_message(message)

    async def texts(self, chat: str, count: int) -> list[str]:
        async with asyncio.timeout(5):
            while len(found := self.channel.texts(chat)) < count:
                await asyncio.sleep(0.01)
        return found

    async def settled(self, text: str, chat: str) -> None:
        async with asyncio.timeout(5):
            while text not in self.channel.texts(chat):
                await asyncio.sleep(0.01)

    async def answered(self, count: int) -> None:
        async with asyncio.timeout(5):
            while (await self.tenant.inbox.counts()).get("done", 0) < count:
                await asyncio.sleep(0.01)

    async def control(self, op: str, **params: object):
        return await asyncio.to_thread(call, self.tenant.paths.control_socket("openclaw"), op, **params)


@asynccontextmanager
async def house(
    paths: Paths,
    policy: OpenClawPolicy = POLICY,
    *,
    platform: MemoryChannel | None = None,
    secret: str = TOKEN,
    **more,
):
    model = ScriptedModel()
    socket = paths.runtime / "m.sock"
    handlers = []

    def make(given):
        handlers.append(given)
        channel = MemoryChannel(given)
        if platform is not None:
            channel.shown, channel._next_id = platform.shown, platform._next_id
        return channel

    client = GatewayClient(socket, Secret("k"))
    async with AsgiListeners(model) as listeners:
        await listeners.add_unix(socket, state={})
        tenant = Tenant("openclaw", paths, client, policy, Secret(secret), make_channel=make, drain_s=0.0, **more)
        async with tenant.running() as gateway:
            yield House(tenant, gateway, tenant._channel, model, handlers[0])
    await client.close()

"""Everything a method handler may use, in one place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from openclaw.approvals.asked import ClientRequests
from openclaw.approvals.service import Approvals
from openclaw.channel_probe import Probed
from openclaw.config import OpenClawPolicy
from openclaw.config.service import ConfigService
from openclaw.cron.service import CronJobs
from openclaw.devices import Devices
from openclaw.pairing import DmPairing
from openclaw.presence import Presence
from openclaw.runs import Runs
from openclaw.sessions import Sessions
from openclaw.transcript import Transcripts
from shared.channels.base import ChannelStatus, ChatId
from shared.clock import Clock
from shared.gatewayclient.models import PostAnswer, PostChange, PostDetails, PostInfo, SignInInfo

if TYPE_CHECKING:
    from openclaw.heartbeat import Heartbeat
    from openclaw.hub import Hub


Speak = Callable[[str, str, str], Awaitable[tuple[ChatId, str]]]


@dataclass(frozen=True, slots=True)
class ChannelReport:
    """How a chat channel is doing, for status and health.

    Attributes:
        configured: a token is there.
        probed: what the platform itself said when it was asked last; None when it never was.
    """

    enabled: bool
    configured: bool
    status: ChannelStatus
    last_inbound_at: datetime | None = None
    last_outbound_at: datetime | None = None
    probed: Probed | None = None


AskSignIns = Callable[[], Awaitable[list[SignInInfo]]]


class PostsGateway(Protocol):
    """What the gateway is asked about this tenant's posts; `GatewayClient` has it."""

    async def all_posts(self, state: str = "", limit: int = 200) -> list[PostInfo]:
        """All of them, the youngest first."""
        ...

    async def post_details(self, post_id: str) -> PostDetails:
        """One with its history."""
        ...

    async def answer_post(self, post_id: str, answer: PostAnswer) -> PostInfo:
        """A person's yes or no."""
        ...

    async def change_post(self, post_id: str, change: PostChange) -> PostInfo:
        """What an operator does with it."""
        ...

    async def post_thumbnail(self, post_id: str, number: int) -> bytes:
        """One of its pictures as a small JPEG."""
        ...


@dataclass(slots=True)
class Services:
    """One tenant's parts as the protocol's methods see them.

    Attributes:
        policy: in force now; replaced as a whole when the configuration changes.
        config: where it comes from, and how it is changed.
        folder: the tenant's state directory.
        log_file: where this process's log lines go.
        discord: asked whenever somebody wants to know.
        started_at: aware UTC.
        probe_discord: asks Discord itself within so many milliseconds; the answer is in the next report.
        speak: sends a text to a chat target under a key and gives the chat and the message's id; None without a bot.
        posts: None where the gateway is not asked about posts.
        sign_ins: asks whether the gateway's sign-ins work; None where there is no gateway.
        heartbeat: set once everything runs; None in a gateway without its tenant.
    """

    name: str
    policy: OpenClawPolicy
    config: ConfigService
    folder: Path
    log_file: Path
    clock: Clock
    devices: Devices
    dm_pairing: DmPairing
    presence: Presence
    sessions: Sessions
    approvals: Approvals
    client_requests: ClientRequests
    transcripts: Transcripts
    runs: Runs
    cron: CronJobs
    hub: Hub
    discord: Callable[[], ChannelReport]
    started_at: datetime
    probe_discord: Callable[[int | None], Awaitable[None]] | None = None
    speak: Speak | None = None
    posts: PostsGateway | None = None
    sign_ins: AskSignIns | None = None
    heartbeat: Heartbeat | None = None

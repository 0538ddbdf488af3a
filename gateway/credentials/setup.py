"""Builds the credential parts from an installation's settings; the gateway and ``clawgate auth`` do it alike."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import get_args

from gateway.credentials.journal import Journal
from gateway.credentials.keeper import Keeper
from gateway.credentials.meta import MetaProvider, ShownToken, app_of, provider_of
from gateway.credentials.models import Notice
from gateway.credentials.pending import PendingLogins
from gateway.credentials.refresher import SHARED_TENANT, Refresher
from gateway.credentials.settings import OAuthPolicy
from gateway.credentials.signins import SignIns
from gateway.credentials.slots import ClaudeFileSlot, StoreSlot
from gateway.credentials.standing import StandingFile
from gateway.credentials.store import CredentialStore
from gateway.credentials.vault import open_vault
from gateway.credentials.views import Kind, write_views
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.paths import Paths
from shared.errors import ConfigError, GatewayError
from shared.http.client import HttpPool
from shared.lifecycle.tasks import TaskPool
from shared.oauth.claude import ClaudeOAuth
from shared.oauth.codex import CodexOAuth
from shared.oauth.copilot import CopilotOAuth
from shared.oauth.models import OAuthProvider, Token
from shared.obs.log import get_logger

_log = get_logger(__name__)


def build_sign_ins(
    *,
    paths: Paths,
    policy: OAuthPolicy,
    claude_file: Path,
    http: HttpPool,
    tenants: Mapping[str, Kind] | None = None,
    env: Mapping[str, str] | None = None,
    store: CredentialStore | None = None,
    notify: Callable[[Notice], None] | None = None,
    borrowed: Mapping[str, Path] | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> SignIns:
    """Everything behind ``clawgate auth``, and the refresher the gateway starts.

    Args:
        paths: of the installation.
        policy: addresses and identities.
        claude_file: Claude Code's ``.credentials.json``, shared with its command line.
        http: for token endpoints.
        tenants: what each runs; each may have its own Threads and Instagram, and gets its views. One that is added
            later gets views too, and sign-ins of its own at the gateway's next start.
        env: values of the gateway's ``.env``, for the apps of Threads and Instagram.
        store: keeps all but Claude's; the installation's vault when None.
        notify: told once when a person has to sign in again; must not block.
        borrowed: files of other programs that serve a provider nobody signed in to here.
        clock: for expiry.
    """
    builder = _Builder(paths, store or open_vault(paths, clock=clock), notify, clock)
    builder.add_claude(ClaudeOAuth(policy.claude, http, clock=clock), claude_file)
    views = partial(builder.write_views, tenants or {})
    on_bearer = partial(builder.note_bearer, tenants or {})
    builder.add(SHARED_TENANT, CodexOAuth(policy.codex, http, clock=clock), views)
    builder.add(SHARED_TENANT, CopilotOAuth(policy.copilot, http, clock=clock), views)
    absent: dict[tuple[str, str], GatewayError] = {}
    shown: list[ShownToken] = []
    for tenant, kind in (tenants or {}).items():
        for name in get_args(MetaProvider):
            try:
                app = app_of(name, tenant, env or {}, kind=kind, env_file=paths.env_file)
            except ConfigError as missing:
                absent[tenant, name] = missing
                continue
            meta = provider_of(name, app, http, threads=policy.threads, instagram=policy.instagram, clock=clock)
            line = ShownToken(name, tenant, kind, paths.env_file)
            shown.append(line)
            builder.add(tenant, meta, partial(builder.show, line, kind))
    refresher = Refresher(builder.keepers.values(), tasks=builder.tasks, absent=absent)
    return SignIns(
        refresher, PendingLogins(builder.folder, clock), views, borrowed, on_bearer, shown=shown, clock=clock
    )


class _Builder:
    def __init__(
        self, paths: Paths, store: CredentialStore, notify: Callable[[Notice], None] | None, clock: Clock
    ) -> None:
        self.folder = paths.gateway / "vault"
        self.tasks = TaskPool("credentials")
        self.keepers: dict[tuple[str, str], Keeper] = {}
        self._paths = paths
        self._bearer_ends_at: datetime | None = None
        self._writing = asyncio.Lock()
        self._store = store
        self._notify = notify
        self._clock = clock

    def add_claude(self, provider: OAuthProvider, file: Path) -> None:
        self.keepers[SHARED_TENANT, provider.name] = Keeper(
            provider,
            ClaudeFileSlot(file),
            tenant=SHARED_TENANT,
            standing=self._standing(SHARED_TENANT, provider),
            tasks=self.tasks,
            clock=self._clock,
            notify=self._notify,
        )

    def add(self, tenant: str, provider: OAuthProvider, after: Callable[[], Awaitable[None]]) -> None:
        slot = StoreSlot(self._store, tenant, provider.name, folder=self.folder, clock=self._clock)
        sealed = Journal(
            slot.journal,
            seal=partial(self._store.seal, tenant, provider.name),
            unseal=partial(self._store.unseal, tenant, provider.name),
        )
        self.keepers[tenant, provider.name] = Keeper(
            provider,
            slot,
            tenant=tenant,
            standing=self._standing(tenant, provider),
            tasks=self.tasks,
            clock=self._clock,
            notify=self._notify,
            journal=sealed,
            after=after,
        )

    async def write_views(self, tenants: Mapping[str, Kind]) -> None:
        """What follows a new token; problems are logged, because the token itself is safe."""
        # One after the other: what an earlier writer knew must not replace what a later one wrote.
        async with self._writing:
            for tenant, kind in list(tenants.items()):
                tokens = await self._tokens(tenant)
                for problem in await asyncio.to_thread(
                    write_views,
                    self._paths,
                    tenant,
                    tokens,
                    kind=kind,
                    copilot_expires_at=self._bearer_ends_at,
                    clock=self._clock,
                ):
                    _log.warning("credentials.view", tenant=tenant, path=str(problem.path), detail=problem.error.detail)

    async def show(self, line: ShownToken, kind: Kind) -> None:
        """What follows a change of a token that ``.env`` shows as well."""
        await self.write_views({line.tenant: kind})
        await line.write((await self._tokens(line.tenant)).get(line.provider))

    def note_bearer(self, tenants: Mapping[str, Kind], ends_at: datetime) -> None:
        """A new Copilot bearer: the views name its end."""
        self._bearer_ends_at = ends_at
        self.tasks.start(self.write_views(tenants), name="views")

    async def _tokens(self, tenant: str) -> dict[str, Token]:
        found: dict[str, Token] = {}
        for (owner, name), keeper in self.keepers.items():
            if owner not in {tenant, SHARED_TENANT} or name == "claude":
                continue
            try:
                token = await keeper.peek()
            except GatewayError:
                continue
            if token is not None:
                found[name] = token
        return found

    def _standing(self, tenant: str, provider: OAuthProvider) -> StandingFile:
        return StandingFile(self._paths.gateway / "credentials" / f"{tenant}.{provider.name}.json")

"""Builds the posting service from an installation's settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.credentials.settings import OAuthPolicy
from gateway.credentials.signins import SignIns
from gateway.notices.models import OwnerNotice
from gateway.social.graph.reader import HttpReader
from gateway.social.graph.service import GraphService
from gateway.social.graph.store import DraftStore
from gateway.social.machine import SignedIn, TokenOf
from gateway.social.media import MediaProbe
from gateway.social.policy import SocialPolicy
from gateway.social.service import Social
from gateway.social.store import SocialStore
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.paths import Paths
from shared.config.toml import load_policy
from shared.errors import AuthRequired, ConfigError, NotFound
from shared.http.client import HttpPool
from shared.lifecycle.halt import is_halted
from shared.social.graph import SocialClient
from shared.social.instagram import InstagramClient
from shared.social.models import Network
from shared.social.threads import ThreadsClient
from shared.storage import Database


def build_social(
    *,
    paths: Paths,
    database: Database,
    sign_ins: SignIns,
    oauth: OAuthPolicy,
    http: HttpPool,
    sandbox: bool,
    tell: Callable[[OwnerNotice], None],
    clock: Clock = SYSTEM_CLOCK,
) -> Social:
    """The posting service; it has still to be started.

    Args:
        paths: of the installation.
        database: the gateway's.
        sign_ins: where tokens are.
        oauth: addresses of the networks.
        http: for their calls; never retries.
        sandbox: pictures may be on this machine.
        tell: takes notices to the owner.
        clock: tells when.

    Raises:
        ConfigError: policies/social.toml is wrong.
    """
    policy = load_policy("social", SocialPolicy, paths)
    return Social(
        SocialStore(database, clock, halted=lambda: is_halted(paths)),
        social_clients(oauth, http),
        token_of(sign_ins),
        policy,
        media=MediaProbe(allow_loopback=sandbox, max_video_bytes=policy.media.max_video_bytes),
        files=paths.social_media,
        tell=tell,
        state_option=paths.state_option,
        clock=clock,
    )


def build_graph(social: Social, database: Database, oauth: OAuthPolicy, http: HttpPool, clock: Clock) -> GraphService:
    """What answers agents' calls to the Graph hosts."""
    networks: tuple[Network, ...] = ("threads", "instagram")
    sections = {network: getattr(oauth, network) for network in networks}
    reader = HttpReader(
        http,
        {network: section.graph_base for network, section in sections.items()},
        {network: section.version for network, section in sections.items()},
    )
    return GraphService(social, DraftStore(database), reader, clock)


def social_clients(oauth: OAuthPolicy, http: HttpPool) -> Mapping[Network, SocialClient]:
    """Calls by network; the addresses are those of the sign-ins."""
    threads, instagram = oauth.threads, oauth.instagram
    return {
        "threads": ThreadsClient(http, f"{threads.graph_base}/{threads.version}"),
        "instagram": InstagramClient(http, f"{instagram.graph_base}/{instagram.version}"),
    }


def token_of(sign_ins: SignIns) -> TokenOf:
    """Gives a tenant's current token from the keepers."""

    async def current(tenant: str, network: Network) -> SignedIn:
        fix = f"run `clawgate auth login {network} --tenant {tenant}`"
        try:
            token = await sign_ins.keeper_of(network, tenant).token()
        except (NotFound, ConfigError) as error:
            raise AuthRequired(error.detail, code="auth.unknown") from None
        user_id = token.extra.get("user_id", "")
        if not user_id:
            raise AuthRequired(f"the {network} sign-in of {tenant} does not say whose it is; {fix}")
        return SignedIn(token.access, user_id)

    return current

"""``policies/social.toml``: who may post where, and how."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationInfo, field_validator, model_validator

from gateway.social.hosting.policy import MediaPolicy
from shared.config.strict import Strict
from shared.gatewayclient.models import Slug
from shared.social.models import QUOTA, TITLES, Network
from shared.social.validate import InstagramLimits

OPERATOR = "operator"
"""In the list of approvers: whoever may decide in the Control UI."""

ClockTime = Annotated[str, Field(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9])?$")]


class PostingRule(Strict):
    """One tenant on one network.

    Attributes:
        groups: folders of the groups whose agents may post; ``"*"`` is every group. The operator always may.
        mode: ``approval`` asks a person before every post; ``auto`` posts without asking.
        approvers: who may approve: Discord user ids, which get a card, and ``operator`` for the Control UI.
            The command line of this machine always may.
        channel: chat of the cards, such as ``dc:123456789012345678``; empty: a direct message to each approver.
        daily_cap: posts in any 24 hours, below the network's own limit.
        quiet_from: start of the hours in which nothing is posted, such as ``22:00``; empty for none.
        quiet_until: their end; posts wait for it.
        timezone: whose clock the quiet hours are on.
    """

    groups: tuple[Annotated[str, Field(pattern=r"^(\*|[a-z0-9][a-z0-9-]{0,30})$")], ...] = ()
    mode: Literal["approval", "auto"] = "approval"
    approvers: tuple[Annotated[str, Field(pattern=r"^(operator|[0-9A-Z]{1,20})$")], ...] = (OPERATOR,)
    channel: Annotated[str, Field(pattern=r"^([a-z]{2,10}:\S{1,100})?$")] = ""
    daily_cap: int = Field(default=10, ge=0, le=max(QUOTA.values()))
    quiet_from: ClockTime = ""
    quiet_until: ClockTime = ""
    timezone: str = "UTC"

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ValueError, OSError, KeyError) as error:
            raise ValueError(f"{value!r} is not a time zone such as Europe/Berlin") from error
        return value

    @model_validator(mode="after")
    def _both_or_none(self) -> PostingRule:
        if bool(self.quiet_from) != bool(self.quiet_until):
            raise ValueError("quiet_from and quiet_until belong together")
        return self

    @property
    def quiet(self) -> tuple[time, time] | None:
        """Begin and end of the quiet hours."""
        if not self.quiet_from or self.quiet_from == self.quiet_until:
            return None
        return time.fromisoformat(self.quiet_from), time.fromisoformat(self.quiet_until)

    @property
    def card_places(self) -> tuple[str, ...]:
        """Where cards are shown: the channel, else each person; none when only commands and the Control UI decide."""
        people = tuple(approver for approver in self.approvers if approver != OPERATOR)
        return (self.channel,) if self.channel and people else people

    def lets(self, group: str) -> bool:
        """Whether a group's agent may post."""
        return "*" in self.groups or group in self.groups


class NetworkRules(Strict):
    """A tenant's networks; one that is left out is closed to it.

    Attributes:
        threads: posting at Threads.
        instagram: posting at Instagram.
    """

    threads: PostingRule | None = None
    instagram: PostingRule | None = None

    @field_validator("threads", "instagram")
    @classmethod
    def _possible(cls, rule: PostingRule | None, info: ValidationInfo) -> PostingRule | None:
        network: Network = "threads" if info.field_name == "threads" else "instagram"
        if rule is not None and rule.daily_cap > QUOTA[network]:
            raise ValueError(
                f"daily_cap = {rule.daily_cap} cannot be: {TITLES[network]} takes {QUOTA[network]} posts in 24 hours. "
                f"Set {QUOTA[network]} or less"
            )
        return rule

    def of(self, network: Network) -> PostingRule | None:
        """The rule of a network."""
        return self.threads if network == "threads" else self.instagram


class OembedPolicy(Strict):
    """Where public posts are asked about for embedding.

    Attributes:
        threads: Threads' address.
        instagram: Instagram's.
    """

    threads: str = "https://graph.threads.net/v1.0/oembed"
    instagram: str = "https://graph.facebook.com/v25.0/instagram_oembed"


class SocialPolicy(Strict):
    """Posting at social networks: closed to everybody unless opened here.

    Attributes:
        kill_switch: holds every post of every tenant; ``clawgate posts hold`` does the same while running.
        grace_hours: a post that is later than this after its time is not made any more.
        approval_hours: how long a post waits for a person before it counts as rejected.
    """

    kill_switch: bool = False
    grace_hours: float = Field(default=12.0, gt=0, le=168)
    approval_hours: float = Field(default=24.0, gt=0, le=168)
    instagram: InstagramLimits = InstagramLimits()
    media: MediaPolicy = MediaPolicy()
    oembed: OembedPolicy = OembedPolicy()
    tenants: dict[Slug, NetworkRules] = Field(default_factory=dict)

    def rule(self, tenant: str, network: Network) -> PostingRule | None:
        """What a tenant may do at a network; None when it is closed to it."""
        rules = self.tenants.get(tenant)
        return rules.of(network) if rules is not None else None

    def has_cards(self, tenant: str) -> bool:
        """Whether a tenant shows cards to anybody."""
        rules = self.tenants.get(tenant, NetworkRules())
        return any(rule is not None and rule.card_places for rule in (rules.threads, rules.instagram))

    def groups_of(self, tenant: str) -> dict[Network, tuple[str, ...]]:
        """Groups that may post, by network, for a tenant that offers its agents the tools."""
        rules = self.tenants.get(tenant, NetworkRules())
        networks: tuple[Network, ...] = ("threads", "instagram")
        return {network: rule.groups for network in networks if (rule := rules.of(network)) and rule.groups}

"""What is done with a Discord message: a pure decision with a reason a person can read."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from openclaw.config import DiscordPolicy, GuildPolicy
from shared.channels.base import InboundMessage


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and why.

    Attributes:
        kind: ``answer`` · ``pair`` give the stranger a code · ``context`` keep it for the next answer · ``ignore``.
    """

    kind: Literal["answer", "pair", "context", "ignore"]
    reason: str


def decide_discord(message: InboundMessage, policy: DiscordPolicy, paired: Collection[str]) -> Decision:
    """Decide about one message.

    Membership is checked before anything is kept: what outsiders say never reaches the model. Approved pairings
    count for direct messages only.

    Args:
        message: as the channel translated it.
        policy: who is answered.
        paired: ids of people whose pairing was approved.
    """
    if message.sender.is_bot:
        return Decision("ignore", "written by a bot")
    if not message.text.strip() and not message.attachments:
        return Decision("ignore", "nothing in it to answer")
    if message.chat_kind == "dm":
        return _direct(message, policy, paired)
    return _guild(message, policy)


def _direct(message: InboundMessage, policy: DiscordPolicy, paired: Collection[str]) -> Decision:
    if policy.dm_policy == "disabled":
        return Decision("ignore", "direct messages are switched off (discord.dm_policy)")
    if policy.dm_policy == "open":
        return Decision("answer", "direct messages are open to everybody")
    if message.sender.id in policy.allow_from:
        return Decision("answer", "the sender is on the allowlist")
    if policy.dm_policy == "allowlist":
        return Decision("ignore", "the sender is not on the allowlist (discord.allow_from)")
    if message.sender.id in paired:
        return Decision("answer", "the sender's pairing was approved")
    return Decision("pair", "a stranger: pairing is needed")


def _guild(message: InboundMessage, policy: DiscordPolicy) -> Decision:
    if policy.group_policy == "disabled":
        return Decision("ignore", "guild channels are switched off (discord.group_policy)")
    entry = policy.guilds.get(message.guild)
    if entry is None:
        if policy.group_policy == "allowlist":
            return Decision("ignore", "the server is not on the allowlist (discord.guilds)")
        entry = GuildPolicy(require_mention=policy.require_mention)
    places = {place.rpartition(":")[2] for place in (message.chat, message.parent) if place}
    if entry.channels and places.isdisjoint(entry.channels):
        return Decision("ignore", "the channel is not on the server's allowlist")
    if entry.users and message.sender.id not in entry.users:
        return Decision("ignore", "the sender is not on the server's allowlist")
    if entry.require_mention and not message.addressed:
        return Decision("context", "not addressed to the bot")
    return Decision("answer", "addressed to the bot" if message.addressed else "no mention is needed here")

"""What is done with a Discord message: a pure decision with a reason a person can read.

The gates, in order: a notice · a bot · nothing in it · (direct messages) policy, list, pairing · (servers) policy,
server, channel, membership · mention · command or message. Membership comes before everything that keeps text, so that
what outsiders say never reaches the model. Source: OpenClaw 2026.2.26, which keeps it first and asks later.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from openclaw.chat_words import read_chat_command
from openclaw.config import ChannelRule, DiscordPolicy, GuildPolicy
from shared.channels.base import InboundMessage

DecisionKind = Literal["answer", "command", "pair", "context", "ignore"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and why.

    Attributes:
        kind: ``answer`` · ``command`` carry it out · ``pair`` give the stranger a code · ``context`` keep it for the
            next answer · ``ignore``.
    """

    kind: DecisionKind
    reason: str


def decide_discord(
    message: InboundMessage, policy: DiscordPolicy, paired: Collection[str], activation: str = ""
) -> Decision:
    """Decide about one message. Approved pairings count for direct messages only.

    Args:
        message: as the channel translated it.
        policy: who is answered.
        paired: ids of people whose pairing was approved.
        activation: what somebody allowed chose for this conversation: ``always``, ``mention`` or nothing.
    """
    if message.notice:
        return Decision("ignore", f"a notice of Discord's ({message.notice}), nobody's words")
    if message.sender.is_bot:
        return Decision("ignore", "written by a bot")
    if not message.text.strip() and not message.attachments:
        return Decision("ignore", "nothing in it to answer")
    if message.chat_kind == "dm":
        return _direct(message, policy, paired)
    return _guild(message, policy, activation)


def _direct(message: InboundMessage, policy: DiscordPolicy, paired: Collection[str]) -> Decision:
    if policy.dm_policy == "disabled":
        return Decision("ignore", "direct messages are switched off (discord.dm_policy)")
    if policy.dm_policy == "open":
        return _wanted(message, "direct messages are open to everybody")
    if message.sender.id in policy.allow_from:
        return _wanted(message, "the sender is on the allowlist")
    if policy.dm_policy == "allowlist":
        return Decision("ignore", "the sender is not on the allowlist (discord.allow_from)")
    if message.sender.id in paired:
        return _wanted(message, "the sender's pairing was approved")
    return Decision("pair", "a stranger: pairing is needed")


def _guild(message: InboundMessage, policy: DiscordPolicy, activation: str) -> Decision:
    if policy.group_policy == "disabled":
        return Decision("ignore", "guild channels are switched off (discord.group_policy)")
    entry = policy.guilds.get(message.guild)
    if entry is None:
        if policy.group_policy == "allowlist":
            return Decision("ignore", "the server is not on the allowlist (discord.guilds)")
        entry = GuildPolicy(require_mention=policy.require_mention)
    places = [place.rpartition(":")[2] for place in (message.chat, message.parent) if place]
    rule = next((entry.rules[place] for place in places if place in entry.rules), ChannelRule())
    if not rule.enabled:
        return Decision("ignore", "the channel is switched off (discord.guilds…rules)")
    if entry.channels and not set(places) & set(entry.channels):
        return Decision("ignore", "the channel is not on the server's allowlist")
    if not _is_member(message, entry, rule):
        what = "a command" if read_chat_command(message.text) else "the message"
        return Decision("ignore", f"the sender of {what} is not on the server's allowlist (users, roles)")
    needs_mention = entry.require_mention if rule.require_mention is None else rule.require_mention
    if activation:
        needs_mention = activation == "mention"
    if message.addressed:
        return _wanted(message, "addressed to the bot")
    if _is_mentioned(message.text, policy.mention_patterns):
        return _wanted(message, "a name of the bot is in it (discord.mention_patterns)")
    if needs_mention:
        return Decision("context", "not addressed to the bot")
    return _wanted(message, "no mention is needed here")


def _is_member(message: InboundMessage, entry: GuildPolicy, rule: ChannelRule) -> bool:
    has_own = bool(rule.users or rule.roles)
    users, roles = (rule.users, rule.roles) if has_own else (entry.users, entry.roles)
    if not users and not roles:
        return True
    return message.sender.id in users or not set(roles).isdisjoint(message.sender.roles)


def _is_mentioned(text: str, patterns: Collection[str]) -> bool:
    return any(re.search(pattern, text, re.IGNORECASE) for pattern in patterns)


def _wanted(message: InboundMessage, reason: str) -> Decision:
    return Decision("command" if read_chat_command(message.text) else "answer", reason)

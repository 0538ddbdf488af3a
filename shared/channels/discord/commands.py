"""Slash commands: declared by name, uploaded only when they changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import discord
from discord import app_commands

from shared.channels.base import MarkStore
from shared.channels.discord.client import BotClient
from shared.channels.discord.faults import translated
from shared.obs.log import get_logger

_log = get_logger(__name__)


class _Commands(app_commands.CommandTree[BotClient]):
    """A tree that writes its failures to our log."""

    async def on_error(
        self, interaction: discord.Interaction[BotClient], error: app_commands.AppCommandError, /
    ) -> None:
        """A command unknown to us (uploaded by an older version), or a defect."""
        data: Mapping[str, object] = interaction.data or {}
        _log.warning("discord.command_failed", command=data.get("name"), reason=str(error))


def declare(client: BotClient, commands: Mapping[str, str]) -> app_commands.CommandTree[BotClient]:
    """Give a client its commands, each with one optional text.

    Args:
        client: of the current attempt.
        commands: name → description.
    """
    tree = _Commands(
        client,
        allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=False),
        allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
    )
    for name, description in commands.items():
        tree.add_command(_command(client, name, description))
    return tree


def _command(client: BotClient, name: str, description: str) -> app_commands.Command[Any, ..., None]:
    async def called(interaction: discord.Interaction, text: str = "") -> None:
        await client.command_called(interaction, name, text)

    return app_commands.Command(name=name, description=description, callback=called)


async def upload(tree: app_commands.CommandTree[BotClient], marks: MarkStore | None) -> None:
    """Tell Discord the commands, unless it was told the same before."""
    application = tree.client.application_id
    declared = [command.to_dict(tree) for command in tree.get_commands()]
    digest = hashlib.sha256(json.dumps(declared, sort_keys=True, default=str).encode()).hexdigest()
    name = f"discord.commands.{application}"
    uploaded = await marks.get(name) if marks is not None else ""
    if uploaded == digest or not (uploaded or declared):
        return
    with translated("store the slash commands"):
        await tree.sync()
    if marks is not None:
        await marks.put(name, digest)
    _log.info("discord.commands_uploaded", count=len(declared))

"""Answering presses and slash commands within Discord's three seconds, however long the work takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import discord

from shared.channels.base import Form
from shared.channels.discord.components import FormWindow
from shared.channels.discord.faults import translated
from shared.channels.text import split_message
from shared.errors import GatewayError
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

_log = get_logger(__name__)

_PATIENCE_S = 1.5
"""After this the answer is announced first; Discord forgets an interaction after 3 s."""


async def answer(interaction: discord.Interaction, work: Awaitable[str | Form], pool: TaskPool) -> None:
    """Do the work and show its text or form to the caller alone; empty text just acknowledges."""
    task = pool.start(_safely(work), name="interaction")
    done, _ = await asyncio.wait({task}, timeout=_PATIENCE_S)
    try:
        with translated("answer a button or a command"):
            if not done:
                await interaction.response.defer(ephemeral=True, thinking=True)
            told = await task
            if isinstance(told, Form) and not interaction.response.is_done():
                await interaction.response.send_modal(FormWindow(told))
                return
            # A form can only be the first answer.
            await _show(interaction, "That took too long: press again." if isinstance(told, Form) else told)
    except GatewayError as error:
        _log.warning("discord.interaction_unanswered", reason=error.detail)


async def _safely(work: Awaitable[str | Form]) -> str | Form:
    try:
        return await work
    except GatewayError as error:
        return error.detail
    except Exception:  # noqa: BLE001 - the presser gets a sentence, the log the rest
        _log.exception("discord.interaction_failed")
        return "Sorry, that went wrong on our side."


async def _show(interaction: discord.Interaction, text: str) -> None:
    parts = split_message(text)
    if not interaction.response.is_done():
        if parts:
            await interaction.response.send_message(parts[0], ephemeral=True)
        elif interaction.type is discord.InteractionType.component:
            await interaction.response.defer()
        else:
            await interaction.response.send_message("Done.", ephemeral=True)
        parts = parts[1:]
    elif not parts:
        parts = ["Done."]
    for part in parts:
        await interaction.followup.send(part, ephemeral=True)

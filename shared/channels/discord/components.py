"""Buttons whose meaning is in their id, so that an old message's button works after a restart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Self

import discord

from shared.channels.base import Button, Form

_PREFIX = "cg:"
_TEMPLATE = re.compile(rf"{_PREFIX}(?P<action>.+)", re.DOTALL)
_LABEL_LIMIT = 80
_TITLE_LIMIT, _ID_LIMIT = 45, 100
_STYLES = {
    "primary": discord.ButtonStyle.primary,
    "secondary": discord.ButtonStyle.secondary,
    "success": discord.ButtonStyle.success,
    "danger": discord.ButtonStyle.danger,
}


class ActionButton(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=_TEMPLATE):
    """A button that carries its action; Discord allows ids of 100 characters, so 97 for the action."""

    def __init__(
        self, action: str, label: str = "", style: discord.ButtonStyle = discord.ButtonStyle.secondary
    ) -> None:
        super().__init__(
            discord.ui.Button(custom_id=f"{_PREFIX}{action}", label=label[:_LABEL_LIMIT] or None, style=style)
        )
        self._action = action

    @classmethod
    async def from_custom_id(
        cls,
        interaction: discord.Interaction,  # noqa: ARG003 - discord.py's signature
        item: discord.ui.Item[discord.ui.View],  # noqa: ARG003 - discord.py's signature
        match: re.Match[str],
        /,
    ) -> Self:
        """Make the button anew from the id that was pressed."""
        return cls(match["action"])

    async def callback(self, interaction: discord.Interaction) -> None:
        """Hand the press to the client."""
        client: object = interaction.client
        await client.button_pressed(interaction, self._action)  # type: ignore[attr-defined]


class FormWindow(discord.ui.Modal):
    """One field of text; what is sent comes to the client as a press with that text."""

    def __init__(self, form: Form) -> None:
        super().__init__(title=form.title[:_TITLE_LIMIT], custom_id=f"{_PREFIX}{form.action}"[:_ID_LIMIT])
        self._action = form.action
        self._field: discord.ui.TextInput[Self] = discord.ui.TextInput(
            label=form.label[:_TITLE_LIMIT],
            custom_id="text",
            style=discord.TextStyle.paragraph,
            default=form.value[: form.longest],
            max_length=form.longest,
            required=False,
        )
        self.add_item(self._field)

    async def on_submit(self, interaction: discord.Interaction, /) -> None:
        """Hand the text to the client."""
        client: object = interaction.client
        await client.button_pressed(interaction, self._action, self._field.value)  # type: ignore[attr-defined]


def view_of(buttons: Sequence[Button]) -> discord.ui.View | None:
    """The buttons as discord.py wants them; None without any."""
    if not buttons:
        return None
    view = discord.ui.View(timeout=None)
    for button in buttons:
        view.add_item(ActionButton(button.action, button.label, _STYLES[button.style]))
    return view

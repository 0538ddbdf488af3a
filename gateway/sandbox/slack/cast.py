"""Who is in the emulated workspace: one channel, two people and NanoClaw's app."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.sandbox.cast import BOTS
from gateway.sandbox.slack.models import App, Channel, User
from gateway.sandbox.slack.world import World


@dataclass(frozen=True, slots=True)
class SlackCast:
    """Everybody by their part.

    Attributes:
        owner_token: acts as the owner on the Web API.
    """

    app: App
    general: Channel
    owner: User
    friend: User
    owner_token: str


def slack_cast_of(world: World) -> SlackCast:
    """Put everybody into a fresh workspace."""
    owner, friend = world.add_user("owner"), world.add_user("friend")
    app = world.add_app("nanoclaw", real_name=BOTS["nanoclaw"])
    general = world.add_channel("general", owner, friend, app.user)
    return SlackCast(app, general, owner, friend, world.token_of(owner))

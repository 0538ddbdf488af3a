"""Who is on the emulated Discord: one server, two channels, three people and the two bots."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.sandbox.discord.world import World

GUILD = "Clawgate"
CHANNELS = ("general", "lab")
PEOPLE = ("owner", "friend", "stranger")
BOTS = {"nanoclaw": "나노봇", "openclaw": "OpenClaw"}
"""Display name of each tenant's bot; NanoClaw's differs from its assistant's name, J (policy N1)."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Ids and tokens; all ids are decimal strings, as on the wire.

    Attributes:
        channel_id: the first channel.
        owner_token: acts as the person who owns the server.
    """

    guild_id: str
    channel_id: str
    owner_token: str
    people: dict[str, str]
    bots: dict[str, str]
    bot_tokens: dict[str, str]


def cast_of(world: World, further: Iterable[str] = ()) -> Cast:
    """Put everybody on the stage; whoever is there already stays as they are.

    Args:
        world: where.
        further: tenants beside the first two, which have a bot too.
    """
    owner = world.add_user(PEOPLE[0])
    owner.nitro = True
    guild = world.add_guild(GUILD, owner=owner)
    channels = [world.add_channel(guild, name) for name in CHANNELS]
    people = {name: world.add_user(name) for name in PEOPLE}
    for person in people.values():
        world.join(guild, person)
    applications = {}
    for tenant, name in {**{name: name for name in further}, **BOTS}.items():
        applications[tenant] = world.add_application(tenant, display_name=name)
        world.join(guild, applications[tenant])
    return Cast(
        guild_id=str(guild.id),
        channel_id=str(channels[0].id),
        owner_token=owner.token,
        people={name: str(person.id) for name, person in people.items()},
        bots={tenant: str(application.id) for tenant, application in applications.items()},
        bot_tokens={tenant: world.bot_token(application) for tenant, application in applications.items()},
    )

"""The emulated Discord itself: who and what exists, what people do, and what the bots did.

A `World` needs no server. Tests talk to it directly; `DiscordEmulator` gives it Discord's face for the bots and a
page for people. It belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from gateway.sandbox.discord.commands import Commands
from gateway.sandbox.discord.core import Core
from gateway.sandbox.discord.drafts import Extras, Reference, read_draft
from gateway.sandbox.discord.errors import ApiError
from gateway.sandbox.discord.events import Event, Record
from gateway.sandbox.discord.interactions import AUTOCOMPLETE, COMMAND, Interaction, Interactions
from gateway.sandbox.discord.messages import Messages
from gateway.sandbox.discord.models import (
    ALL_PERMISSIONS,
    EVERYONE_PERMISSIONS,
    PRIVILEGED,
    Application,
    Channel,
    ChannelType,
    Command,
    Guild,
    Intent,
    Json,
    Member,
    Message,
    Permission,
    Role,
    Upload,
    User,
)
from gateway.sandbox.discord.sessions import SessionHub
from gateway.sandbox.discord.state import State, dump_state, load_state, make_token
from gateway.sandbox.discord.threads import Threads
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import ConfigError, Invalid, NotFound
from shared.lifecycle.tasks import TaskPool
from shared.secrets.files import write_private

_T = TypeVar("_T")
SAVE_DELAY_S = 1.0


class World:
    """Users, guilds, channels, messages, applications and sessions, with the people's side as methods.

    People's methods raise `shared.errors.Invalid` or `NotFound` with words for a person when Discord would refuse.

    Attributes:
        state: everything that survives a restart.
        core: what the services share.
        messages: sending, editing, reacting, history.
        commands: registered application commands.
        interactions: clicks and commands in flight.
        threads: threads.
    """

    def __init__(self, path: Path | None = None, *, clock: Clock = SYSTEM_CLOCK) -> None:
        """Open the world kept in `path`, or an empty one.

        Args:
            path: a JSON file, saved a moment after each change; uploaded files go into ``<path>.files/``.
            clock: source of all times, so that tests need no waiting.

        Raises:
            ConfigError: the file exists and is not a saved world.
        """
        self.clock = clock
        self._path = path
        self._tasks = TaskPool("discord.world")
        self._save_handle: asyncio.TimerHandle | None = None
        self._build(_load(path) if path is not None and path.exists() else State())

    def _build(self, state: State) -> None:
        blobs = self._path.with_name(self._path.name + ".files") if self._path else None
        self.state = state
        self.core = Core(state, self.clock, blobs, self._touch)
        self.messages = Messages(self.core)
        self.commands = Commands(self.core)
        self.interactions = Interactions(self.core, self.messages)
        self.threads = Threads(self.core, self.messages)

    @property
    def sessions(self) -> SessionHub:
        """Gateway sessions and the watching pages."""
        return self.core.hub

    # --- building the world; every name is made once and found again afterwards ---

    def add_user(self, name: str, *, display_name: str = "", user_id: int | None = None) -> User:
        """A person of that name, with a token that may drive the API as that person."""
        if (known := self.find_user(name)) is not None:
            return known
        return self._new_user(name, display_name, user_id, bot=False)

    def add_application(
        self, name: str, *, display_name: str = "", token: str | None = None, intents_allowed: int = int(PRIVILEGED)
    ) -> Application:
        """A bot application of that name with its bot account, whose token is made here unless given.

        An application that exists keeps its id and takes over the token (if given) and the intents.
        """
        known = next((a for a in self.state.applications.values() if a.name == name), None)
        if known is None:
            user = self._new_user(name, display_name, None, bot=True)
            known = self.state.applications[user.id] = Application(user.id, name)
        if token is not None:
            self.state.users[known.id].token = token
        known.intents_allowed = int(intents_allowed)
        self._touch()
        return known

    def add_guild(self, name: str, *, owner: User | None = None) -> Guild:
        """A guild of that name; `owner` (a person made for it by default) has every permission there."""
        if (known := next((g for g in self.state.guilds.values() if g.name == name), None)) is not None:
            return known
        guild_id = self.core.new_id()
        guild = Guild(guild_id, name, owner.id if owner else 0)
        guild.roles[guild_id] = Role(guild_id, "@everyone", EVERYONE_PERMISSIONS)
        self.state.guilds[guild_id] = guild
        if owner is not None:
            self.join(guild, owner)
        self._touch()
        return guild

    def add_channel(self, guild: Guild, name: str, *, topic: str | None = None) -> Channel:
        """A text channel of that name in a guild."""
        rooms = self.state.guild_channels(guild.id, threads=False)
        if (known := next((channel for channel in rooms if channel.name == name), None)) is not None:
            return known
        channel = Channel(self.core.new_id(), ChannelType.TEXT, name, guild.id, position=len(rooms), topic=topic)
        self.state.channels[channel.id] = channel
        scribe = self.core.scribe
        self.core.publish(
            Event("CHANNEL_CREATE", lambda v: scribe.channel(channel, v.user_id), channel, guild.id, Intent.GUILDS)
        )
        return channel

    def join(self, guild: Guild, who: User | Application) -> None:
        """Make a person a member, or invite a bot, which brings a role of its own name."""
        if who.id in guild.members:
            return
        user = self.state.users[who.id]
        member = guild.members[user.id] = Member(user.id, self.clock.now())
        if user.bot:
            role = Role(self.core.new_id(), user.name, 0, position=len(guild.roles), bot_id=user.id)
            guild.roles[role.id] = role
            member.role_ids.append(role.id)
        scribe = self.core.scribe
        added = scribe.member(member) | {"guild_id": str(guild.id)}
        self.core.publish(Event("GUILD_MEMBER_ADD", lambda _: added, None, guild.id, Intent.GUILD_MEMBERS, Intent(0)))
        self.core.publish(Event("GUILD_CREATE", lambda v: scribe.guild_create(guild, v), only=frozenset({user.id})))

    def deny(self, who: User | Application, channel: Channel, permission: Permission | int) -> None:
        """Take permissions away from somebody in one channel; 0 gives them back."""
        channel.denied[who.id] = int(permission) & ALL_PERMISSIONS
        if not permission:
            del channel.denied[who.id]
        self._touch()

    def bot_token(self, application: Application) -> str:
        """The token the application's bot signs in with."""
        return self.state.users[application.id].token

    def rotate_token(self, application: Application) -> str:
        """Revoke the bot's token and make a new one; its sessions end with close code 4004."""
        user = self.state.users[application.id]
        user.token = make_token(user.id)
        for session in self.sessions.of(user.id):
            if session.connection is not None:
                session.connection.disrupt("close", code=4004)
            self.sessions.end(session)
        self._touch()
        return user.token

    def find_user(self, name: str) -> User | None:
        """An account by its name."""
        return next((user for user in self.state.users.values() if user.name == name), None)

    # --- what people do ---

    async def say(
        self,
        user: User,
        channel_id: int,
        text: str,
        *,
        reply_to: int | None = None,
        attachments: Sequence[Upload] = (),
        extras: Extras | None = None,
        mention_author: bool = True,
    ) -> Message:
        """Post as a person, optionally as a reply (which pings its author unless told otherwise)."""

        def post() -> Message:
            draft = read_draft({"content": text}, dict(enumerate(attachments)), nitro=user.nitro)
            draft.extras = extras or Extras()
            if reply_to is not None:
                draft.reference = Reference(reply_to)
                if not mention_author:
                    draft.allowed_mentions = {"parse": ["users", "roles", "everyone"], "replied_user": False}
            return self.messages.send(user, self.core.channel(user, channel_id), draft)

        return self._as_person(post)

    async def forward(self, user: User, channel_id: int, message_id: int, to_channel_id: int) -> Message:
        """Pass a message on to another channel."""
        source = self._as_person(lambda: self.core.message(user, channel_id, message_id)[1])
        return await self.say(user, to_channel_id, "", extras=Extras(forwarded=source))

    async def edit(self, user: User, channel_id: int, message_id: int, text: str) -> Message:
        """Change one's own message."""
        return self._as_person(
            lambda: self.messages.edit(
                user,
                self.core.message(user, channel_id, message_id)[1],
                read_draft({"content": text}, nitro=user.nitro),
            )
        )

    async def delete(self, user: User, channel_id: int, message_id: int) -> None:
        """Delete a message."""
        self._as_person(lambda: self.messages.delete(user, self.core.message(user, channel_id, message_id)[1]))

    async def react(self, user: User, channel_id: int, message_id: int, emoji: str) -> None:
        """Add a reaction."""
        self._as_person(lambda: self.messages.react(user, self.core.message(user, channel_id, message_id)[1], emoji))

    async def unreact(self, user: User, channel_id: int, message_id: int, emoji: str) -> None:
        """Take one's reaction back."""
        self._as_person(
            lambda: self.messages.unreact(user, self.core.message(user, channel_id, message_id)[1], emoji, user.id)
        )

    async def type(self, user: User, channel_id: int) -> None:
        """Show as typing."""
        self._as_person(lambda: self.messages.typing(user, self.core.channel(user, channel_id)))

    async def open_dm(self, user: User, other: User | Application) -> int:
        """The id of the DM channel of a pair."""
        return self._as_person(lambda: self.messages.open_dm(user, self.state.users[other.id])).id

    async def start_thread(self, user: User, channel_id: int, name: str, *, message_id: int | None = None) -> Channel:
        """Start a public thread, from a message or on its own."""

        def start() -> Channel:
            parent = self.core.channel(user, channel_id)
            source = self.core.message(user, channel_id, message_id)[1] if message_id else None
            body = {"name": name, "type": int(ChannelType.PUBLIC_THREAD)}
            return self.threads.start(user, parent, body, message=source)

        return self._as_person(start)

    async def click(self, user: User, message_id: int, custom_id: str, values: list[str] | None = None) -> Interaction:
        """Use a button or select menu of a message, also of one only this person sees."""
        message = next((m[message_id] for m in self.state.messages.values() if message_id in m), None)
        if message is None or not self.state.can_see(user.id, self.state.channels[message.channel_id]):
            raise NotFound(f"there is no message {message_id}")
        return self.interactions.click(user, message, custom_id, values)

    async def slash(
        self,
        user: User,
        channel_id: int,
        app: Application,
        name: str,
        options: Mapping[str, Any] | None = None,
    ) -> Interaction:
        """Call a slash command; `name` may hold subcommands, separated by spaces (``admin status``)."""
        channel = self._as_person(lambda: self.core.channel(user, channel_id))
        command, path = self._offered(user, channel, app, name)
        data = self.commands.call_data(command, path, options or {})
        return self.interactions.start(COMMAND, user, channel, app.id, data)

    async def autocomplete(
        self, user: User, channel_id: int, app: Application, name: str, option: str, text: str
    ) -> Interaction:
        """Ask an application for suggestions; its answer lands in the interaction's `choices`."""
        channel = self._as_person(lambda: self.core.channel(user, channel_id))
        command, path = self._offered(user, channel, app, name)
        focused = [{"name": option, "type": 3, "value": text, "focused": True}]
        data: Json = {"id": str(command.id), "name": command.name, "type": command.type, "options": focused}
        for step in reversed(path):
            data["options"] = [{"name": step, "type": 1, "options": data["options"]}]
        return self.interactions.start(AUTOCOMPLETE, user, channel, app.id, data)

    async def submit(self, user: User, interaction_id: int, values: Mapping[str, str]) -> Interaction:
        """Send a form that an application showed."""
        return self.interactions.submit(user, interaction_id, values)

    async def wait_for(self, predicate: Callable[[Record], bool], timeout_s: float = 5.0, *, after: int = 0) -> Record:
        """Wait until a bot has done something that fits, looking at the log first.

        Args:
            predicate: tells the record wanted.
            timeout_s: seconds to wait.
            after: ignore records up to this number (`World.log_position` taken earlier).

        Raises:
            DeadlineExceeded: nothing that fits came in time.
        """
        return await self.core.log.wait(predicate, timeout_s, after=after)

    @property
    def log_position(self) -> int:
        """The number of the newest record."""
        return self.core.log.last_seq

    # --- keeping it ---

    def snapshot(self) -> Json:
        """The state as JSON values: ids, tokens, users, channels, recent messages."""
        return dump_state(self.state)

    def restore(self, saved: Json) -> None:
        """Become what was saved; call before anything is connected.

        Raises:
            ConfigError: it is no snapshot.
        """
        try:
            self._build(load_state(saved))
        except ValidationError as error:
            raise ConfigError(f"not a saved Discord world: {error.error_count()} fields are wrong") from None

    async def flush(self) -> None:
        """Save now, if there is a file."""
        if self._save_handle is not None:
            self._save_handle.cancel()
            self._save_handle = None
        await self._save()

    def _touch(self) -> None:
        if self._path is None or self._save_handle is not None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # built before the loop runs; the emulator saves when it starts
        self._save_handle = loop.call_later(SAVE_DELAY_S, self._save_later)

    def _save_later(self) -> None:
        self._save_handle = None
        self._tasks.start(self._save(), name="save")

    async def _save(self) -> None:
        if self._path is None:
            return
        text = json.dumps(self.snapshot(), ensure_ascii=False)
        await asyncio.to_thread(write_private, self._path, text)

    # --- inside ---

    def _new_user(self, name: str, display_name: str, user_id: int | None, *, bot: bool) -> User:
        made = user_id or self.core.new_id()
        if made in self.state.users:
            raise Invalid(f"user id {made} is taken by {self.state.users[made].name}")
        user = self.state.users[made] = User(made, name, display_name, bot, make_token(made))
        self._touch()
        return user

    def _offered(self, user: User, channel: Channel, app: Application, name: str) -> tuple[Command, list[str]]:
        first, *path = name.lstrip("/").split()
        offered = [c for a, c in self.commands.offered(user, channel) if a.id == app.id]
        command = next((c for c in offered if c.name == first), None)
        if command is None:
            known = ", ".join(f"/{c.name}" for c in offered) or "none"
            raise NotFound(f"{app.name} offers no /{first} here; it offers: {known}")
        return command, path

    def _as_person(self, act: Callable[[], _T]) -> _T:
        try:
            return act()
        except ApiError as error:
            kind = NotFound if error.status == 404 else Invalid
            raise kind(f"Discord refuses: {error.message} (code {error.code}){_first_reason(error)}") from None


def _first_reason(error: ApiError) -> str:
    place, found = list[str](), error.errors
    while isinstance(found, dict) and "_errors" not in found:
        name, found = next(iter(found.items()))
        place.append(name)
    if not isinstance(found, dict):
        return ""
    return f": {'.'.join(place)}: {found['_errors'][0]['message']}"


def _load(path: Path) -> State:
    try:
        return load_state(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path} is not a saved Discord world ({type(error).__name__}): remove it to start with an empty one",
            code="config.sandbox_world",
        ) from None

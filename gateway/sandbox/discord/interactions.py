"""Interactions: a person's click, command or form, and the application's answers within their deadlines."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from gateway.sandbox.discord.core import Core
from gateway.sandbox.discord.drafts import read_draft, require_content
from gateway.sandbox.discord.errors import ApiError, invalid_form, unknown
from gateway.sandbox.discord.events import Event
from gateway.sandbox.discord.messages import Messages, answer_type
from gateway.sandbox.discord.models import (
    Channel,
    InteractionOrigin,
    Json,
    Message,
    MessageFlag,
    MessageType,
    Upload,
    User,
)
from gateway.sandbox.discord.shape import object_at, objects_at
from gateway.sandbox.discord.wire import ATTACHMENT_SIZE_LIMIT, Viewer
from shared.errors import Invalid

ANSWER_WITHIN_S = 3.0
TOKEN_LIFE_S = 900.0
COMMAND, COMPONENT, AUTOCOMPLETE, MODAL_SUBMIT = 2, 3, 4, 5
_MESSAGE, _DEFER, _DEFER_UPDATE, _UPDATE, _CHOICES, _MODAL = 4, 5, 6, 7, 8, 9
_ALLOWED_ANSWERS = {
    COMMAND: {_MESSAGE, _DEFER, _MODAL},
    COMPONENT: {_MESSAGE, _DEFER, _DEFER_UPDATE, _UPDATE, _MODAL},
    AUTOCOMPLETE: {_CHOICES},
    MODAL_SUBMIT: {_MESSAGE, _DEFER, _DEFER_UPDATE, _UPDATE},
}
_KEPT_INTERACTIONS = 1_000


class Phase(Enum):
    """How far an interaction is: waiting → answered or deferred; too late → expired."""

    WAITING = "waiting"
    DEFERRED = "deferred"
    ANSWERED = "answered"
    EXPIRED = "expired"


@dataclass(slots=True)
class Interaction:
    """One interaction.

    Attributes:
        made_at: monotonic seconds.
        source: the message whose component was used.
        original: the message that ``@original`` means, once there is one.
        choices: what an autocomplete was answered with.
        answered: set by the first callback.
        modal: the form the application asked to show.
    """

    id: int
    token: str
    application_id: int
    type: int
    user_id: int
    channel_id: int
    data: Json
    made_at: float
    nonce: str | int | None = None
    phase: Phase = Phase.WAITING
    source: Message | None = None
    original: Message | None = None
    choices: list[Json] | None = None
    modal: Json | None = None
    answered: asyncio.Event = field(default_factory=asyncio.Event)


class Interactions:
    """Starts interactions for people and takes the applications' answers."""

    def __init__(self, core: Core, messages: Messages) -> None:
        self._core = core
        self._messages = messages
        self._by_id: dict[int, Interaction] = {}

    def start(
        self,
        kind: int,
        user: User,
        channel: Channel,
        application_id: int,
        data: Json,
        *,
        source: Message | None = None,
        nonce: str | int | None = None,
    ) -> Interaction:
        """Send an interaction to an application; it has three seconds to answer."""
        core = self._core
        interaction = Interaction(
            core.new_id(), _make_token(), application_id, kind, user.id, channel.id, data, core.clock.monotonic(), nonce
        )
        interaction.source = source
        self._by_id[interaction.id] = interaction
        for old in list(self._by_id)[:-_KEPT_INTERACTIONS]:
            del self._by_id[old]
        receipt = {"id": str(interaction.id), "nonce": nonce}
        core.publish(Event("INTERACTION_CREATE", lambda _: receipt, only=frozenset({user.id})))
        payload = self._payload(interaction, user, channel)
        core.publish(Event("INTERACTION_CREATE", lambda _: payload, only=frozenset({application_id})))
        asyncio.get_running_loop().call_later(ANSWER_WITHIN_S + 0.05, self._check_deadline, interaction)
        return interaction

    def get(self, interaction_id: int) -> Interaction | None:
        """An interaction that is still remembered."""
        return self._by_id.get(interaction_id)

    def click(
        self,
        user: User,
        message: Message,
        custom_id: str,
        values: list[str] | None = None,
        nonce: str | int | None = None,
    ) -> Interaction:
        """Use a button or a select menu of a bot's message.

        Raises:
            Invalid: no such component, a disabled one, or one that a person cannot use.
        """
        component = find_component(message.components, custom_id)
        if component is None:
            raise Invalid(f"message {message.id} has no component {custom_id!r}")
        if component.get("disabled"):
            raise Invalid(f"component {custom_id!r} is disabled")
        author = self._core.state.users[message.author_id]
        if not author.bot or message.ephemeral_for not in (None, user.id):
            raise Invalid(f"message {message.id} is not a bot's message this person can use")
        data: Json = {"component_type": component["type"], "custom_id": custom_id, "id": component.get("id", 1)}
        if component["type"] != 2:
            data["values"] = values or []
        channel = self._core.state.channels[message.channel_id]
        return self.start(COMPONENT, user, channel, author.id, data, source=message, nonce=nonce)

    def submit(self, user: User, interaction_id: int, values: Mapping[str, str]) -> Interaction:
        """Send a form the application showed; `values` are by the inputs' custom ids.

        Raises:
            Invalid: there is no such form for this person.
        """
        asked = self._by_id.get(interaction_id)
        if asked is None or asked.modal is None or asked.user_id != user.id:
            raise Invalid(f"no form is open for interaction {interaction_id}")
        modal, asked.modal = asked.modal, None
        data = {"custom_id": modal["custom_id"], "components": _filled(modal.get("components") or [], values)}
        channel = self._core.state.channels[asked.channel_id]
        return self.start(MODAL_SUBMIT, user, channel, asked.application_id, data, source=asked.source)

    def answer(self, interaction_id: int, token: str, body: object, files: Mapping[int, Upload]) -> Json:
        """The application's callback; returns the ``with_response`` object.

        Raises:
            ApiError: 10062 when unknown or late, 40060 when already answered, 50035 for a wrong body.
        """
        interaction = self._by_id.get(interaction_id)
        if interaction is None or not secrets.compare_digest(interaction.token, token):
            raise unknown("interaction")
        if interaction.phase in (Phase.ANSWERED, Phase.DEFERRED):
            raise ApiError(400, 40060, "Interaction has already been acknowledged.")
        self._check_deadline(interaction)
        if interaction.phase is Phase.EXPIRED:
            raise unknown("interaction")
        kind = body.get("type") if isinstance(body, dict) else None
        if not isinstance(body, dict) or kind not in _ALLOWED_ANSWERS[interaction.type]:
            raise invalid_form("type", "BASE_TYPE_CHOICES", "Value is not an allowed response type here.")
        if kind in (_DEFER_UPDATE, _UPDATE) and interaction.source is None:
            raise invalid_form("type", "INTERACTION_RESPONSE_TYPE_INVALID", "There is no message to update.")
        data = object_at("data", body.get("data"))
        resource = self._apply(interaction, kind, data, files)
        if interaction.phase is Phase.WAITING:
            interaction.phase = Phase.ANSWERED
        interaction.answered.set()
        self._report(interaction, "INTERACTION_SUCCESS")
        application = self._core.state.users[interaction.application_id]
        record = {"id": str(interaction.id), "type": kind, "data": body.get("data"), "resource": resource}
        self._core.record("interaction.callback", application, interaction.channel_id, record)
        return self._callback_object(interaction, kind, resource)

    def followup(self, application_id: int, token: str, body: object, files: Mapping[int, Upload]) -> Message:
        """A further message; the first one after a defer takes the place of "thinking".

        Raises:
            ApiError: 10015 or 50027 for the token, 50035 for a wrong body.
        """
        interaction = self.by_token(application_id, token)
        draft = read_draft(body, files)
        require_content(draft)
        if interaction.phase is Phase.DEFERRED and interaction.original is not None:
            self._fill_deferred(interaction, interaction.original, body, files)
            message = interaction.original
        else:
            ephemeral = bool((draft.flags or 0) & MessageFlag.EPHEMERAL)
            message = self._make(interaction, body, files, ephemeral=ephemeral)
            if interaction.original is not None:
                message.type = MessageType.REPLY
                message.reference_id = interaction.original.id
                message.reference_channel_id = interaction.original.channel_id
            self._messages.publish_new(message)
        application = self._core.state.users[application_id]
        written = self._core.scribe.message(message, Viewer(application_id))
        self._core.record("interaction.followup", application, message.channel_id, written)
        return message

    def by_token(self, application_id: int, token: str) -> Interaction:
        """The answered interaction a webhook token belongs to.

        Raises:
            ApiError: 10015 for an unknown token or one not answered yet, 50027 after 15 minutes.
        """
        found = next((i for i in self._by_id.values() if secrets.compare_digest(i.token, token)), None)
        if found is None or found.application_id != application_id or found.phase in (Phase.WAITING, Phase.EXPIRED):
            raise unknown("Webhook")
        if self._core.clock.monotonic() - found.made_at > TOKEN_LIFE_S:
            raise ApiError(401, 50027, "Invalid Webhook Token")
        return found

    def answer_message(self, interaction: Interaction, message_ref: str) -> Message:
        """The message of a webhook path: ``@original`` or an id.

        Raises:
            ApiError: 10008.
        """
        if message_ref == "@original":
            found = interaction.original
        else:
            wanted = int(message_ref) if message_ref.isdigit() else 0
            found = self._core.state.message(interaction.channel_id, wanted)
        alive = found and self._core.state.message(found.channel_id, found.id) is found
        if found is None or not alive or found.author_id != interaction.application_id:
            raise unknown("Message")
        return found

    def edit_answer(
        self, interaction: Interaction, message: Message, body: object, files: Mapping[int, Upload]
    ) -> Message:
        """Change an answer through the webhook; this also ends "thinking".

        Raises:
            ApiError: 50035, 50006.
        """
        if interaction.phase is Phase.DEFERRED and message is interaction.original:
            self._fill_deferred(interaction, message, body, files)
        else:
            self._messages.apply(message, read_draft(body, files))
        return message

    def _fill_deferred(
        self, interaction: Interaction, message: Message, body: object, files: Mapping[int, Upload]
    ) -> None:
        self._messages.apply(message, read_draft(body, files))
        interaction.phase = Phase.ANSWERED

    def _apply(self, interaction: Interaction, kind: int, data: Json, files: Mapping[int, Upload]) -> Json | None:
        scribe, viewer = self._core.scribe, Viewer(interaction.application_id)
        if kind == _CHOICES:
            interaction.choices = objects_at("data.choices", data.get("choices"))
            return None
        if kind == _MODAL:
            interaction.modal = _check_modal(data)
            shown = {**interaction.modal, "id": str(interaction.id), "application_id": str(interaction.application_id)}
            only = frozenset({interaction.user_id})
            self._core.publish(Event("INTERACTION_MODAL_CREATE", lambda _: shown, only=only))
            return None
        if kind == _DEFER_UPDATE:
            interaction.original = interaction.source
            return None
        if kind == _UPDATE and interaction.source is not None:
            self._messages.apply(interaction.source, read_draft(data, files))
            interaction.original = interaction.source
            return {"type": kind, "message": scribe.message(interaction.source, viewer)}
        message = self._first_message(interaction, kind, data, files)
        return {"type": kind, "message": scribe.message(message, viewer)}

    def _first_message(self, interaction: Interaction, kind: int, data: Json, files: Mapping[int, Upload]) -> Message:
        draft = read_draft(data, files)
        ephemeral = bool((draft.flags or 0) & MessageFlag.EPHEMERAL)
        if kind == _DEFER:
            message = self._make(interaction, {}, {}, ephemeral=ephemeral)
            message.flags |= MessageFlag.LOADING
            interaction.phase = Phase.DEFERRED
        else:
            require_content(draft)
            message = self._make(interaction, data, files, ephemeral=ephemeral)
        interaction.original = message
        self._messages.publish_new(message)
        return message

    def _make(self, interaction: Interaction, body: object, files: Mapping[int, Upload], *, ephemeral: bool) -> Message:
        core = self._core
        channel = core.state.channels[interaction.channel_id]
        bot = core.state.users[interaction.application_id]
        message = self._messages.build(bot, channel, read_draft(body, files))
        name = interaction.data.get("name") if interaction.type == COMMAND else None
        message.origin = InteractionOrigin(interaction.id, interaction.type, interaction.user_id, name)
        message.type = answer_type(message.origin)
        message.application_id = bot.id
        if interaction.source is not None:
            message.type = MessageType.REPLY
            message.reference_id, message.reference_channel_id = interaction.source.id, interaction.source.channel_id
        if ephemeral:
            message.flags |= MessageFlag.EPHEMERAL
            message.ephemeral_for = interaction.user_id
        return message

    def _check_deadline(self, interaction: Interaction) -> None:
        waited = self._core.clock.monotonic() - interaction.made_at
        if interaction.phase is Phase.WAITING and waited > ANSWER_WITHIN_S:
            interaction.phase = Phase.EXPIRED
            self._report(interaction, "INTERACTION_FAILURE")

    def _report(self, interaction: Interaction, name: str) -> None:
        told = {"id": str(interaction.id), "nonce": interaction.nonce}
        self._core.publish(Event(name, lambda _: told, only=frozenset({interaction.user_id})))

    def _callback_object(self, interaction: Interaction, kind: int, resource: Json | None) -> Json:
        about: Json = {"id": str(interaction.id), "type": interaction.type}
        if interaction.original is not None and kind in (_MESSAGE, _DEFER, _UPDATE):
            flags = interaction.original.flags
            about |= {
                "response_message_id": str(interaction.original.id),
                "response_message_loading": bool(flags & MessageFlag.LOADING),
                "response_message_ephemeral": bool(flags & MessageFlag.EPHEMERAL),
            }
        return {"interaction": about, "resource": resource} if resource else {"interaction": about}

    def _payload(self, interaction: Interaction, user: User, channel: Channel) -> Json:
        state, scribe = self._core.state, self._core.scribe
        application_id = interaction.application_id
        permissions = str(state.permissions(user.id, channel))
        payload: Json = {
            "id": str(interaction.id),
            "application_id": str(application_id),
            "type": interaction.type,
            "token": interaction.token,
            "version": 1,
            "data": interaction.data,
            "channel_id": str(channel.id),
            "channel": {**scribe.channel(channel, application_id), "permissions": permissions},
            "app_permissions": str(state.permissions(application_id, channel)),
            "locale": "en-US",
            "entitlements": [],
            "attachment_size_limit": ATTACHMENT_SIZE_LIMIT,
            "context": 1 if channel.is_dm else 0,
            "authorizing_integration_owners": {"0": str(channel.guild_id or 0)},
        }
        member = state.member(channel.guild_id, user.id)
        if member is not None:
            payload["member"] = {**scribe.member(member), "permissions": permissions}
            payload["guild_id"] = str(channel.guild_id)
            payload["guild"] = {"id": str(channel.guild_id), "locale": "en-US", "features": []}
            payload["guild_locale"] = "en-US"
        else:
            payload["user"] = scribe.user(user)
        if interaction.source is not None:
            payload["message"] = scribe.message(interaction.source, Viewer(application_id))
        return payload


def find_component(components: list[Json], custom_id: str) -> Json | None:
    """The component with that id, anywhere in the tree."""
    for component in components:
        if component.get("custom_id") == custom_id:
            return component
        children = [
            *(component.get("components") or []),
            *([component["accessory"]] if "accessory" in component else []),
        ]
        if (found := find_component(children, custom_id)) is not None:
            return found
    return None


def _make_token() -> str:
    return "aW50ZXJhY3Rpb246" + secrets.token_urlsafe(60)


def _check_modal(data: Json) -> Json:
    if not 1 <= len(str(data.get("custom_id") or "")) <= 100:
        raise invalid_form("data.custom_id", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
    if not 1 <= len(str(data.get("title") or "")) <= 45:
        raise invalid_form("data.title", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 45 in length.")
    rows = objects_at("data.components", data.get("components"))
    if not 1 <= len(rows) <= 5:
        raise invalid_form("data.components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
    read_draft({"components": rows})
    return data


def _filled(components: list[Json], values: Mapping[str, str]) -> list[Json]:
    """The submitted form: the same tree, each input with its value."""
    filled = []
    for component in components:
        entry: Json = {"type": component["type"], "id": component.get("id", 1)}
        if "components" in component:
            entry["components"] = _filled(component["components"], values)
        if "component" in component:
            entry["component"] = _filled([component["component"]], values)[0]
        if "custom_id" in component:
            entry["custom_id"] = component["custom_id"]
            entry["value"] = values.get(component["custom_id"], component.get("value") or "")
        filled.append(entry)
    return filled

"""Application commands: registration checked as Discord checks it, and a person's call turned into its data."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from gateway.sandbox.discord.core import Core
from gateway.sandbox.discord.errors import invalid_form, unknown
from gateway.sandbox.discord.models import Application, Channel, Command, Json, User
from gateway.sandbox.discord.shape import list_at, objects_at, text_at
from gateway.sandbox.discord.snowflake import parse_snowflake
from shared.errors import Invalid, NotFound

CHAT_INPUT, USER_MENU, MESSAGE_MENU = 1, 2, 3
COMMAND_LIMIT = 100
_NAME = re.compile(r"[-_'\w]{1,32}")
_OPTION_LIMIT = 25
_SUB_COMMAND, _SUB_GROUP = 1, 2
_STRING, _INTEGER, _BOOLEAN, _USER, _CHANNEL, _ROLE, _MENTIONABLE, _NUMBER = 3, 4, 5, 6, 7, 8, 9, 10
_GUILD_CONTEXT, _BOT_DM_CONTEXT = 0, 1


class Commands:
    """The registry of every application's commands."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def listed(self, application: Application, guild_id: int | None) -> list[Command]:
        """The commands of one scope: global for none, else one guild's."""
        return [command for command in application.commands.values() if command.guild_id == guild_id]

    def overwrite(self, application: Application, guild_id: int | None, specs: object) -> list[Command]:
        """Replace a scope's commands; one of the same name and type keeps its id.

        Raises:
            ApiError: 50035 with the field, 30032 for too many.
        """
        if not isinstance(specs, list):
            raise invalid_form("_", "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
        if sum(1 for spec in specs if isinstance(spec, dict) and spec.get("type", 1) == CHAT_INPUT) > COMMAND_LIMIT:
            raise invalid_form("_", "APPLICATION_COMMAND_TOO_MANY", "Maximum number of commands reached (100).")
        checked = [_check_command(str(index), spec) for index, spec in enumerate(specs)]
        keys = [(spec["type"], spec["name"]) for spec in checked]
        if len(set(keys)) != len(keys):
            raise invalid_form("_", "APPLICATION_COMMANDS_DUPLICATE_NAME", "Application command names must be unique")
        before = {(c.type, c.name): c for c in self.listed(application, guild_id)}
        for command in before.values():
            del application.commands[command.id]
        for spec in checked:
            self._put(application, guild_id, spec, before.get((spec["type"], spec["name"])))
        self._note(application, guild_id)
        return self.listed(application, guild_id)

    def upsert(self, application: Application, guild_id: int | None, spec: object) -> Command:
        """Add a command, or change the one of the same name.

        Raises:
            ApiError: 50035.
        """
        checked = _check_command("_", spec)
        known = {(c.type, c.name): c for c in self.listed(application, guild_id)}
        command = self._put(application, guild_id, checked, known.get((checked["type"], checked["name"])))
        self._note(application, guild_id)
        return command

    def change(self, application: Application, guild_id: int | None, command_id: int, patch: object) -> Command:
        """Change some fields of a command.

        Raises:
            ApiError: 10063, 50035.
        """
        command = self.get(application, guild_id, command_id)
        merged = {**command.spec, **(patch if isinstance(patch, dict) else {})}
        changed = self._put(application, guild_id, _check_command("_", merged), command)
        self._note(application, guild_id)
        return changed

    def remove(self, application: Application, guild_id: int | None, command_id: int) -> None:
        """Delete a command.

        Raises:
            ApiError: 10063.
        """
        del application.commands[self.get(application, guild_id, command_id).id]
        self._note(application, guild_id)

    def get(self, application: Application, guild_id: int | None, command_id: int) -> Command:
        """A command of a scope.

        Raises:
            ApiError: 10063.
        """
        command = application.commands.get(command_id)
        if command is None or command.guild_id != guild_id:
            raise unknown("application command")
        return command

    def offered(self, user: User, channel: Channel, kind: int = CHAT_INPUT) -> list[tuple[Application, Command]]:
        """What a person can use in a channel; a guild's own command hides the global one of the same name."""
        found: dict[tuple[int, str], tuple[Application, Command]] = {}
        for application in self._core.state.applications.values():
            if not self._core.state.can_see(application.id, channel):
                continue
            for command in sorted(application.commands.values(), key=lambda c: c.guild_id is not None):
                if command.type == kind and self._usable(command, user, channel):
                    found[application.id, command.name] = (application, command)
        return list(found.values())

    def call_data(self, command: Command, path: list[str], values: Mapping[str, Any]) -> Json:
        """The interaction data of a slash call.

        Args:
            command: what is called.
            path: names of the subcommand group and subcommand, if any.
            values: the options by name; text is converted to the option's type.

        Raises:
            Invalid: a missing, unknown or ill-typed option.
        """
        options, wrap = command.spec.get("options") or [], list[Json]()
        for name in path:
            step = next((o for o in options if o["name"] == name and o["type"] in (_SUB_COMMAND, _SUB_GROUP)), None)
            if step is None:
                raise Invalid(f"/{command.name} has no subcommand {name!r}")
            wrap.append({"name": name, "type": step["type"]})
            options = step.get("options") or []
        if any(option["type"] in (_SUB_COMMAND, _SUB_GROUP) for option in options):
            names = ", ".join(option["name"] for option in options)
            raise Invalid(f"/{command.name} needs a subcommand: one of {names}")
        resolved: Json = {}
        filled = self._fill(options, values, resolved)
        for step in reversed(wrap):
            filled = [{**step, "options": filled}]
        data: Json = {"id": str(command.id), "name": command.name, "type": command.type}
        if command.guild_id is not None:
            data["guild_id"] = str(command.guild_id)
        if filled:
            data["options"] = filled
        if resolved:
            data["resolved"] = resolved
        return data

    def _usable(self, command: Command, user: User, channel: Channel) -> bool:
        if command.guild_id is not None and command.guild_id != channel.guild_id:
            return False
        contexts = command.spec.get("contexts")
        context = _BOT_DM_CONTEXT if channel.is_dm else _GUILD_CONTEXT
        if contexts is not None and context not in contexts:
            return False
        if channel.is_dm:
            return command.application_id in channel.recipient_ids
        needed = command.spec.get("default_member_permissions")
        return needed is None or int(needed) & self._core.state.permissions(user.id, channel) == int(needed) != 0

    def _fill(self, options: list[Json], values: Mapping[str, Any], resolved: Json) -> list[Json]:
        known = {option["name"]: option for option in options}
        for name in values:
            if name not in known:
                raise Invalid(f"no option {name!r}; there are: {', '.join(known) or 'none'}")
        filled = []
        for name, option in known.items():
            if name not in values or values[name] in (None, ""):
                if option.get("required"):
                    raise Invalid(f"option {name!r} is required")
                continue
            filled.append({"name": name, "type": option["type"], "value": self._value(option, values[name], resolved)})
        return filled

    def _value(self, option: Json, value: object, resolved: Json) -> object:
        kind, name = option["type"], option["name"]
        choices = option.get("choices") or []
        named = [choice["value"] for choice in choices if value in (choice["name"], choice["value"])]
        if named:
            return named[0]
        if choices:
            raise Invalid(f"option {name!r}: choose one of {', '.join(str(c['name']) for c in choices)}")
        try:
            return _CONVERT[kind](value) if kind in _CONVERT else self._resolve(kind, value, resolved)
        except (ValueError, TypeError, KeyError, NotFound):
            raise Invalid(f"option {name!r}: {value!r} is not of its type ({kind})") from None

    def _resolve(self, kind: int, value: object, resolved: Json) -> str:
        state, scribe = self._core.state, self._core.scribe
        digits = re.sub(r"\D", "", str(value))
        target = parse_snowflake(digits)
        if kind in (_USER, _MENTIONABLE) and target in state.users:
            resolved.setdefault("users", {})[digits] = scribe.user(state.users[target])
            return digits
        if kind == _CHANNEL and target in state.channels:
            channel = scribe.channel(state.channels[target], 0)
            resolved.setdefault("channels", {})[digits] = {**channel, "permissions": "0"}
            return digits
        roles = {role.id: role for guild in state.guilds.values() for role in guild.roles.values()}
        if kind in (_ROLE, _MENTIONABLE) and target in roles:
            resolved.setdefault("roles", {})[digits] = scribe.role(roles[target])
            return digits
        raise NotFound(f"nothing has the id {value!r}")

    def _put(self, application: Application, guild_id: int | None, spec: Json, known: Command | None) -> Command:
        if known is not None and known.spec == spec:
            application.commands[known.id] = known
            return known
        version = self._core.new_id()
        command_id = known.id if known else version
        command = Command(command_id, application.id, guild_id, spec["name"], spec["type"], version, spec)
        application.commands[command_id] = command
        return command

    def _note(self, application: Application, guild_id: int | None) -> None:
        core = self._core
        names = [command.name for command in self.listed(application, guild_id)]
        core.record("commands.put", core.state.users[application.id], None, {"names": names})
        core.hub.announce("COMMANDS_UPDATE", {"application_id": str(application.id)})
        core.changed()


def _to_bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}[str(value).lower()]


_CONVERT: dict[int, Callable[[object], object]] = {
    _STRING: str,
    _INTEGER: lambda value: int(str(value)),
    _BOOLEAN: _to_bool,
    _NUMBER: lambda value: float(str(value)),
}


def _check_command(path: str, spec: object) -> Json:
    if not isinstance(spec, dict):
        raise invalid_form(path, "MODEL_TYPE_CONVERT", "Must be a dictionary.")
    kind = spec.get("type", CHAT_INPUT)
    if kind not in (CHAT_INPUT, USER_MENU, MESSAGE_MENU):
        raise invalid_form(f"{path}.type", "BASE_TYPE_CHOICES", "Value must be one of {1, 2, 3}.")
    name = spec.get("name")
    _check_name(f"{path}.name", name, slash=kind == CHAT_INPUT)
    description = text_at(f"{path}.description", spec.get("description"))
    permissions = spec.get("default_member_permissions")
    if permissions is not None and not str(permissions).isdecimal():
        raise invalid_form(f"{path}.default_member_permissions", "NUMBER_TYPE_COERCE", "Value is not a permission set.")
    if kind == CHAT_INPUT and not 1 <= len(description) <= 100:
        raise invalid_form(f"{path}.description", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
    _check_options(f"{path}.options", objects_at(f"{path}.options", spec.get("options")))
    kept = ("options", "name_localizations", "description_localizations", "handler")
    return {
        "type": kind,
        "name": name,
        "description": description if kind == CHAT_INPUT else "",
        "default_member_permissions": None if permissions is None else str(permissions),
        "dm_permission": spec.get("dm_permission", True),
        "nsfw": bool(spec.get("nsfw")),
        "contexts": None if spec.get("contexts") is None else list_at(f"{path}.contexts", spec["contexts"]),
        "integration_types": spec.get("integration_types") or [0],
        **{key: spec[key] for key in kept if spec.get(key) is not None},
    }


def _check_name(path: str, name: object, *, slash: bool) -> None:
    if not isinstance(name, str) or not 1 <= len(name) <= 32:
        raise invalid_form(path, "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 32 in length.")
    if slash and (not _NAME.fullmatch(name) or name != name.lower()):
        raise invalid_form(path, "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")


def _check_options(path: str, options: list[Json]) -> None:
    if len(options) > _OPTION_LIMIT:
        raise invalid_form(path, "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    optional_seen = False
    for index, option in enumerate(options):
        place = f"{path}.{index}"
        _check_name(f"{place}.name", option.get("name"), slash=True)
        if not 1 <= len(text_at(f"{place}.description", option.get("description"))) <= 100:
            raise invalid_form(f"{place}.description", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
        if len(_choices(place, option)) > _OPTION_LIMIT:
            raise invalid_form(f"{place}.choices", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
        if option.get("required") and optional_seen:
            raise invalid_form(
                place, "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", "Required options must be placed before others"
            )
        optional_seen = optional_seen or not option.get("required")
        _check_options(f"{place}.options", objects_at(f"{place}.options", option.get("options")))


def _choices(path: str, option: Json) -> list[Json]:
    if not isinstance(option.get("type"), int):
        raise invalid_form(f"{path}.type", "BASE_TYPE_REQUIRED", "This field is required")
    choices = objects_at(f"{path}.choices", option.get("choices"))
    if any("name" not in choice or "value" not in choice for choice in choices):
        raise invalid_form(f"{path}.choices", "BASE_TYPE_REQUIRED", "This field is required")
    return choices

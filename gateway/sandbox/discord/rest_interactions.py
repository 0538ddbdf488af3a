"""REST calls about commands and interactions: the application's side, and a person's own token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.sandbox.discord.asgi import Response
from gateway.sandbox.discord.errors import ApiError, invalid_form, unknown
from gateway.sandbox.discord.interactions import COMMAND, COMPONENT, MODAL_SUBMIT
from gateway.sandbox.discord.models import Json, Message
from gateway.sandbox.discord.rest import Call, Route
from gateway.sandbox.discord.rest_places import own_application
from gateway.sandbox.discord.shape import list_at, object_at, objects_at
from gateway.sandbox.discord.snowflake import parse_snowflake
from gateway.sandbox.discord.wire import Viewer
from shared.errors import Invalid


def _scope(call: Call) -> int | None:
    return call.world.core.guild(call.actor, call.id("guild")).id if "guild" in call.request.params else None


async def _list_commands(call: Call) -> Response:
    listed = call.world.commands.listed(own_application(call), _scope(call))
    return Response.json([call.world.core.scribe.command(command) for command in listed])


async def _put_commands(call: Call) -> Response:
    put = call.world.commands.overwrite(own_application(call), _scope(call), call.body)
    return Response.json([call.world.core.scribe.command(command) for command in put])


async def _add_command(call: Call) -> Response:
    command = call.world.commands.upsert(own_application(call), _scope(call), call.body)
    return Response.json(call.world.core.scribe.command(command), 201)


async def _get_command(call: Call) -> Response:
    command = call.world.commands.get(own_application(call), _scope(call), call.id("command"))
    return Response.json(call.world.core.scribe.command(command))


async def _change_command(call: Call) -> Response:
    command = call.world.commands.change(own_application(call), _scope(call), call.id("command"), call.body)
    return Response.json(call.world.core.scribe.command(command))


async def _delete_command(call: Call) -> Response:
    call.world.commands.remove(own_application(call), _scope(call), call.id("command"))
    return Response(204)


async def _callback(call: Call) -> Response:
    answer = call.world.interactions.answer(call.id("interaction"), call.text("token"), call.body, call.files)
    wants = call.request.query.get("with_response", "").lower() in ("1", "true")
    return Response.json(answer) if wants else Response(204)


def _written(call: Call, message: Message) -> Response:
    return Response.json(call.world.core.scribe.message(message, Viewer(message.author_id)))


async def _followup(call: Call) -> Response:
    message = call.world.interactions.followup(call.id("webhook"), call.text("token"), call.body, call.files)
    return _written(call, message)


async def _get_answer(call: Call) -> Response:
    interaction = call.world.interactions.by_token(call.id("webhook"), call.text("token"))
    return _written(call, call.world.interactions.answer_message(interaction, call.text("message")))


async def _edit_answer(call: Call) -> Response:
    service = call.world.interactions
    interaction = service.by_token(call.id("webhook"), call.text("token"))
    message = service.answer_message(interaction, call.text("message"))
    return _written(call, service.edit_answer(interaction, message, call.body, call.files))


async def _delete_answer(call: Call) -> Response:
    service, users = call.world.interactions, call.world.state.users
    interaction = service.by_token(call.id("webhook"), call.text("token"))
    message = service.answer_message(interaction, call.text("message"))
    call.world.messages.remove(message, by=users[message.author_id])
    return Response(204)


async def _start(call: Call) -> Response:
    """A person's own client uses a component, a command or a form."""
    if call.actor.bot:
        raise ApiError(403, 20001, "Bots cannot use this endpoint")
    fields = call.fields()
    try:
        _start_kind(call, fields, object_at("data", fields.get("data")))
    except Invalid as error:
        raise invalid_form("data", "COMPONENT_VALIDATION_FAILED", error.detail) from None
    return Response(204)


def _start_kind(call: Call, fields: Json, data: Json) -> None:
    world, kind = call.world, fields.get("type")
    channel = world.core.channel(call.actor, parse_snowflake(fields.get("channel_id")) or 0)
    nonce = fields.get("nonce")
    if kind == COMPONENT:
        message = world.state.message(channel.id, parse_snowflake(fields.get("message_id")) or 0)
        if message is None:
            raise unknown("Message")
        values = [str(value) for value in list_at("data.values", data.get("values"))]
        world.interactions.click(call.actor, message, str(data.get("custom_id")), values, nonce)
    elif kind == COMMAND:
        application = world.state.applications.get(parse_snowflake(fields.get("application_id")) or 0)
        if application is None:
            raise unknown("Application")
        command = application.commands.get(parse_snowflake(data.get("id")) or 0)
        offered = [c for _, c in world.commands.offered(call.actor, channel, command.type if command else 1)]
        if command is None or command not in offered:
            raise unknown("application command")
        path, options = _flatten(objects_at("data.options", data.get("options")))
        checked = world.commands.call_data(command, path, options)
        world.interactions.start(COMMAND, call.actor, channel, application.id, checked, nonce=nonce)
    elif kind == MODAL_SUBMIT:
        asked = parse_snowflake(data.get("id")) or 0
        world.interactions.submit(
            call.actor, asked, dict(_inputs(objects_at("data.components", data.get("components"))))
        )
    else:
        raise invalid_form("type", "BASE_TYPE_CHOICES", "Value must be one of {2, 3, 5}.")


def _flatten(options: list[Json]) -> tuple[list[str], Mapping[str, Any]]:
    """A command's option tree as the path of its subcommand and the plain values."""
    path = list[str]()
    while len(options) == 1 and options[0].get("type") in (1, 2):
        path.append(str(options[0].get("name")))
        options = objects_at("data.options", options[0].get("options"))
    return path, {str(option.get("name")): option.get("value") for option in options}


def _inputs(components: list[Json]) -> list[tuple[str, str]]:
    found = list[tuple[str, str]]()
    for component in components:
        if "custom_id" in component:
            found.append((str(component["custom_id"]), str(component.get("value", ""))))
        inner = [component["component"]] if "component" in component else component.get("components")
        found += _inputs(objects_at("data.components", inner))
    return found


def _command_routes(base: str) -> list[Route]:
    return [
        Route("GET", base, "commands.list", _list_commands, auth="bot"),
        Route("PUT", base, "commands.put", _put_commands, auth="bot"),
        Route("POST", base, "commands.add", _add_command, auth="bot"),
        Route("GET", f"{base}/{{command}}", "commands.get", _get_command, auth="bot"),
        Route("PATCH", f"{base}/{{command}}", "commands.edit", _change_command, auth="bot"),
        Route("DELETE", f"{base}/{{command}}", "commands.delete", _delete_command, auth="bot"),
    ]


_HOOK = "/webhooks/{webhook}/{token}"
ROUTES = [
    *_command_routes("/applications/{application}/commands"),
    *_command_routes("/applications/{application}/guilds/{guild}/commands"),
    Route("POST", "/interactions", "interaction.start", _start),
    Route("POST", "/interactions/{interaction}/{token}/callback", "interaction.callback", _callback, auth="none"),
    Route("POST", _HOOK, "interaction.followup", _followup, auth="none"),
    Route("GET", f"{_HOOK}/messages/{{message}}", "interaction.get", _get_answer, auth="none"),
    Route("PATCH", f"{_HOOK}/messages/{{message}}", "interaction.edit", _edit_answer, auth="none"),
    Route("DELETE", f"{_HOOK}/messages/{{message}}", "interaction.delete", _delete_answer, auth="none"),
]

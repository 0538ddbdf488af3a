"""REST calls about messages, reactions, pins and typing."""

from __future__ import annotations

from gateway.sandbox.discord.asgi import Response
from gateway.sandbox.discord.drafts import Draft, read_draft
from gateway.sandbox.discord.errors import ApiError, invalid_form
from gateway.sandbox.discord.messages import check_emoji, require_history
from gateway.sandbox.discord.models import Channel, Message, Permission
from gateway.sandbox.discord.rest import Call, Route
from gateway.sandbox.discord.shape import list_at
from gateway.sandbox.discord.snowflake import created_at, parse_snowflake
from gateway.sandbox.discord.wire import Viewer

_BULK_AGE_S = 14 * 86_400


def _channel(call: Call) -> Channel:
    return call.world.core.channel(call.actor, call.id("channel"))


def _message(call: Call) -> Message:
    return call.world.core.message(call.actor, call.id("channel"), call.id("message"))[1]


def _written(call: Call, message: Message) -> Response:
    return Response.json(call.world.core.scribe.message(message, Viewer(call.actor.id)))


def _draft(call: Call) -> Draft:
    return read_draft(call.body, call.files, nitro=call.actor.nitro)


async def _create(call: Call) -> Response:
    channel = _channel(call)
    return _written(call, call.world.messages.send(call.actor, channel, _draft(call)))


async def _list(call: Call) -> Response:
    channel = _channel(call)
    require_history(call.world.core, call.actor, channel)
    query = call.request.query
    cursors = {name: parse_snowflake(query[name]) for name in ("before", "after", "around") if name in query}
    for name, value in cursors.items():
        if value is None:
            raise invalid_form(name, "NUMBER_TYPE_COERCE", f'Value "{query[name][:40]}" is not snowflake.')
    page = call.world.messages.history(channel, limit=call.number("limit", 50, 1, 100), **cursors)
    viewer = Viewer(call.actor.id)
    return Response.json([call.world.core.scribe.message(message, viewer) for message in page])


async def _get(call: Call) -> Response:
    message = _message(call)
    require_history(call.world.core, call.actor, _channel(call))
    return _written(call, message)


async def _edit(call: Call) -> Response:
    message = _message(call)
    return _written(call, call.world.messages.edit(call.actor, message, _draft(call)))


async def _delete(call: Call) -> Response:
    call.world.messages.delete(call.actor, _message(call))
    return Response(204)


async def _bulk_delete(call: Call) -> Response:
    channel = _channel(call)
    call.world.core.require(call.actor, channel, Permission.MANAGE_MESSAGES)
    ids = [parse_snowflake(value) or 0 for value in list_at("messages", call.fields().get("messages"))]
    if not 2 <= len(ids) <= 100:
        raise invalid_form("messages", "BASE_TYPE_BAD_LENGTH", "Must be between 2 and 100 in length.")
    found = [m for i in ids if (m := call.world.state.message(channel.id, i)) is not None]
    now = call.world.clock.now()
    if any((now - created_at(message.id)).total_seconds() > _BULK_AGE_S for message in found):
        raise ApiError(400, 50034, "You can only bulk delete messages that are under 14 days old.")
    call.world.messages.remove_many(channel, found, by=call.actor)
    return Response(204)


async def _typing(call: Call) -> Response:
    channel = _channel(call)
    if not channel.is_dm:
        call.world.core.require(call.actor, channel, Permission.SEND_MESSAGES)
    call.world.messages.typing(call.actor, channel)
    return Response(204)


async def _react(call: Call) -> Response:
    message = _message(call)
    call.world.messages.react(call.actor, message, call.text("emoji"))
    return Response(204)


async def _unreact(call: Call) -> Response:
    message = _message(call)
    check_emoji(call.text("emoji"))
    call.world.messages.unreact(call.actor, message, call.text("emoji"), call.id("user"))
    return Response(204)


async def _reactors(call: Call) -> Response:
    message, world = _message(call), call.world
    check_emoji(call.text("emoji"))
    users = message.reactions.get(call.text("emoji"), [])
    return Response.json([world.core.scribe.user(world.state.users[user_id]) for user_id in users])


async def _clear_reactions(call: Call) -> Response:
    call.world.messages.clear_reactions(call.actor, _message(call))
    return Response(204)


async def _clear_emoji(call: Call) -> Response:
    call.world.messages.clear_reactions(call.actor, _message(call), call.text("emoji"))
    return Response(204)


async def _pins(call: Call) -> Response:
    pinned = _pinned(call)
    viewer = Viewer(call.actor.id)
    return Response.json([call.world.core.scribe.message(message, viewer) for message in pinned])


async def _pins_paged(call: Call) -> Response:
    viewer, scribe = Viewer(call.actor.id), call.world.core.scribe
    items = [
        {"pinned_at": created_at(message.id).isoformat(), "message": scribe.message(message, viewer)}
        for message in _pinned(call)
    ]
    return Response.json({"items": items, "has_more": False})


def _pinned(call: Call) -> list[Message]:
    stored = call.world.state.messages.get(_channel(call).id, {}).values()
    return [message for message in stored if message.pinned and message.ephemeral_for is None][::-1]


async def _pin(call: Call) -> Response:
    return _set_pinned(call, pinned=True)


async def _unpin(call: Call) -> Response:
    return _set_pinned(call, pinned=False)


def _set_pinned(call: Call, *, pinned: bool) -> Response:
    message = _message(call)
    call.world.core.require(call.actor, _channel(call), Permission.MANAGE_MESSAGES)
    message.pinned = pinned
    call.world.messages.changed(message)
    return Response(204)


_M = "/channels/{channel}/messages"
ROUTES = [
    Route("POST", _M, "message.create", _create),
    Route("GET", _M, "message.list", _list),
    Route("GET", f"{_M}/pins", "pin.list", _pins_paged),
    Route("PUT", f"{_M}/pins/{{message}}", "pin.add", _pin),
    Route("DELETE", f"{_M}/pins/{{message}}", "pin.remove", _unpin),
    Route("GET", "/channels/{channel}/pins", "pin.list", _pins),
    Route("PUT", "/channels/{channel}/pins/{message}", "pin.add", _pin),
    Route("DELETE", "/channels/{channel}/pins/{message}", "pin.remove", _unpin),
    Route("POST", f"{_M}/bulk-delete", "message.bulk_delete", _bulk_delete),
    Route("GET", f"{_M}/{{message}}", "message.get", _get),
    Route("PATCH", f"{_M}/{{message}}", "message.edit", _edit),
    Route("DELETE", f"{_M}/{{message}}", "message.delete", _delete),
    Route("POST", "/channels/{channel}/typing", "typing", _typing),
    Route("PUT", f"{_M}/{{message}}/reactions/{{emoji}}/@me", "reaction.add", _react),
    Route("DELETE", f"{_M}/{{message}}/reactions/{{emoji}}/{{user}}", "reaction.remove", _unreact),
    Route("GET", f"{_M}/{{message}}/reactions/{{emoji}}", "reaction.list", _reactors),
    Route("DELETE", f"{_M}/{{message}}/reactions", "reaction.clear", _clear_reactions),
    Route("DELETE", f"{_M}/{{message}}/reactions/{{emoji}}", "reaction.clear", _clear_emoji),
]

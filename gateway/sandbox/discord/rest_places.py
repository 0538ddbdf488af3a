"""REST calls about accounts, applications, guilds, channels and threads."""

from __future__ import annotations

from gateway.sandbox.discord.asgi import Response
from gateway.sandbox.discord.errors import ApiError, invalid_form, missing_permissions, unknown
from gateway.sandbox.discord.models import Application, Channel, Guild, Permission
from gateway.sandbox.discord.rest import Call, Route
from gateway.sandbox.discord.shape import list_at, text_at
from gateway.sandbox.discord.snowflake import parse_snowflake

_DAY_MS = 86_400_000


def own_application(call: Call) -> Application:
    """The application of the calling bot, which must be the one of the path if it names one.

    Raises:
        ApiError: 20012.
    """
    if "application" in call.request.params and call.id("application") != call.actor.id:
        raise ApiError(403, 20012, "You are not authorized to perform this action on this application")
    return call.world.state.applications[call.actor.id]


async def _gateway(call: Call) -> Response:
    return Response.json({"url": call.gateway_url})


async def _gateway_bot(call: Call) -> Response:
    now = call.world.clock.now().timestamp()
    recent = [at for at in own_application(call).identifies if now - at < _DAY_MS / 1000]
    reset_ms = int(_DAY_MS - (now - recent[0]) * 1000) if recent else 0
    total = call.policy.identify_limit
    limit = {"total": total, "remaining": total - len(recent), "reset_after": reset_ms, "max_concurrency": 1}
    return Response.json({"url": call.gateway_url, "shards": 1, "session_start_limit": limit})


async def _own_user(call: Call) -> Response:
    return Response.json(call.world.core.scribe.own_user(call.actor))


async def _change_own_user(call: Call) -> Response:
    name = call.fields().get("username", call.actor.name)
    if not isinstance(name, str) or not 2 <= len(name) <= 32:
        raise invalid_form("username", "BASE_TYPE_BAD_LENGTH", "Must be between 2 and 32 in length.")
    call.actor.name = name
    call.world.core.changed()
    return await _own_user(call)


async def _user(call: Call) -> Response:
    user = call.world.state.users.get(call.id("user"))
    if user is None:
        raise unknown("User")
    return Response.json(call.world.core.scribe.user(user))


async def _own_guilds(call: Call) -> Response:
    guilds = [guild for guild in call.world.state.guilds.values() if call.actor.id in guild.members]
    scribe = call.world.core.scribe
    return Response.json([scribe.guild(guild) | {"owner": guild.owner_id == call.actor.id} for guild in guilds])


async def _own_dms(call: Call) -> Response:
    if call.actor.bot:
        return Response.json([])
    state, scribe = call.world.state, call.world.core.scribe
    dms = [c for c in state.channels.values() if c.is_dm and call.actor.id in c.recipient_ids]
    return Response.json([scribe.channel(channel, call.actor.id) for channel in dms])


async def _open_dm(call: Call) -> Response:
    fields = call.fields()
    several = list_at("recipients", fields.get("recipients"))
    target = parse_snowflake(fields.get("recipient_id", several[0] if several else None))
    if target is None:
        raise invalid_form("recipient_id", "BASE_TYPE_REQUIRED", "This field is required")
    other = call.world.state.users.get(target)
    if other is None:
        raise invalid_form("recipient_id", "INVALID_RECIPIENT", "Invalid Recipient(s)")
    channel = call.world.messages.open_dm(call.actor, other)
    return Response.json(call.world.core.scribe.channel(channel, call.actor.id))


async def _application(call: Call) -> Response:
    return Response.json(call.world.core.scribe.application(own_application(call)))


def _guild(call: Call) -> Guild:
    return call.world.core.guild(call.actor, call.id("guild"))


async def _get_guild(call: Call) -> Response:
    return Response.json(call.world.core.scribe.guild(_guild(call)))


async def _guild_channels(call: Call) -> Response:
    state, scribe = call.world.state, call.world.core.scribe
    rooms = state.guild_channels(_guild(call).id, threads=False)
    return Response.json([scribe.channel(c, call.actor.id) for c in rooms if state.can_see(call.actor.id, c)])


async def _create_channel(call: Call) -> Response:
    guild = _guild(call)
    if guild.owner_id != call.actor.id:
        raise missing_permissions()
    name = call.fields().get("name")
    if not isinstance(name, str) or not 1 <= len(name) <= 100:
        raise invalid_form("name", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
    channel = call.world.add_channel(
        guild, name.lower().replace(" ", "-"), topic=text_at("topic", call.fields().get("topic")) or None
    )
    return Response.json(call.world.core.scribe.channel(channel, call.actor.id), 201)


async def _member(call: Call) -> Response:
    member = _guild(call).members.get(call.id("user"))
    if member is None:
        raise unknown("Member")
    return Response.json(call.world.core.scribe.member(member))


async def _members(call: Call) -> Response:
    members = sorted(_guild(call).members.values(), key=lambda member: member.user_id)
    after = parse_snowflake(call.request.query.get("after")) or 0
    page = [member for member in members if member.user_id > after][: call.number("limit", 1, 1, 1000)]
    return Response.json([call.world.core.scribe.member(member) for member in page])


async def _search_members(call: Call) -> Response:
    prefix, users = call.request.query.get("query", "").lower(), call.world.state.users
    found = [m for m in _guild(call).members.values() if users[m.user_id].name.lower().startswith(prefix)]
    return Response.json([call.world.core.scribe.member(m) for m in found[: call.number("limit", 1, 1, 1000)]])


async def _roles(call: Call) -> Response:
    return Response.json([call.world.core.scribe.role(role) for role in _guild(call).roles.values()])


async def _active_threads(call: Call) -> Response:
    state, scribe = call.world.state, call.world.core.scribe
    threads = [c for c in state.guild_channels(_guild(call).id, threads=True) if not c.archived]
    seen = [c for c in threads if state.can_see(call.actor.id, c)]
    joined = [scribe.thread_member(c, call.actor.id) for c in seen if call.actor.id in c.thread_member_ids]
    return Response.json({"threads": [scribe.channel(c, call.actor.id) for c in seen], "members": joined})


def _channel(call: Call) -> Channel:
    return call.world.core.channel(call.actor, call.id("channel"))


async def _get_channel(call: Call) -> Response:
    return Response.json(call.world.core.scribe.channel(_channel(call), call.actor.id))


async def _change_channel(call: Call) -> Response:
    channel = call.world.threads.update(call.actor, _channel(call), call.fields())
    return Response.json(call.world.core.scribe.channel(channel, call.actor.id))


async def _delete_channel(call: Call) -> Response:
    channel = _channel(call)
    written = call.world.core.scribe.channel(channel, call.actor.id)
    if not channel.is_dm:
        call.world.threads.delete(call.actor, channel)
    return Response.json(written)


async def _thread_from_message(call: Call) -> Response:
    channel, message = call.world.core.message(call.actor, call.id("channel"), call.id("message"))
    thread = call.world.threads.start(call.actor, channel, call.fields(), message=message)
    return Response.json(call.world.core.scribe.channel(thread, call.actor.id), 201)


async def _thread(call: Call) -> Response:
    thread = call.world.threads.start(call.actor, _channel(call), call.fields())
    return Response.json(call.world.core.scribe.channel(thread, call.actor.id), 201)


async def _join_thread(call: Call) -> Response:
    user = call.world.state.users.get(call.id("user"))
    if user is None:
        raise unknown("User")
    call.world.threads.join(_channel(call), user)
    return Response(204)


async def _leave_thread(call: Call) -> Response:
    user = call.world.state.users.get(call.id("user"))
    if user is None:
        raise unknown("User")
    channel = _channel(call)
    if user.id != call.actor.id:
        call.world.core.require(call.actor, channel, Permission.MANAGE_THREADS)
    call.world.threads.leave(channel, user)
    return Response(204)


async def _thread_members(call: Call) -> Response:
    thread = _channel(call)
    scribe = call.world.core.scribe
    return Response.json([scribe.thread_member(thread, user_id) for user_id in thread.thread_member_ids])


ROUTES = [
    Route("GET", "/gateway", "gateway.get", _gateway, auth="none"),
    Route("GET", "/gateway/bot", "gateway.bot", _gateway_bot, auth="bot"),
    Route("GET", "/users/@me", "users.me", _own_user),
    Route("PATCH", "/users/@me", "users.me.edit", _change_own_user),
    Route("GET", "/users/@me/guilds", "users.guilds", _own_guilds),
    Route("GET", "/users/@me/channels", "dm.list", _own_dms),
    Route("POST", "/users/@me/channels", "dm.open", _open_dm),
    Route("GET", "/users/{user}", "users.get", _user),
    Route("GET", "/oauth2/applications/@me", "application.me", _application, auth="bot"),
    Route("GET", "/applications/@me", "application.me", _application, auth="bot"),
    Route("GET", "/guilds/{guild}", "guild.get", _get_guild),
    Route("GET", "/guilds/{guild}/channels", "guild.channels", _guild_channels),
    Route("POST", "/guilds/{guild}/channels", "channel.create", _create_channel),
    Route("GET", "/guilds/{guild}/members", "guild.members", _members),
    Route("GET", "/guilds/{guild}/members/search", "guild.members", _search_members),
    Route("GET", "/guilds/{guild}/members/{user}", "guild.member", _member),
    Route("GET", "/guilds/{guild}/roles", "guild.roles", _roles),
    Route("GET", "/guilds/{guild}/threads/active", "thread.active", _active_threads),
    Route("GET", "/channels/{channel}", "channel.get", _get_channel),
    Route("PATCH", "/channels/{channel}", "channel.edit", _change_channel),
    Route("DELETE", "/channels/{channel}", "channel.delete", _delete_channel),
    Route("POST", "/channels/{channel}/messages/{message}/threads", "thread.create", _thread_from_message),
    Route("POST", "/channels/{channel}/threads", "thread.create", _thread),
    Route("GET", "/channels/{channel}/thread-members", "thread.members", _thread_members),
    Route("PUT", "/channels/{channel}/thread-members/{user}", "thread.join", _join_thread),
    Route("DELETE", "/channels/{channel}/thread-members/{user}", "thread.leave", _leave_thread),
]

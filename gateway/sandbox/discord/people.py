"""The people's side over HTTP: a JSON API, a stream of changes, and the page. Never reachable under the bots' port."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.sandbox.discord.asgi import BodyTooLarge, Receive, Request, Response, Scope, Send, until_gone
from gateway.sandbox.discord.drafts import Extras
from gateway.sandbox.discord.models import Channel, Json, Upload, User, dump_compact
from gateway.sandbox.discord.rest import RestServer
from gateway.sandbox.discord.snowflake import parse_snowflake
from gateway.sandbox.discord.wire import Viewer
from gateway.sandbox.discord.world import World
from gateway.sandbox.faults import FaultPlan, parse_fault
from shared.errors import Denied, GatewayError, Invalid, NotFound

BODY_LIMIT_BYTES = 40 * 1024 * 1024
_KEEP_ALIVE_S = 15.0
_QUEUE_LIMIT = 1_000
_CHOICES_WITHIN_S = 3.0
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: {cdn}; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
_TYPES = {"html": "text/html; charset=utf-8", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_Model = TypeVar("_Model", bound=BaseModel)
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    user: str = Field(alias="as")


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    filename: str = Field(min_length=1, max_length=200)
    content_type: str = "application/octet-stream"
    data_base64: str


class _Poll(BaseModel):
    model_config = ConfigDict(extra="forbid")

    question: str = Field(min_length=1, max_length=300)
    answers: list[str] = Field(min_length=1, max_length=10)


class _Forward(_Body):
    to: str


class _Say(_Body):
    content: str = ""
    reply_to: str | None = None
    mention_author: bool = True
    attachments: list[_File] = Field(default_factory=list)
    sticker: str = Field(default="", max_length=30)
    poll: _Poll | None = None


class _Edit(_Body):
    content: str


class _With(_Body):
    other: str = Field(alias="with")


class _Bot(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")


class _Click(_Body):
    custom_id: str
    values: list[str] | None = None


class _Slash(_Body):
    application: str
    name: str
    options: dict[str, Any] = Field(default_factory=dict)


class _Suggest(_Body):
    application: str
    name: str
    option: str
    text: str = ""


class _Submit(_Body):
    values: dict[str, str]


class _Thread(_Body):
    name: str
    message_id: str | None = None


class _Drill(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: str
    code: int = 4000
    resumable: bool = True


@dataclass(slots=True)
class _Ask:
    request: Request
    params: list[str]
    body: bytes


_Handler = Callable[[_Ask], Awaitable[Any]]


class PeopleServer:
    """Answers the people's port."""

    def __init__(self, world: World, faults: FaultPlan, rest: RestServer) -> None:
        self._world, self._faults, self._rest = world, faults, rest
        self._routes: list[tuple[str, list[str], _Handler]] = [
            (method, template.split("/"), handler)
            for method, template, handler in (
                ("GET", "state", self._state),
                ("GET", "dms", self._dms),
                ("POST", "dms", self._open_dm),
                ("GET", "channels/*/messages", self._messages),
                ("POST", "channels/*/messages", self._say),
                ("PATCH", "channels/*/messages/*", self._edit),
                ("POST", "channels/*/messages/*/forward", self._forward),
                ("DELETE", "channels/*/messages/*", self._delete),
                ("PUT", "channels/*/messages/*/reactions/*", self._react),
                ("DELETE", "channels/*/messages/*/reactions/*", self._unreact),
                ("POST", "channels/*/typing", self._type),
                ("POST", "channels/*/threads", self._thread),
                ("GET", "channels/*/commands", self._commands),
                ("POST", "channels/*/slash", self._slash),
                ("POST", "channels/*/suggest", self._suggest),
                ("POST", "messages/*/click", self._click),
                ("POST", "interactions/*/submit", self._submit),
                ("GET", "log", self._log),
                ("GET", "stats", self._stats),
                ("GET", "faults", self._list_faults),
                ("POST", "faults", self._add_faults),
                ("DELETE", "faults", self._clear_faults),
                ("POST", "bots", self._make_bot),
                ("POST", "bots/*/disrupt", self._disrupt),
            )
        ]

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP request."""
        request = Request.of(scope, receive)
        try:
            _check_origin(request)
            if request.path == "/api/events" and request.method == "GET":
                await self._stream(request, send)
                return
            response = await self._answer(request) if request.path.startswith("/api/") else self._page(request)
        except GatewayError as error:
            response = _problem(error)
        except (ConnectionAbortedError, BrokenPipeError):
            return
        response.headers = {**_HEADERS, **response.headers}
        await response.send(send)

    async def _answer(self, request: Request) -> Response:
        segments = request.path.removeprefix("/api/").strip("/").split("/")
        known = False
        for method, template, handler in self._routes:
            params = _match(template, segments)
            if params is None:
                continue
            known = True
            if method == request.method:
                try:
                    body = await request.body(BODY_LIMIT_BYTES)
                except BodyTooLarge:
                    raise Invalid(f"the request is over {BODY_LIMIT_BYTES} bytes") from None
                return Response.json(await handler(_Ask(request, params, body)))
        raise NotFound(f"{request.method} {request.path} is not offered" if known else f"there is no {request.path}")

    def _page(self, request: Request) -> Response:
        name = "index.html" if request.path in ("/", "") else unquote(request.path[1:])
        source = files(__package__) / "page" / name
        if "/" in name or name.startswith(".") or not source.is_file() or request.method not in ("GET", "HEAD"):
            raise NotFound(f"there is no {request.path}")
        kind = _TYPES.get(name.rpartition(".")[2], "application/octet-stream")
        return Response(200, source.read_bytes(), kind, {"Content-Security-Policy": _CSP.format(cdn=self._cdn())})

    def _cdn(self) -> str:
        return self._world.core.cdn.base_url

    # --- looking ---

    async def _state(self, ask: _Ask) -> Json:
        state, scribe, sessions = self._world.state, self._world.core.scribe, self._world.sessions
        viewer = self._viewer(ask)
        people = [scribe.user(user) | {"nitro": user.nitro} for user in state.users.values() if not user.bot]
        bots = [scribe.user(state.users[a]) | {"online": sessions.online(a)} for a in state.applications]
        guilds = [
            {
                **scribe.guild(guild),
                "channels": self._rooms(guild.id, viewer, threads=False),
                "threads": self._rooms(guild.id, viewer, threads=True),
                "members": [scribe.member(member) for member in guild.members.values()],
            }
            for guild in state.guilds.values()
            if viewer is None or viewer.id in guild.members
        ]
        return {"people": people, "bots": bots, "guilds": guilds}

    def _rooms(self, guild_id: int, viewer: User | None, *, threads: bool) -> list[Json]:
        state, scribe = self._world.state, self._world.core.scribe
        rooms = state.guild_channels(guild_id, threads=threads)
        return [
            scribe.channel(c, viewer.id if viewer else 0) for c in rooms if not viewer or state.can_see(viewer.id, c)
        ]

    async def _dms(self, ask: _Ask) -> Json:
        user, state, scribe = self._person(ask.request.query.get("as", "")), self._world.state, self._world.core.scribe
        dms = [c for c in state.channels.values() if c.is_dm and user.id in c.recipient_ids]
        return {"channels": [scribe.channel(channel, user.id) for channel in dms]}

    async def _messages(self, ask: _Ask) -> Json:
        user = self._person(ask.request.query.get("as", ""))
        channel = self._channel(user, ask.params[0])
        query = ask.request.query
        limit = query.get("limit", "50")
        if not limit.isdigit() or not 1 <= int(limit) <= 200:
            raise Invalid("limit must be a number from 1 to 200")
        before, after = parse_snowflake(query.get("before")), parse_snowflake(query.get("after"))
        page = self._world.messages.history(channel, limit=int(limit), before=before, after=after, viewer_id=user.id)
        scribe, viewer = self._world.core.scribe, Viewer(user.id)
        return {"messages": [scribe.message(message, viewer) for message in page[::-1]]}

    async def _commands(self, ask: _Ask) -> Json:
        user = self._person(ask.request.query.get("as", ""))
        channel = self._channel(user, ask.params[0])
        offered = self._world.commands.offered(user, channel)
        return {"commands": [self._world.core.scribe.command(command) for _, command in offered]}

    async def _log(self, ask: _Ask) -> Json:
        after = parse_snowflake(ask.request.query.get("after")) or 0
        records = self._world.core.log.since(after)
        return {
            "last": self._world.log_position,
            "records": [
                {
                    "seq": r.seq,
                    "at": r.at.isoformat(),
                    "kind": r.kind,
                    "bot_id": str(r.bot_id),
                    "channel_id": str(r.channel_id) if r.channel_id else None,
                    "data": r.data,
                }
                for r in records
            ],
        }

    async def _stats(self, _ask: _Ask) -> Json:
        limiter = self._rest.limiter
        apps = self._world.state.applications.values()
        return {
            "unknown_routes": self._rest.unknown_routes[-50:],
            "rate_limited": limiter.hits,
            "invalid_requests": len(limiter.invalid),
            "identifies": {app.name: len(app.identifies) for app in apps},
            "calls": {f"{upstream} {op}": count for (upstream, op), count in sorted(self._faults.calls.items())},
        }

    # --- doing ---

    async def _open_dm(self, ask: _Ask) -> Json:
        body = _read(_With, ask)
        return {"channel_id": str(await self._world.open_dm(self._person(body.user), self._user(body.other)))}

    async def _say(self, ask: _Ask) -> Json:
        body = _read(_Say, ask)
        user, uploads = self._person(body.user), [_upload(item) for item in body.attachments]
        message = await self._world.say(
            user,
            self._channel(user, ask.params[0]).id,
            body.content,
            reply_to=_snowflake(body.reply_to) if body.reply_to else None,
            attachments=uploads,
            extras=Extras(
                stickers=[body.sticker] if body.sticker else [],
                question=body.poll.question if body.poll else "",
                answers=body.poll.answers if body.poll else [],
            ),
            mention_author=body.mention_author,
        )
        return self._world.core.scribe.message(message, Viewer(user.id))

    async def _forward(self, ask: _Ask) -> Json:
        body = _read(_Forward, ask)
        user, target = self._person(body.user), _snowflake(body.to)
        message = await self._world.forward(user, _snowflake(ask.params[0]), _snowflake(ask.params[1]), target)
        return self._world.core.scribe.message(message, Viewer(user.id))

    async def _edit(self, ask: _Ask) -> Json:
        body = _read(_Edit, ask)
        user = self._person(body.user)
        message = await self._world.edit(user, _snowflake(ask.params[0]), _snowflake(ask.params[1]), body.content)
        return self._world.core.scribe.message(message, Viewer(user.id))

    async def _delete(self, ask: _Ask) -> Json:
        user = self._person(_read(_Body, ask).user)
        await self._world.delete(user, _snowflake(ask.params[0]), _snowflake(ask.params[1]))
        return {}

    async def _react(self, ask: _Ask) -> Json:
        user = self._person(_read(_Body, ask).user)
        await self._world.react(user, _snowflake(ask.params[0]), _snowflake(ask.params[1]), ask.params[2])
        return {}

    async def _unreact(self, ask: _Ask) -> Json:
        user = self._person(_read(_Body, ask).user)
        await self._world.unreact(user, _snowflake(ask.params[0]), _snowflake(ask.params[1]), ask.params[2])
        return {}

    async def _type(self, ask: _Ask) -> Json:
        await self._world.type(self._person(_read(_Body, ask).user), _snowflake(ask.params[0]))
        return {}

    async def _thread(self, ask: _Ask) -> Json:
        body = _read(_Thread, ask)
        user, source = self._person(body.user), _snowflake(body.message_id) if body.message_id else None
        thread = await self._world.start_thread(user, _snowflake(ask.params[0]), body.name, message_id=source)
        return self._world.core.scribe.channel(thread, user.id)

    async def _slash(self, ask: _Ask) -> Json:
        body = _read(_Slash, ask)
        application = self._world.state.applications.get(self._user(body.application).id)
        if application is None:
            raise NotFound(f"{body.application} is not an application")
        channel_id = _snowflake(ask.params[0])
        interaction = await self._world.slash(self._person(body.user), channel_id, application, body.name, body.options)
        return {"interaction_id": str(interaction.id)}

    async def _suggest(self, ask: _Ask) -> Json:
        body = _read(_Suggest, ask)
        application = self._world.state.applications.get(self._user(body.application).id)
        if application is None:
            raise NotFound(f"{body.application} is not an application")
        interaction = await self._world.autocomplete(
            self._person(body.user), _snowflake(ask.params[0]), application, body.name, body.option, body.text
        )
        try:
            async with asyncio.timeout(_CHOICES_WITHIN_S):
                await interaction.answered.wait()
        except TimeoutError:
            return {"choices": []}
        return {"choices": interaction.choices or []}

    async def _click(self, ask: _Ask) -> Json:
        body = _read(_Click, ask)
        interaction = await self._world.click(
            self._person(body.user), _snowflake(ask.params[0]), body.custom_id, body.values
        )
        return {"interaction_id": str(interaction.id)}

    async def _submit(self, ask: _Ask) -> Json:
        body = _read(_Submit, ask)
        interaction = await self._world.submit(self._person(body.user), _snowflake(ask.params[0]), body.values)
        return {"interaction_id": str(interaction.id)}

    # --- drills ---

    async def _list_faults(self, _ask: _Ask) -> Json:
        return {
            "queued": [fault.model_dump() for fault in self._faults.queued],
            "fired": [{"fault": f.fault.model_dump(), "op": f.op, "count": f.count} for f in self._faults.fired],
        }

    async def _add_faults(self, ask: _Ask) -> Json:
        lines = [line for line in ask.body.decode(errors="replace").splitlines() if line.strip()]
        added = [parse_fault(line) for line in lines]
        if not added:
            raise Invalid("no fault given: send one JSON object a line, as in docs/sandbox-faults.md")
        for fault in added:
            self._faults.add(fault)
        return {"added": len(added)}

    async def _clear_faults(self, _ask: _Ask) -> Json:
        return {"removed": self._faults.clear()}

    async def _make_bot(self, ask: _Ask) -> Json:
        """A further bot in the server, as somebody makes one at the developer page; its token is shown."""
        application = self._world.add_application(_read(_Bot, ask).name)
        for guild in self._world.state.guilds.values():
            self._world.join(guild, application)
        return {"id": str(application.id), "token": self._world.bot_token(application)}

    async def _disrupt(self, ask: _Ask) -> Json:
        body, bot = _read(_Drill, ask), self._user(ask.params[0])
        kinds = ("reset", "close", "reconnect", "invalid_session", "drop_ack", "token_revoked")
        if body.kind not in kinds:
            raise Invalid(f"kind must be one of {', '.join(kinds)}")
        if body.kind == "token_revoked":
            self._world.rotate_token(self._world.state.applications[bot.id])
            return {"sessions": 0}
        live = [s.connection for s in self._world.sessions.of(bot.id) if s.connection is not None]
        for connection in live:
            connection.disrupt(body.kind, code=body.code, resumable=body.resumable)
        return {"sessions": len(live)}

    # --- streaming ---

    async def _stream(self, request: Request, send: Send) -> None:
        user = self._person(request.query.get("as", ""))
        queue: asyncio.Queue[str | None] = asyncio.Queue(_QUEUE_LIMIT)

        def watch(name: str, data: Json) -> None:
            try:
                queue.put_nowait(f"event: {name}\ndata: {dump_compact(data)}\n\n")
            except asyncio.QueueFull:  # a page that does not read starts over by reconnecting
                queue.get_nowait()
                queue.put_nowait(None)

        headers = {**_HEADERS, "Content-Type": "text/event-stream"}
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        stop = self._world.sessions.watch(Viewer(user.id), watch)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": raw})
            await send(
                {"type": "http.response.body", "body": b"retry: 500\nevent: HELLO\ndata: {}\n\n", "more_body": True}
            )
            async with asyncio.TaskGroup() as group:
                gone = group.create_task(until_gone(request.receive))
                pump = group.create_task(_pump(queue, send))
                await asyncio.wait({gone, pump}, return_when=asyncio.FIRST_COMPLETED)
                gone.cancel()
                pump.cancel()
            await send({"type": "http.response.body", "body": b""})
        finally:
            stop()

    # --- reading what was asked ---

    def _viewer(self, ask: _Ask) -> User | None:
        named = ask.request.query.get("as")
        return self._person(named) if named else None

    def _user(self, ref: str) -> User:
        state = self._world.state
        found = state.users.get(parse_snowflake(ref) or 0) or self._world.find_user(ref)
        if found is None:
            raise NotFound(f"there is nobody called {ref!r}")
        return found

    def _person(self, ref: str) -> User:
        if not ref:
            raise Invalid("say who you are: as=<user id or name>")
        user = self._user(ref)
        if user.bot:
            raise Denied(f"{user.name} is a bot; people act as people")
        return user

    def _channel(self, user: User, ref: str) -> Channel:
        channel = self._world.state.channels.get(_snowflake(ref))
        if channel is None or not self._world.state.can_see(user.id, channel):
            raise NotFound(f"{user.name} sees no channel {ref}")
        return channel


async def _pump(queue: asyncio.Queue[str | None], send: Send) -> None:
    while True:
        try:
            async with asyncio.timeout(_KEEP_ALIVE_S):
                item = await queue.get()
        except TimeoutError:
            item = ": still here\n\n"
        if item is None:
            return
        await send({"type": "http.response.body", "body": item.encode(), "more_body": True})


def _check_origin(request: Request) -> None:
    """Only this machine's own page may act: a foreign site's page is refused, and so is DNS rebinding."""
    host = request.headers.get("host", "")
    if host.rpartition(":")[0] not in _LOOPBACK:
        raise Denied(f"Host {host[:60]!r} is not this machine")
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != host:
        raise Denied("this page only serves itself: the Origin is another site")


def _match(template: list[str], segments: list[str]) -> list[str] | None:
    if len(template) != len(segments):
        return None
    params = list[str]()
    for wanted, given in zip(template, segments, strict=True):
        if wanted == "*":
            params.append(unquote(given))
        elif wanted != given:
            return None
    return params


def _snowflake(text: str) -> int:
    value = parse_snowflake(text)
    if value is None:
        raise Invalid(f"{text[:40]!r} is not an id")
    return value


def _upload(item: _File) -> Upload:
    try:
        return Upload(item.filename, base64.b64decode(item.data_base64, validate=True), item.content_type)
    except binascii.Error:
        raise Invalid(f"attachment {item.filename!r}: data_base64 is not base64") from None


def _problem(error: GatewayError) -> Response:
    told = {"error": {"code": error.code, "detail": error.detail, "retryable": error.retryable}}
    return Response.json(told, error.http_status)


def _read(model: type[_Model], ask: _Ask) -> _Model:
    try:
        return model.model_validate_json(ask.body or b"{}")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise Invalid(f"{'.'.join(str(part) for part in first['loc']) or 'body'}: {first['msg']}") from None

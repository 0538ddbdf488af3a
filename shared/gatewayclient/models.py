"""Values of the tenant socket: what a tenant may ask the gateway, and what it gets."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from shared.config.strict import Strict
from shared.social.models import Content, Network

Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")]


class SearchOffer(Strict):
    """Which groups of a tenant may search the web; none where no search is configured."""

    everybody: bool = False
    exceptions: tuple[str, ...] = ()

    def includes(self, group: str) -> bool:
        """Whether a group may."""
        return self.everybody != (group in self.exceptions)


class TenantStartup(Strict):
    """What a tenant needs to begin: its own tokens and names, and where its platforms are. Never a model credential."""

    tenant: Slug
    kind: Literal["nanoclaw", "openclaw"]
    secrets: dict[str, str] = Field(default_factory=dict, repr=False)
    """The tenant's own secrets by lower-case name: ``discord_bot_token``, ``gateway_token``."""
    settings: dict[str, str] = Field(default_factory=dict)
    """Plain ``.env`` settings of this tenant, such as ``ASSISTANT_NAME``."""
    upstreams: dict[str, str] = Field(default_factory=dict)
    """Addresses the tenant itself speaks to: ``discord_api_base``, ``discord_gateway_url``."""
    web_search: SearchOffer = SearchOffer()
    """Which of its groups are offered the web search."""

    posting: dict[Network, tuple[str, ...]] = Field(default_factory=dict)
    """Groups whose agents may post, by network; ``*`` is every group. The gateway decides anew at every post."""

    graph_authority: str = ""
    """Certificate (PEM) that the gateway shows for the Graph hosts to this tenant's commands; empty without posting."""

    post_cards: bool = False
    """Whether people are to be asked about posts by cards in a chat."""


class PostRequest(Strict):
    """A post that somebody wants published.

    Attributes:
        group: folder of the group whose agent asks; empty for the operator.
        at: when it shall go out, with its zone; now when None.
        idempotency_key: the same key and content is the same post, however often it is sent.
        allow_duplicate: the same content within 24 hours is meant.
        dry_run: check everything, keep and post nothing.
    """

    content: Content
    group: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9-]{0,30})?$")] = ""
    at: AwareDatetime | None = None
    idempotency_key: Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,200}$")] | None = None
    allow_duplicate: bool = False
    dry_run: bool = False


SignInState = Literal["ok", "expiring", "expired"]


class SignInInfo(Strict):
    """Whether one of the gateway's sign-ins works; never what it is.

    Attributes:
        label: for people: provider, tenant, account.
        state: ``ok`` also while it is renewed by itself; ``expiring``: renewing fails; ``expired``: sign in again.
        command: how, on the gateway's machine.
    """

    id: str
    label: str
    state: SignInState
    expires_at: datetime | None
    command: str


class SignInBegun(Strict):
    """A login that was begun, as the person who makes it has to see it; its secrets stay in the gateway.

    Attributes:
        flow: ``code``: what the browser ends on is pasted; ``device``: the code is typed there, and asked about.
        url: what to open.
        user_code: what to type there; empty in a code flow.
        interval_s: how long to wait before asking about a device flow.
    """

    provider: str
    flow: Literal["code", "device"]
    url: str
    instructions: str
    user_code: str
    interval_s: float
    expires_at: datetime


class SignInPaste(Strict):
    """What a person pasted: a code that counts once, and nothing without what the gateway kept of the login."""

    pasted: Annotated[str, Field(max_length=16_384)] = Field(repr=False)


class SignInStep(Strict):
    """How far a login is; never the token.

    Attributes:
        wait_s: how long to wait before asking again, when it is not done.
        account: whose it is, when it is done and the provider says.
        expires_at: when it ends, if it does.
    """

    done: bool
    wait_s: float = 0.0
    account: str | None = None
    plan: str = ""
    expires_at: datetime | None = None


class PostInfo(Strict):
    """A post as the gateway knows it.

    Attributes:
        id: empty after a dry run.
        error_code: stable; empty when nothing is wrong.
        summary: one sentence for a person or an agent.
        digest: what an approval is bound to.
        warnings: of the local checks, when it was just submitted.
        length: the text's, as the network counts it.
        extras: what else belongs to it, in words: topic, link, the post it answers, alternative texts.
        thumbnails: numbers, from 1, of the pictures that can be asked for in small.
    """

    id: str
    tenant: str
    group: str
    network: Network
    account: str
    kind: str
    text: str
    media: tuple[str, ...]
    state: str
    error_code: str
    detail: str
    summary: str
    media_id: str
    permalink: str
    digest: str
    idempotency_key: str | None
    due_at: datetime
    created_at: datetime
    published_at: datetime | None
    approved_by: str
    is_new: bool = True
    length: int = 0
    limit: int = 0
    extras: dict[str, str] = Field(default_factory=dict)
    thumbnails: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()


class PostCard(Strict):
    """A post as its card shows it to those who were asked about it; also one nobody is asked about, for listeners.

    Attributes:
        version: grows with every change.
        places: a chat (``dc:…``), or ids of people who get a direct message; empty when no card is wanted.
        ask_until: when nobody can approve it any more; None when nobody is asked.
        pictures: ids of files of ours in it, to be shown beside the text.
    """

    post: PostInfo
    version: int
    places: tuple[str, ...]
    ask_until: datetime | None
    pictures: tuple[str, ...] = ()


def seen_mark(cards: Sequence[PostCard]) -> str:
    """Names a state of cards: another post, version or place is another mark."""
    parts = sorted(f"{card.post.id} {card.version} {' '.join(card.places)}" for card in cards)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


class KeptFile(Strict):
    """A file that the gateway keeps to serve it with a post.

    Attributes:
        url: how a post names it.
        name: for people.
    """

    media_id: str
    url: str
    name: str
    kind: Literal["image", "video"]
    size: int


class PostAnswer(Strict):
    """A person's yes or no to a post, or another text for it, about which everybody is asked again.

    Attributes:
        digest: of the post that person saw.
        approver: the platform's id of the person, or ``operator`` for the Control UI.
        name: what people call them.
        reason: told to the agent that asked.
        text: the new one, for ``edit``.
    """

    answer: Literal["approve", "reject", "edit"]
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{12,64}$")]
    approver: Annotated[str, Field(pattern=r"^(operator|[0-9A-Z]{1,20})$")]
    name: Annotated[str, Field(max_length=100)] = ""
    reason: Annotated[str, Field(max_length=500)] = ""
    text: Annotated[str, Field(max_length=20_000)] = ""


class PostChange(Strict):
    """What an operator does with a post in the Control UI.

    Attributes:
        by: who.
        at: for ``schedule``.
        text: for ``edit``; whoever approved the old text is asked again.
        posted: for ``resolve``: what was seen at the network.
        allow_duplicate: for ``retry``.
        digest: for ``edit`` and ``delete``: of the post that was looked at; any when empty.
    """

    action: Literal["cancel", "schedule", "edit", "retry", "resolve", "delete"]
    by: Annotated[str, Field(max_length=100)] = "operator"
    at: AwareDatetime | None = None
    text: Annotated[str, Field(max_length=20_000)] = ""
    posted: bool | None = None
    media_id: Annotated[str, Field(pattern=r"^[0-9]{0,40}$")] = ""
    allow_duplicate: bool = False
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{0,64}$")] = ""


class PostEmbed(Strict):
    """How a public post is embedded in a page, as its network says.

    Attributes:
        html: for showing alone; it holds a script of the network.
        width: in pixels; None when the network does not say.
    """

    type: str | None = None
    version: str | None = None
    html: str
    provider_name: str | None = None
    provider_url: str | None = None
    width: int | None = None


class PostDetails(Strict):
    """A post with its history."""

    post: PostInfo
    history: tuple[dict[str, str], ...]


WorkerState = Literal["starting", "busy", "idle", "paused", "stopping", "gone"]


class WorkerMount(Strict):
    """A host folder or file that a group's agent may see, if ``policies/mounts.toml`` allows it.

    Attributes:
        host: absolute path on the host; ``~`` is the gateway user's home.
        name: it appears as ``/workspace/extra/<name>``.
        read_only: false asks for write access, which the allowlist must grant too.
    """

    host: str = Field(min_length=1, max_length=1024, pattern=r"^[^\x00-\x1f\x7f]+$")
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    read_only: bool = True


class WorkerRequest(Strict):
    """Ask for the worker of a group. The gateway builds the container; nothing here can widen it.

    Attributes:
        isolated: a worker of its own beside the group's resident one, for one run with a conversation of its own.
        standby: start it ahead of any message; takes no place from anybody, else refused with ``worker.no_room``.
        mounts: extra folders; one that the allowlist refuses is left out and named in `WorkerInfo.notes`.
        session_id: UUID of the Claude session; chosen by the tenant so that it is known before the first byte.
        resume: continue that session instead of beginning it.
        system_prompt: appended to the agent's standard prompt.
        tools: names of the command line's built-in tools the agent may use.
        host_tools: names of SDK-type MCP servers answered by the tenant over the same stream.
    """

    group: Slug
    session_id: str = Field(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
    resume: bool = False
    model: str = Field(default="", pattern=r"^[A-Za-z0-9._:/\[\]-]{0,80}$")
    system_prompt: str = Field(default="", max_length=65_536)
    tools: tuple[Annotated[str, Field(pattern=r"^[A-Za-z]{1,40}$")], ...] = ()
    host_tools: tuple[Slug, ...] = ()
    isolated: bool = False
    standby: bool = False
    mounts: tuple[WorkerMount, ...] = Field(default=(), max_length=16)


class WorkerInfo(Strict):
    """A worker as the gateway sees it.

    Attributes:
        reused: it was already running for this group with the same settings.
        session_id: the session it was started with.
        lines: stdout lines it has written so far; attach with ``after=lines`` to hear only what comes next.
        start_ms: how long the start took; 0 when reused.
        standby: started ahead, and no run has used it yet.
        notes: what the worker does without and why, such as a refused mount; for people.
        memory_mb: measured when it was paused; 0 when not known.
    """

    worker_id: str
    tenant: Slug
    group: Slug
    container: str
    session_id: str
    state: WorkerState
    reused: bool = False
    lines: int = 0
    start_ms: float = 0.0
    started_at: str = ""
    run_id: str = ""
    isolated: bool = False
    standby: bool = False
    notes: tuple[str, ...] = ()
    memory_mb: float = 0.0


class WorkerEvent(Strict):
    """Something about a worker that is not one of its output lines.

    ``exit`` ends the stream. ``evicted`` and ``idle`` name why the gateway ended it. ``taken`` confirms one message of
    input and is seen by `stream` alone.
    """

    event: Literal["exit", "stderr", "taken"]
    code: int = 0
    reason: Literal["", "stopped", "evicted", "idle", "oom", "disk", "crashed", "gateway"] = ""
    text: str = ""


class NoticeMessage(Strict):
    """Something the owner is to be told by this tenant's bot.

    Attributes:
        id: unlike any before; the key of the message in the tenant's outbox, so that it is said once.
        text: ready to be said.
        chat: where; empty lets the tenant choose.
    """

    id: str = Field(pattern=r"^[a-z0-9_]{1,40}$")
    text: str
    chat: str = ""

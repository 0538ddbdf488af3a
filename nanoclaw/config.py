"""NanoClaw's policy: the model of ``policies/nanoclaw.toml`` and how ``.env`` settings lie over it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, field_validator, model_validator

from shared.channels.base import CatchUp
from shared.config.parse import parse_count, parse_duration_s, parse_zone
from shared.config.paths import Paths
from shared.config.strict import Strict
from shared.config.toml import load_policy, problem_at
from shared.config.zone import DEFAULT_ZONE
from shared.errors import ConfigError
from shared.gatewayclient.models import WorkerMount
from shared.metrics.policy import MetricsPolicy

GroupName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")]
ToolName = Annotated[str, Field(pattern=r"^[A-Za-z]{1,40}$")]
Seconds = Annotated[float, Field(gt=0, le=86_400)]

KIND = "nanoclaw"
"""The first tenant's name, and of its policy file."""

MAIN_FOLDER = "main"
GLOBAL_FOLDER = "global"
"""Holds the memory of all groups."""


NETWORK_TOOLS = frozenset({"WebFetch", "WebSearch"})
"""The command line's own web tools; a worker has no network, so offering them would only waste a turn."""


def _compiled(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return pattern


Pattern = Annotated[str, Field(max_length=200), AfterValidator(_compiled)]
"""A regular expression searched at the start of the trimmed text, ignoring case; empty means the derived one."""


class ChatsPolicy(Strict):
    """Which chats are answered at all.

    Attributes:
        register_mode: ``explicit`` needs ``nanoclaw groups register``; ``on_mention`` takes a chat once it calls.
        people: with ``on_mention``, whose call registers a chat, by platform id; empty: anybody's, which the audit
            reports.
        owner_ids: people who may administer, by platform id.
        context_messages: how many earlier messages of the chat an answer takes along.
        max_waiting: messages of one chat that may wait for their answer; further ones are recorded as ignored, and
            the chat is told once.
        catch_up_messages: after an outage, how many of a chat's newest messages are read again; what is left out by
            this or the next bound is said in the group's chat.
        catch_up_hours: and how old they may be.
    """

    register_mode: Literal["explicit", "on_mention"] = Field(default="explicit", alias="register")
    people: tuple[str, ...] = ()
    owner_ids: tuple[str, ...] = ()
    context_messages: int = Field(default=30, ge=0, le=500)
    max_waiting: int = Field(default=100, ge=1, le=10_000)
    catch_up_messages: int = Field(default=500, ge=1, le=2000)
    catch_up_hours: float = Field(default=24, gt=0, le=720)

    @property
    def catch_up(self) -> CatchUp:
        """Both bounds as the channels take them."""
        return CatchUp(self.catch_up_messages, timedelta(hours=self.catch_up_hours))


class AgentPolicy(Strict):
    """What an agent may use and is told.

    Attributes:
        tools: built-in tools of the command line; its own web tools are never among them.
        instructions: appended to the agent's standard prompt.
        ask_timeout_s: seconds that people have to answer a question of the agent.
    """

    tools: tuple[ToolName, ...] = ("Bash", "Read", "Write", "Edit", "Glob", "Grep")
    instructions: str = Field(default="", max_length=16_384)
    ask_timeout_s: Seconds = 600

    @field_validator("tools")
    @classmethod
    def _no_network_tools(cls, tools: tuple[str, ...]) -> tuple[str, ...]:
        if refused := sorted(NETWORK_TOOLS.intersection(tools)):
            raise ValueError(f"{', '.join(refused)}: a worker has no network, leave this out")
        return tools


class RunsPolicy(Strict):
    """How runs are bounded and repeated.

    Attributes:
        max_concurrent: runs at once, over all groups (policy: MAX_CONCURRENT_CONTAINERS).
        timeout_s: longest run, from its turn to its answer; it is interrupted and not tried again (the original's
            CONTAINER_TIMEOUT of 30 minutes).
        silence_s: longest time without any sign of the agent; longer than its longest command, 10 minutes.
        retry_delays_s: waits before each further try; after the last the message lies in the dead letters.
        patience_s: how long a message is kept for what only time or the operator can mend, a usage limit or a missing
            sign-in, before it lies there too.
        drain_s: how long a stop waits for running answers.
        queue_note_s: a chat that waits this long for a place is told its position, and again when that changes.
    """

    max_concurrent: int = Field(default=5, ge=1, le=64)
    timeout_s: Seconds = 1800
    silence_s: Seconds = 900
    patience_s: float = Field(default=86_400, ge=0, le=7 * 86_400)
    retry_delays_s: tuple[Annotated[float, Field(ge=0, le=86_400)], ...] = (5, 10, 20, 40, 80)
    drain_s: float = Field(default=20, ge=0, le=600)
    queue_note_s: Seconds = 5


class StandbyPolicy(Strict):
    """Agents started ahead and frozen, so that a group likely to speak next does not wait for a container.

    Attributes:
        enabled: do it.
        workers: how many at most; they take no place from anybody, and one place stays free.
        recent_s: groups that were active within so long are likely to speak; main always counts, last in line.
    """

    enabled: bool = True
    workers: int = Field(default=2, ge=0, le=64)
    recent_s: float = Field(default=21_600, ge=0, le=7 * 86_400)


class StreamingPolicy(Strict):
    """Whether a long answer is shown while it is written.

    Attributes:
        enabled: show it, by editing one message.
        after_s: answers finished sooner arrive whole.
    """

    enabled: bool = True
    after_s: float = Field(default=2.5, ge=0, le=600)


class AttachmentsPolicy(Strict):
    """Files that people send: pictures and text files are fetched for the agent, others are only named.

    Attributes:
        max_file_mb: larger ones are not fetched.
        max_message_mb: nor what goes beyond this over all files of a message.
        max_files: nor more than so many of a message.
        other_files: also fetch what is neither a picture nor text (PDF, archives, sound); the agent gets the path.
        inline_chars: text files up to this length stand in the prompt, longer ones only with their path.
        prompt_images: pictures shown with one prompt; further ones only with their path.
        keep_mb: fetched files kept in a group's folder; the oldest go first.
    """

    max_file_mb: float = Field(default=10, gt=0, le=100)
    max_message_mb: float = Field(default=50, gt=0, le=500)
    max_files: int = Field(default=25, ge=0, le=100)
    other_files: bool = False
    inline_chars: int = Field(default=8000, ge=0, le=100_000)
    prompt_images: int = Field(default=10, ge=0, le=20)
    keep_mb: float = Field(default=500, gt=0, le=100_000)


class LightPolicy(Strict):
    """The LIGHT route: short questions answered through Copilot, without a worker (policy N11).

    Attributes:
        enabled: use it; left out: when ``.env`` names ``COPILOT_API_URL`` or ``COPILOT_MODEL``, as the original does.
        model: asked through the gateway.
        timeout_s: then the agent answers instead.
        breaker_s: how long the route rests after a failure.
        conversation_s: a chat whose agent was active within so long stays with the agent.
    """

    enabled: bool | None = None
    model: str = "gpt-4o-mini"
    timeout_s: Seconds = 20
    breaker_s: Seconds = 60
    conversation_s: float = Field(default=600, ge=0, le=86_400)


class TasksPolicy(Strict):
    """Scheduled tasks: what happens to missed runs, how many tasks there may be, how long their history is kept.

    Attributes:
        missed: for runs that came due while nothing ran: ``run_once`` makes up for all of them with one, ``skip``
            leaves them out. A task may have its own.
        grace_s: a start this late still counts as on time.
        max_per_group: tasks a group may have at once, paused ones included.
        min_interval_s: shortest time between two runs of a task.
        history_days: ended runs, and tasks that are over, are forgotten after this.
        history_runs: ended runs kept of each task, the newest ones.
    """

    missed: Literal["run_once", "skip"] = "run_once"
    grace_s: float = Field(default=60, ge=30, le=86_400)
    max_per_group: int = Field(default=50, ge=0, le=1000)
    min_interval_s: float = Field(default=60, ge=1, le=86_400)
    history_days: int = Field(default=90, ge=1, le=3650)
    history_runs: int = Field(default=500, ge=1, le=100_000)

    @property
    def history(self) -> timedelta:
        """`history_days` as a duration."""
        return timedelta(days=self.history_days)


class GroupPolicy(Strict):
    """A chat that is registered from the start; the table's name is its folder.

    A stored group that the file contradicts, by its folder or by its chat, is removed at the start; its folder stays.

    Attributes:
        chat: its address, ``dc:<channelId>`` or ``sl:<channelId>``.
        name: shown to people.
        main: this group administers the others.
        requires_trigger: answer only when called; unset means yes, but for main.
        trigger_pattern: instead of the tenant's own.
        route: ``auto`` lets the router decide.
        model: instead of the tenant's own.
        mounts: host folders its agent may see as ``/workspace/extra/<name>``, if ``policies/mounts.toml`` allows them.
    """

    chat: str = Field(pattern=r"^[a-z]{2,10}:[^\s]{1,100}$")
    name: str = ""
    main: bool = False
    requires_trigger: bool | None = None
    trigger_pattern: Pattern = ""
    route: Literal["auto", "agent", "light"] = "auto"
    model: str = ""
    mounts: tuple[WorkerMount, ...] = Field(default=(), max_length=16)


class NanoclawPolicy(Strict):
    """NanoClaw: who is answered, by whom, and how.

    Attributes:
        assistant_name: the assistant's name; the trigger is ``@`` and this name (policy N2).
        trigger_pattern: a regular expression instead of the derived trigger.
        model: asked by the agents; empty means the command line's default.
        metrics: this tenant's figures (docs/metrics.md).
    """

    assistant_name: str = Field(default="J", min_length=1, max_length=80)
    trigger_pattern: Pattern = ""
    model: str = Field(default="", pattern=r"^[A-Za-z0-9._:/\[\]-]{0,80}$")
    chats: ChatsPolicy = ChatsPolicy()
    agent: AgentPolicy = AgentPolicy()
    runs: RunsPolicy = RunsPolicy()
    standby: StandbyPolicy = StandbyPolicy()
    streaming: StreamingPolicy = StreamingPolicy()
    attachments: AttachmentsPolicy = AttachmentsPolicy()
    light: LightPolicy = LightPolicy()
    tasks: TasksPolicy = TasksPolicy()
    metrics: MetricsPolicy = MetricsPolicy()
    groups: dict[GroupName, GroupPolicy] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _groups_do_not_collide(self) -> NanoclawPolicy:
        owners: dict[str, str] = {}
        for folder, group in self.groups.items():
            if (owner := owners.setdefault(group.chat, folder)) != folder:
                problem = f"{group.chat} is the same chat as that of groups.{owner}: a chat belongs to one group"
                raise problem_at(("groups", folder, "chat"), problem)
            if group.main and folder != MAIN_FOLDER:
                problem = f"the main group is the one in the folder {MAIN_FOLDER!r}: rename the table or take this out"
                raise problem_at(("groups", folder, "main"), problem)
            if folder == GLOBAL_FOLDER:
                raise problem_at(("groups", folder), "this folder holds the memory of all groups: choose another name")
        return self

    @property
    def trigger(self) -> re.Pattern[str]:
        """The effective pattern; see `default_trigger` for the derived one."""
        return re.compile(self.trigger_pattern or default_trigger(self.assistant_name), re.IGNORECASE)


def default_trigger(assistant_name: str) -> str:
    """``@name`` at the start, not followed by a further ASCII letter or digit.

    A plain word boundary would fail on Korean, where a particle follows a name at once (``@나노봇아``, ``@J야``).
    """
    return rf"^@{re.escape(assistant_name)}(?![A-Za-z0-9_])"


_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})
_MODEL_API_PORT = 4141  # row N11
_FROM_ENV = {
    "ASSISTANT_NAME": ("assistant_name",),
    "TRIGGER_PATTERN": ("trigger_pattern",),
    "COPILOT_MODEL": ("light", "model"),
}


def load(paths: Paths, tenant: str = KIND) -> NanoclawPolicy:
    """Read the policy files of a tenant.

    Raises:
        ConfigError: every problem with its file, line and key.
    """
    return load_policy(KIND, NanoclawPolicy, paths, tenant=tenant)


def with_settings(policy: NanoclawPolicy, settings: Mapping[str, str]) -> NanoclawPolicy:
    """Lay the ``.env`` settings handed over by the gateway over the policy; empty ones change nothing.

    ``MAX_CONCURRENT_CONTAINERS`` and ``CONTAINER_TIMEOUT`` can only tighten the policy.

    Raises:
        ConfigError: a setting does not pass the policy's own checks, or ``COPILOT_API_URL`` is not our own address.
    """
    values = policy.model_dump(by_alias=True)
    runs = values["runs"]
    if text := settings.get("MAX_CONCURRENT_CONTAINERS", "").strip():
        runs["max_concurrent"] = min(runs["max_concurrent"], parse_count("MAX_CONCURRENT_CONTAINERS", text))
    if text := settings.get("CONTAINER_TIMEOUT", "").strip():
        runs["timeout_s"] = min(runs["timeout_s"], parse_duration_s("CONTAINER_TIMEOUT", text))
    _refuse_elsewhere(settings.get("COPILOT_API_URL", "").strip())
    if values["light"]["enabled"] is None:
        values["light"]["enabled"] = any(
            settings.get(name, "").strip() for name in ("COPILOT_API_URL", "COPILOT_MODEL")
        )
    for name, place in _FROM_ENV.items():
        if value := settings.get(name, "").strip():
            table: dict[str, Any] = values
            for part in place[:-1]:
                table = table[part]
            table[place[-1]] = value
    try:
        return NanoclawPolicy.model_validate(values)
    except ValueError as error:
        raise ConfigError(f"a NanoClaw setting in .env is not usable: {error}", code="config.setting") from None


def _refuse_elsewhere(url: str) -> None:
    """The LIGHT route takes the gateway's own socket: no address but the one that means it would be used (ADR 22)."""
    if not url:
        return
    try:
        parts = urlsplit(url)
        is_ours = parts.scheme == "http" and parts.hostname in _THIS_MACHINE and parts.port == _MODEL_API_PORT
    except ValueError:
        is_ours = False
    if not is_ours or parts.username is not None or parts.query or parts.path.rstrip("/") not in {"", "/v1"}:
        raise ConfigError(
            f".env: COPILOT_API_URL={url} is not this machine's model API and would not be used: the LIGHT route goes"
            " through the gateway, which signs in at Copilot itself. Take it out of .env, or make it"
            " http://localhost:4141",
            code="config.setting",
        )


def zone_of(settings: Mapping[str, str]) -> ZoneInfo:
    """The owner's time zone (``TZ`` in ``.env``).

    Raises:
        ConfigError: there is no such zone.
    """
    return ZoneInfo(parse_zone(settings.get("TZ") or DEFAULT_ZONE))

"""``agents`` of ``openclaw.json``: the agent, its models and its limits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from openclaw.agent.policy import CLOCK_TIME, zone_name
from openclaw.config.policy import MODEL_REF
from openclaw.config.sections.base import Count, Free, Length, Positive, Section
from openclaw.config.sections.tools import Tools

ModelRef = Annotated[str, Field(pattern=MODEL_REF)]


class ModelChoice(Section):
    """Which model answers, and which ones when it does not.

    Attributes:
        primary: ``provider/model`` asked first.
        fallbacks: asked in this order when the first fails or is cooling down.
    """

    primary: ModelRef | None = None
    fallbacks: list[ModelRef] = []


class ModelEntry(Section):
    """One model of the list that `/model` chooses from."""

    alias: str | None = None
    params: Free | None = None
    streaming: bool | None = None


class ActiveHours(Section):
    """When of the day the heartbeat beats.

    Attributes:
        start: local time, ``08:00``.
        end: local time, ``24:00`` for the day's end.
        timezone: IANA name.
    """

    start: Annotated[str, Field(pattern=CLOCK_TIME)] | None = None
    end: Annotated[str, Field(pattern=CLOCK_TIME)] | None = None
    timezone: Annotated[str, AfterValidator(zone_name)] | None = None


class Heartbeat(Section):
    """A regular look at ``HEARTBEAT.md``.

    Attributes:
        every: such as ``30m``; ``0m`` switches it off.
        active_hours: when of the day.
        target: ``none``, or ``last`` for the main session's last chat.
        ack_max_chars: an answer with no more than this beside HEARTBEAT_OK is not sent.
    """

    every: Length | None = None
    active_hours: ActiveHours | None = None
    target: Literal["none", "last"] | None = None
    ack_max_chars: Annotated[int, Field(ge=0, le=4000)] | None = None
    model: str | None = None
    session: str | None = None
    to: str | None = None
    account_id: str | None = None
    prompt: str | None = None
    include_reasoning: bool | None = None
    light_context: bool | None = None
    direct_policy: str | None = None
    suppress_tool_error_warnings: bool | None = None


class Compaction(Section):
    """How a conversation is kept within a model's window.

    Attributes:
        reserve_tokens: of the window, left free for the answer.
        keep_recent_tokens: of the newest conversation, kept word for word.
    """

    mode: Literal["default", "safeguard"] | None = None
    reserve_tokens: Annotated[int, Field(ge=1000)] | None = None
    keep_recent_tokens: Annotated[int, Field(ge=500)] | None = None
    reserve_tokens_floor: Count | None = None
    max_history_share: Positive | None = None
    memory_flush: Free | None = None
    identifier_policy: str | None = None
    identifier_instructions: str | None = None


class AgentDefaults(Section):
    """What holds for every agent.

    Attributes:
        model: ``provider/model``, or the first choice with its fallbacks.
        timeout_seconds: longest run.
        max_concurrent: runs at once, over all sessions.
        heartbeat: a regular look at HEARTBEAT.md.
        compaction: how conversations are kept within a model's window.
        skip_bootstrap: do not write missing files of the workspace.
        bootstrap_max_chars: of one workspace file, shown to the model.
        bootstrap_total_max_chars: of all of them together.
        user_timezone: IANA name; for the daily reset.
    """

    model: ModelRef | ModelChoice | None = None
    image_model: str | ModelChoice | None = None
    models: dict[str, ModelEntry] = {}
    workspace: str | None = None
    repo_root: str | None = None
    skip_bootstrap: bool | None = None
    bootstrap_max_chars: Count | None = None
    bootstrap_total_max_chars: Count | None = None
    image_max_dimension_px: Count | None = None
    user_timezone: Annotated[str, AfterValidator(zone_name)] | None = None
    time_format: Literal["auto", "12", "24"] | None = None
    envelope_timezone: str | None = None
    envelope_timestamp: Literal["on", "off"] | None = None
    envelope_elapsed: Literal["on", "off"] | None = None
    thinking_default: str | None = None
    verbose_default: str | None = None
    elevated_default: str | None = None
    timeout_seconds: Positive | None = None
    media_max_mb: Positive | None = None
    context_tokens: Count | None = None
    max_concurrent: Annotated[int, Field(ge=1)] | None = None
    subagents: Free | None = None
    typing_mode: str | None = None
    typing_interval_seconds: Positive | None = None
    heartbeat: Heartbeat | None = None
    compaction: Compaction | None = None
    context_pruning: Free | None = None
    memory_search: Free | None = None
    sandbox: Free | None = None
    block_streaming_default: Literal["on", "off"] | None = None
    block_streaming_break: str | None = None
    block_streaming_chunk: Free | None = None
    block_streaming_coalesce: Free | None = None
    human_delay: Free | None = None
    cli_backends: Free | None = None


class Identity(Section):
    """What an agent calls itself.

    Attributes:
        name: shown to people.
    """

    name: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    theme: str | None = None
    emoji: str | None = None
    avatar: str | None = None


class AgentEntry(Section):
    """One agent; this product has one, ``main``.

    Attributes:
        id: ``main``.
        identity: what it calls itself.
    """

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
    default: bool | None = None
    name: str | None = None
    workspace: str | None = None
    agent_dir: str | None = None
    model: str | ModelChoice | None = None
    identity: Identity | None = None
    group_chat: Free | None = None
    heartbeat: Free | None = None
    sandbox: Free | None = None
    tools: Tools | None = None
    skills: list[str] | None = None
    params: Free | None = None
    subagents: Free | None = None
    memory_search: Free | None = None
    human_delay: Free | None = None


class Agents(Section):
    """Agents.

    Attributes:
        defaults: what holds for every agent.
        list_: the agents there are.
    """

    defaults: AgentDefaults = AgentDefaults()
    list_: Annotated[list[AgentEntry], Field(alias="list")] = []

    def main(self) -> AgentEntry | None:
        """The entry of the one agent there is here."""
        return next((entry for entry in self.list_ if entry.id == "main"), None)

"""``agents`` of ``openclaw.json``: the agent, its models and its limits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from openclaw.config.policy import MODEL_REF
from openclaw.config.sections.base import Count, Free, Positive, Section
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


class AgentDefaults(Section):
    """What holds for every agent.

    Attributes:
        model: ``provider/model``, or the first choice with its fallbacks.
        timeout_seconds: longest run.
        max_concurrent: runs at once, over all sessions.
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
    user_timezone: str | None = None
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
    heartbeat: Free | None = None
    compaction: Free | None = None
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

"""``tools`` of ``openclaw.json``: which commands and tools an agent has; ``policies/exec.toml`` is the ceiling."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from openclaw.agent.policy import Profile, ToolPattern
from openclaw.config.sections.base import Count, Free, Section, refusing
from shared.execpolicy.policy import NEVER_FULL, Directory, Program


class SafeBinProfile(Section):
    """What is refused of one program beyond its built-in profile.

    Attributes:
        denied_flags: refused in every spelling, beside those of the policy.
    """

    min_positional: Count | None = None
    max_positional: Count | None = None
    allowed_value_flags: list[str] | None = None
    denied_flags: list[Annotated[str, Field(pattern=r"^-")]] = []


class Exec(Section):
    """Commands of the agent.

    Attributes:
        host: ``gateway``; there is no other place here.
        security: ``allowlist`` or ``deny``; ``full`` does not exist here.
        ask: ``on-miss`` asks about what is not covered, ``always`` about everything, ``off`` refuses it.
        safe_bins: programs that may run without a question, out of those the policy allows.
        safe_bin_trusted_dirs: where programs are taken from, beside /bin and /usr/bin, out of those the policy allows.
        safe_bin_profiles: further flags to refuse, by program.
        background_ms: a command that runs longer goes on in the background.
    """

    host: Literal["sandbox", "gateway", "node"] | None = None
    security: Annotated[Literal["deny", "allowlist"] | None, refusing({"full": NEVER_FULL})] = None
    ask: Literal["off", "on-miss", "always"] | None = None
    node: str | None = None
    path_prepend: list[str] | None = None
    safe_bins: list[Program] | None = None
    safe_bin_trusted_dirs: list[Directory] | None = None
    safe_bin_profiles: dict[Program, SafeBinProfile] = {}
    background_ms: Annotated[int, Field(ge=10, le=120_000)] | None = None
    timeout_sec: Count | None = None
    cleanup_ms: Count | None = None
    notify_on_exit: bool | None = None
    notify_on_exit_empty_success: bool | None = None
    approval_running_notice_ms: Count | None = None
    apply_patch: Free | None = None


class Tools(Section):
    """Tools of the agent.

    Attributes:
        profile: what is offered before the lists below.
        allow: when given, only these are offered, of the profile.
        also_allow: offered beside the profile; not together with `allow`.
        deny: never offered; wins over everything.
        exec: commands.
    """

    profile: Profile | None = None
    allow: list[ToolPattern] | None = None
    also_allow: list[ToolPattern] | None = None
    deny: list[ToolPattern] | None = None
    by_provider: Free | None = None
    exec: Exec | None = None
    elevated: Free | None = None
    fs: Free | None = None
    web: Free | None = None
    media: Free | None = None
    links: Free | None = None
    message: Free | None = None
    loop_detection: Free | None = None
    agent_to_agent: Free | None = None
    sessions: Free | None = None
    subagents: Free | None = None
    sandbox: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Tools:
        if self.allow and self.also_allow:
            raise ValueError("allow and alsoAllow cannot be used together: put all names into allow")
        return self

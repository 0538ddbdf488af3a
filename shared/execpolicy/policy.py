"""The operator's block of ``policies/exec.toml`` (policy O10)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from shared.config.paths import Paths
from shared.config.strict import Strict
from shared.config.toml import load_policy

NEVER_FULL = '"full" would run every command and does not exist here: use "allowlist"'
Program = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$")]
Directory = Annotated[str, Field(pattern=r"^/(?:[A-Za-z0-9._+-]+/?)*$")]


class ProgramProfile(Strict):
    """What is refused of one program beyond its built-in profile.

    Attributes:
        denied_flags: refused in every spelling the program knows, whatever anybody approved.
    """

    denied_flags: tuple[str, ...] = ()

    @field_validator("denied_flags")
    @classmethod
    def _are_flags(cls, flags: tuple[str, ...]) -> tuple[str, ...]:
        for flag in flags:
            if not flag.startswith("-") or len(flag.strip("-")) == 0:
                raise ValueError(f"{flag!r} is not a flag: write -o or --output")
        return flags


class ExecPolicy(Strict):
    """Which commands an agent may run on the gateway host.

    Attributes:
        host: commands run beside the tenant, contained; there is no other place.
        security: ``allowlist`` runs what is known to be harmless; ``deny`` runs nothing. There is no ``full``.
        ask: ``on-miss`` asks a person about what is not covered, ``always`` about everything, ``off`` refuses it.
        safe_bins: programs with a profile that may run without a question.
        trusted_dirs: programs are taken from here only, resolved through every link.
        profiles: by program.
    """

    host: Literal["gateway"] = "gateway"
    security: Literal["deny", "allowlist"] = "allowlist"
    ask: Literal["off", "on-miss", "always"] = "on-miss"
    safe_bins: tuple[Program, ...] = ("curl", "node")
    trusted_dirs: tuple[Directory, ...] = ("/usr/bin", "/usr/local/bin")
    profiles: dict[Program, ProgramProfile] = Field(default_factory=dict)

    @field_validator("security", mode="before")
    @classmethod
    def _never_full(cls, value: Any) -> Any:  # noqa: ANN401 - not validated yet
        if value == "full":
            raise ValueError(NEVER_FULL)
        return value

    def denied_flags(self, program: str) -> tuple[str, ...]:
        """The operator's denied flags of a program."""
        profile = self.profiles.get(program)
        return profile.denied_flags if profile is not None else ()


def load_exec_policy(paths: Paths) -> ExecPolicy:
    """Read ``policies/exec.toml``, the installation's own laid over the shipped one.

    Raises:
        ConfigError: every problem with its file, line and key.
    """
    return load_policy("exec", ExecPolicy, paths)

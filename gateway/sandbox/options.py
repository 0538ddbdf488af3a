"""What ``clawgate sandbox`` was asked for, checked before anything starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from shared.config.paths import default_state_dir
from shared.config.upstreams import Upstreams
from shared.errors import Invalid
from shared.secrets.files import Secret

BOT_TENANTS = ("nanoclaw", "openclaw")
_UI_OFFSET, _MODEL_API_OFFSET, _DISCORD_OFFSET, _PAGE_OFFSET, _SLACK_OFFSET, _MODELS_OFFSET = 89, 41, 1, 2, 3, 10


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports of the offline world; 0 means any free one."""

    control_ui: int
    model_api: int
    discord: int
    page: int
    models: int
    slack: int

    @classmethod
    def from_base(cls, base: int) -> Ports:
        """Derive all ports from one number: the default base 18700 puts the Control UI on its usual 18789."""
        if base == 0:
            return cls(0, 0, 0, 0, 0, 0)
        return cls(
            control_ui=base + _UI_OFFSET,
            model_api=base + _MODEL_API_OFFSET,
            discord=base + _DISCORD_OFFSET,
            page=base + _PAGE_OFFSET,
            models=base + _MODELS_OFFSET,
            slack=base + _SLACK_OFFSET,
        )


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """Checked options.

    Attributes:
        slack: emulate Slack too.
    """

    state: Path
    ports: Ports
    ready_file: Path | None = None
    engine: str | None = None
    docker_host: str | None = None
    script: Path | None = None
    faults: Path | None = None
    use: dict[str, dict[str, str]] = field(default_factory=dict)
    bot_tokens: dict[str, Secret] = field(default_factory=dict)
    slack: bool = False
    quiet: bool = False

    @classmethod
    def parse(
        cls,
        *,
        state: Path | None,
        port_base: int,
        ready_file: Path | None = None,
        engine: str | None = None,
        docker_host: str | None = None,
        script: Path | None = None,
        faults: Path | None = None,
        use: tuple[str, ...] = (),
        bot_tokens: tuple[str, ...] = (),
        slack: bool = False,
        quiet: bool = False,
    ) -> SandboxOptions:
        """Check options as typed.

        Raises:
            Invalid: names the option, what is wrong with it, and what it takes.
        """
        return cls(
            state=(state or default_state_dir() / "sandbox").absolute(),
            ports=Ports.from_base(port_base),
            ready_file=ready_file.absolute() if ready_file else None,
            engine=engine,
            docker_host=docker_host,
            script=script,
            faults=faults,
            use=_parse_use(use, emulates_slack=slack),
            bot_tokens=_parse_tokens(bot_tokens),
            slack=slack,
            quiet=quiet,
        )

    @property
    def emulates_discord(self) -> bool:
        """False when another server stands in for the Discord emulator."""
        return "discord" not in self.use


def _parse_use(values: tuple[str, ...], *, emulates_slack: bool) -> dict[str, dict[str, str]]:
    known = {f"{section}.{name}" for section, value in Upstreams().model_dump().items() for name in value}
    result: dict[str, dict[str, str]] = {}
    for value in values:
        key, separator, address = value.partition("=")
        if not separator or key not in known:
            raise Invalid(f"--use {value!r}: expected KEY=URL with KEY one of {', '.join(sorted(known))}")
        section, _, name = key.partition(".")
        result.setdefault(section, {})[name] = address
    if "discord" in result and set(result["discord"]) != {"api_base", "gateway_url"}:
        raise Invalid("--use: another Discord server needs both discord.api_base and discord.gateway_url")
    if "slack" in result and emulates_slack:
        raise Invalid("--use slack.api_base and --slack exclude each other: leave one out")
    return result


def _parse_tokens(values: tuple[str, ...]) -> dict[str, Secret]:
    result = {}
    for value in values:
        tenant, separator, source = value.partition("=")
        if not separator or tenant not in BOT_TENANTS or not source.startswith("@"):
            raise Invalid(f"--bot-token {value!r}: expected TENANT=@FILE with TENANT one of {', '.join(BOT_TENANTS)}")
        path = Path(source[1:])
        if not path.is_file():
            raise Invalid(f"--bot-token {value!r}: there is no file {path}")
        token = path.read_text(encoding="utf-8").strip()
        if not token:
            raise Invalid(f"--bot-token {value!r}: {path} is empty")
        result[tenant] = Secret(token)
    return result

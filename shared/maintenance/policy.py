"""``policies/maintenance.toml``, the same for every process of an installation."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from shared.config.paths import Paths
from shared.config.strict import Strict
from shared.config.toml import load_policy
from shared.errors import Invalid
from shared.schedule import parse_cron

_ANY_DAY = datetime(2026, 1, 1, tzinfo=UTC)


class MaintenancePolicy(Strict):
    """What maintenance keeps, and when its jobs run.

    Attributes:
        log_generations: rotated logs kept of each file, compressed (policy G3).
        log_days: logs older than this are deleted (policy G3).
        message_days: settled messages that came in, background that no answer used, delivered messages that went out,
            and NanoClaw's records of runs are forgotten after this; each group's newest run and dead letters stay.
        ledger_days: model calls are forgotten after this; those paid from a bucket that never begins anew stay.
        disk_warn_percent: the owner is told when the disk with the state is as full as this. Source: reference notes
            on operations, Docker hygiene.
        times: other times for jobs by name: five cron fields on the owner's clock, such as
            ``"logs.delete" = "30 2 * * *"``.
    """

    log_generations: int = Field(default=7, ge=1, le=100)
    log_days: int = Field(default=14, ge=1, le=3650)
    message_days: int = Field(default=30, ge=1, le=3650)
    ledger_days: int = Field(default=400, ge=32, le=3650)
    disk_warn_percent: int = Field(default=75, ge=1, le=99)
    times: dict[str, str] = Field(default_factory=dict)

    @field_validator("times")
    @classmethod
    def _are_cron(cls, times: dict[str, str]) -> dict[str, str]:
        for name, text in times.items():
            try:
                parse_cron(text, zone=ZoneInfo("UTC"), now=_ANY_DAY)
            except Invalid as error:
                raise ValueError(f"{name}: {error.detail}") from None
        return times

    @classmethod
    def load(cls, paths: Paths) -> MaintenancePolicy:
        """Read the shipped file with the operator's over it.

        Raises:
            ConfigError: names file, line and key of everything that is wrong.
        """
        return load_policy("maintenance", cls, paths)

"""Whose clock times are shown on: the owner's, for commands, which ask no process."""

from __future__ import annotations

import contextlib
from zoneinfo import ZoneInfo

from shared.config.envfile import read_env
from shared.config.parse import parse_zone
from shared.config.paths import Paths
from shared.config.process import environment
from shared.config.toml import policy_values
from shared.errors import ConfigError

DEFAULT_ZONE = "Asia/Seoul"
"""Policy N6."""


def owner_zone(paths: Paths) -> ZoneInfo:
    """The zone of ``TZ`` in the environment or in ``.env``, else that of the workers in ``gateway.toml``.

    That is what the gateway goes by and hands to its tenants. What cannot be read is passed over: a table of times is
    shown to those who may not read ``.env`` too, and a wrong name was refused when the processes started.
    """
    names = [environment("TZ")]
    with contextlib.suppress(ConfigError, OSError):
        names.append(read_env(paths.env_file).get("TZ", ""))
    with contextlib.suppress(ConfigError, OSError):
        names.append(str(policy_values("gateway", paths).get("workers", {}).get("timezone", "")))
    for name in filter(None, (name.strip() for name in names)):
        with contextlib.suppress(ConfigError):
            return ZoneInfo(parse_zone(name))
    return ZoneInfo(DEFAULT_ZONE)

"""The original's container settings, laid over the worker policy: the policy stays the ceiling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from gateway.workers.policy import WorkerPolicy
from shared.config.parse import parse_count, parse_duration_s, parse_zone
from shared.errors import ConfigError

CONTAINER_SETTINGS = ("MAX_CONCURRENT_CONTAINERS", "IDLE_TIMEOUT", "CONTAINER_TIMEOUT", "CONTAINER_IMAGE", "TZ")
"""Read from the process environment, else from ``.env``, as the original did."""


def with_settings(policy: WorkerPolicy, values: Mapping[str, str]) -> WorkerPolicy:
    """The effective policy.

    ``MAX_CONCURRENT_CONTAINERS`` and ``IDLE_TIMEOUT`` can only tighten it; ``TZ`` and ``CONTAINER_IMAGE`` replace it.
    ``CONTAINER_TIMEOUT`` bounds a run and is the tenant's (`nanoclaw.config`); here it is only checked.

    Args:
        policy: from ``policies/gateway.toml``.
        values: settings by name; absent and empty ones change nothing.

    Raises:
        ConfigError: a value cannot be used; says the fix.
    """
    changes: dict[str, Any] = {}
    if text := values.get("MAX_CONCURRENT_CONTAINERS", "").strip():
        changes["max_workers"] = min(policy.max_workers, parse_count("MAX_CONCURRENT_CONTAINERS", text))
    if text := values.get("IDLE_TIMEOUT", "").strip():
        changes["idle_timeout_s"] = min(policy.idle_timeout_s, parse_duration_s("IDLE_TIMEOUT", text))
    if text := values.get("CONTAINER_TIMEOUT", "").strip():
        parse_duration_s("CONTAINER_TIMEOUT", text)
    if text := values.get("CONTAINER_IMAGE", "").strip():
        changes["image"] = text
    if text := values.get("TZ", "").strip():
        changes["timezone"] = parse_zone(text)
    try:
        return WorkerPolicy.model_validate(policy.model_dump() | changes)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = {"idle_timeout_s": "IDLE_TIMEOUT"}.get(str(first["loc"][0]), "CONTAINER_IMAGE")
        text = f"{name}={values.get(name, '')} cannot be used: {first['msg']}"
        raise ConfigError(text, code="config.setting") from None

"""All methods together. A new namespace adds its module here and nothing else changes."""

from __future__ import annotations

from openclaw.protocol.methods import (
    agent_runs,
    agents,
    approvals,
    channels,
    chat,
    config,
    connect,
    cron,
    devices,
    exec_approvals,
    files,
    posts,
    session_edits,
    sessions,
    sign_ins,
    status,
    system,
    unavailable,
    usage,
)
from openclaw.protocol.registry import MethodTable

_MODULES = (
    connect,
    status,
    system,
    usage,
    channels,
    agents,
    files,
    sessions,
    session_edits,
    chat,
    agent_runs,
    config,
    exec_approvals,
    approvals,
    posts,
    sign_ins,
    devices,
    cron,
    unavailable,
)


def method_table() -> MethodTable:
    """Every method there is; ``hello-ok`` lists them in this order."""
    return MethodTable(method for module in _MODULES for method in module.METHODS)

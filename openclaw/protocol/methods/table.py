"""All methods together. A new namespace adds its module here and nothing else changes."""

from __future__ import annotations

from openclaw.protocol.methods import agents, approvals, chat, config, connect, devices, sessions, status
from openclaw.protocol.registry import MethodTable


def method_table() -> MethodTable:
    """Every method there is; ``hello-ok`` lists them in this order."""
    modules = (connect, status, agents, sessions, chat, config, devices, approvals)
    return MethodTable(method for module in modules for method in module.METHODS)

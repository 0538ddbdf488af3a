"""What clients see of the configuration: ``config.get`` and ``config.schema`` (reference gateway §14)."""

from __future__ import annotations

from functools import cache
from typing import Any

from openclaw.config.masking import masked, masked_text, may_be_secret
from openclaw.config.shape import Node, json_schema, label, walk
from openclaw.config.snapshot import Checked, Snapshot
from openclaw.config.unused import is_used

_GROUPS = ("gateway", "channels", "agents", "models", "tools", "session", "messages", "commands", "cron")
UNUSED_TAG = "unused"
"""On fields that load and change nothing here."""


def config_view(checked: Checked, warnings: list[dict[str, Any]]) -> dict[str, Any]:
    """The file as it is on disk, secrets hidden everywhere; of one that is not valid only what is wrong with it.

    Whoever may mend it is shown more: see `mending_view`.
    """
    document, snapshot = checked.document, checked.snapshot
    view: dict[str, Any] = {
        "path": str(document.path),
        "exists": document.exists,
        "raw": None,
        "parsed": None,
        "resolved": {},
        "valid": snapshot is not None,
        "config": {},
        "hash": document.hash,
        "issues": [issue.as_json() for issue in checked.issues],
        "warnings": warnings,
        "legacyIssues": [],
    }
    if snapshot is not None:
        view |= {
            "raw": masked_text(document.text, document.parsed) if document.exists else "{}\n",
            "parsed": masked(document.parsed),
            "resolved": masked(document.resolved),
            "config": masked(told_config(snapshot)),
            "effective": [decision.as_json() for decision in snapshot.decisions],
        }
    return view


def mending_view(checked: Checked, current: Snapshot) -> dict[str, Any]:
    """What an administrator is shown of a file that is not valid, so that it can be mended.

    A file that reads as JSON5 is shown with its secrets hidden, and with everything hidden that stands under a name the
    schema does not know: it may be a misspelt secret. Of a text that does not read nobody can say where a secret begins
    and ends, so it is not shown. In both cases there is the last valid text to begin from.
    """
    document, last = checked.document, current.document
    text = masked_text(last.text, last.parsed) if last.exists else "{}\n"
    view: dict[str, Any] = {"lastValid": {"raw": text, "hash": last.hash}}
    if document.parsed:
        view["raw"] = masked_text(document.text, document.parsed, may_be_secret)
        view["parsed"] = masked(document.parsed, hides=may_be_secret)
    return view


def told_config(snapshot: Snapshot) -> dict[str, Any]:
    """What the file sets, checked, and the models in force, which clients look for here.

    Other defaults are not among it: a form that sends back all it was told must not turn the policy's open questions
    into wishes of the file. They are in the schema, and what is in force is in ``effective``.
    """
    config: dict[str, Any] = snapshot.config.model_dump(mode="json", by_alias=True, exclude_unset=True)
    defaults = config.setdefault("agents", {}).setdefault("defaults", {})
    agent = snapshot.policy.agent
    defaults["model"] = {"primary": agent.model, "fallbacks": list(agent.fallbacks)}
    return config


@cache
def ui_hints() -> dict[str, dict[str, Any]]:
    """How a form shows each field, by path with ``*`` for any name."""
    hints: dict[str, dict[str, Any]] = {}
    for order, (path, node) in enumerate(walk()):
        if path[-1] == "*":
            continue
        used = is_used(path)
        hint: dict[str, Any] = {"label": label(str(path[-1])), "group": _group(str(path[0])), "order": order}
        if help_text := _help(node):
            hint["help"] = help_text
        hint["tags"] = [str(path[0])] if used else [str(path[0]), UNUSED_TAG]
        if not used:
            hint["advanced"] = True
            hint.setdefault("help", "This product does not use it.")
        if node.get("sensitive"):
            hint["sensitive"] = True
        if "default" in node:
            hint["placeholder"] = str(node["default"])
        hints[".".join(str(part) for part in path)] = hint
    return hints


def _help(node: Node) -> str:
    text = str(node.get("description", ""))
    return text[:1].upper() + text[1:]


def _group(root: str) -> str:
    return label(root) if root in _GROUPS else "Other"


def schema_view(version: str, generated_at: str) -> dict[str, Any]:
    """The answer to ``config.schema``."""
    return {"schema": json_schema(), "uiHints": ui_hints(), "version": version, "generatedAt": generated_at}

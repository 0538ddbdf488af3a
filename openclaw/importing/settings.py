"""An original's ``openclaw.json`` in a form that starts here: secrets named, what has no place taken out."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from openclaw.config.document import HELD_AT, held_name
from openclaw.config.editing import get_value, parse_path, set_value, unset_value
from openclaw.config.files import render
from openclaw.config.issues import ROOT, dotted
from openclaw.config.snapshot import Source
from shared.config.json5 import Path
from shared.errors import NotFound
from shared.importing import Item

_NAMES: Final[Mapping[str, str]] = {"gateway_token": "OPENCLAW_GATEWAY_TOKEN", "discord_bot_token": "DISCORD_BOT_TOKEN"}
"""How the file names what the gateway holds."""

STORED_AS: Final[Mapping[str, str]] = {
    "gateway_token": "OPENCLAW_GATEWAY_TOKEN",
    "discord_bot_token": "OPENCLAW_DISCORD_BOT_TOKEN",
}
"""The names under which the gateway keeps them."""

_ROUNDS: Final = 200


@dataclass(frozen=True, slots=True)
class Settings:
    """What is left of the file.

    Attributes:
        text: to be written.
        secrets: by the gateway's name; they go to its vault.
        items: the report.
    """

    text: str
    secrets: Mapping[str, str]
    items: tuple[Item, ...]


def decide_settings(config: Mapping[str, Any], env: Mapping[str, str], source: Source) -> Settings:
    """Make the file valid here: what has no place is taken out and named, until the boot path's validator agrees.

    Args:
        config: as the original has it, ``${NAME}`` as written.
        env: the original's ``.env``, for names that stand for secrets we hold.
        source: our validator.
    """
    values: dict[str, Any] = copy.deepcopy(dict(config))
    items: list[Item] = []
    secrets: dict[str, str] = {}
    for path, held in HELD_AT.items():
        values = _take_secret(values, path, held, env, secrets, items)
    if _get(values, ("tools", "exec", "security")) == "full":
        values = set_value(values, ("tools", "exec", "security"), "allowlist")
        items.append(Item("setting", "tools.exec.security", "changes", '"full" does not exist here: "allowlist"'))
    for _ in range(_ROUNDS):
        checked = source.check_text(render(values), env)
        if checked.snapshot is not None:
            items += [Item("setting", i.path, "dropped", i.message) for i in checked.snapshot.warnings()]
            for decision in checked.snapshot.decisions:
                if decision.wanted is not None and decision.decided_by == "openclaw.json":
                    items.append(Item("setting", decision.path, "maps"))
                elif decision.wanted is not None:
                    items.append(Item("setting", decision.path, "changes", decision.reason))
            break
        issue = checked.issues[0]
        where = _deepest(values, issue.key)
        if not where:
            return Settings("", secrets, (*items, Item("setting", ROOT, "refused", issue.message)))
        values = unset_value(values, where)
        items.append(Item("setting", dotted(where), "dropped", issue.message))
    return Settings(render(values), secrets, tuple(items))


def _take_secret(
    values: dict[str, Any],
    path: Path,
    held: str,
    env: Mapping[str, str],
    secrets: dict[str, str],
    items: list[Item],
) -> dict[str, Any]:
    value = _get(values, path)
    if not isinstance(value, str) or not value:
        return values
    name = value[2:-1] if value.startswith("${") and value.endswith("}") else ""
    literal = env.get(name, "") if name else value
    if literal:
        secrets[STORED_AS[held]] = literal
        items.append(Item("secret", dotted(path), "changes", f"kept by the gateway as {STORED_AS[held]}"))
    elif not held_name(value, path):
        items.append(Item("secret", dotted(path), "dropped", f"its variable {name} has no value in the .env there"))
    return set_value(values, path, f"${{{_NAMES[held]}}}")


def _deepest(values: Mapping[str, Any], key: str) -> Path:
    """The part of the file that an issue is about; empty when it is about the whole."""
    if key in ("", ROOT):
        return ()
    path: Path = parse_path(key)
    while path:
        try:
            get_value(values, path)
        except NotFound:
            path = path[:-1]
        else:
            return path
    return ()


def _get(values: Mapping[str, Any], path: Path) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return get_value(values, path)
    except NotFound:
        return None

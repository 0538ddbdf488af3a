"""What a group's agent may do to which group: the main group administers, every other one has only itself.

What it may do to whose task is decided in `nanoclaw.tasks.rights`.

Source: privileges of the original (reference, section 8): everything for main; for others, acting on themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nanoclaw.groups import Group

GroupAction = Literal["speak", "see", "register", "remove"]
"""``speak`` say or send something in its chat · ``see`` know that it exists · ``register`` make a chat a group ·
``remove`` end that."""

_OWN: frozenset[GroupAction] = frozenset({"speak", "see"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether, and why (not)."""

    allowed: bool
    reason: str


def decide_group_action(actor: Group, action: GroupAction, target: str) -> Verdict:
    """Decide whether the agent of one group may act on another.

    Args:
        actor: the group on whose behalf a tool was called; bound by us, never named by the agent.
        action: what it wants.
        target: folder of the group it is about; a new one when registering.
    """
    if action == "remove" and target == actor.folder:
        return Verdict(
            allowed=False, reason="a group cannot remove itself: an operator can, with `nanoclaw groups remove`"
        )
    if actor.is_main:
        return Verdict(allowed=True, reason="the main group administers all groups")
    if target == actor.folder and action in _OWN:
        return Verdict(allowed=True, reason="its own group")
    if action in _OWN:
        return Verdict(allowed=False, reason="only the main group may act on other groups; ask there")
    return Verdict(allowed=False, reason="only the main group may register or remove groups; ask there")

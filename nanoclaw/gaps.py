"""Telling a group that some of what was written to it while we were away will not be answered."""

from __future__ import annotations

from nanoclaw.groups import GroupRegistry
from shared.channels.base import Gap, MarkStore
from shared.channels.outbox import Outbox


async def tell_gap(gap: Gap, registry: GroupRegistry, outbox: Outbox, marks: MarkStore) -> None:
    """Say it in a registered group's chat or thread, once until something newer was heard there; elsewhere say nothing.

    The mark outlives the sent message, which is forgotten after a while although the gap is found at every start.
    """
    mark = f"gap.{gap.chat}"
    if registry.of_chat(gap.chat, gap.parent) is None or await marks.get(mark) == gap.after:
        return
    text = f"I was away for a while: {gap.reason}, and older messages were left out. Say it again if it still matters."
    await outbox.post(f"gap_{gap.chat}_{gap.after}", gap.chat, text)
    await marks.put(mark, gap.after)

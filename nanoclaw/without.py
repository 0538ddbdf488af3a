"""Telling people once what an agent does without, such as a mount that the operator's allowlist refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from nanoclaw.groups import Group
from shared.channels.outbox import Outbox
from shared.errors import GatewayError
from shared.obs.log import get_logger

_log = get_logger(__name__)


async def tell_without(group: Group, notes: tuple[str, ...], groups: Iterable[Group], outbox: Outbox) -> None:
    """Say it in full in the main chat and without host paths in the group's own; the same notes are said only once.

    Args:
        group: whose agent.
        notes: sentences of `WorkerInfo.notes`.
        groups: all groups; main is among them when there is one.
        outbox: where it is said; a failure is logged, the run goes on.
    """
    _log.warning("worker.without", group=group.folder, notes=list(notes))
    main = next((other for other in groups if other.is_main), None)
    digest = hashlib.sha256("\n".join(notes).encode()).hexdigest()[:12]
    names = ", ".join(dict.fromkeys(note.split(" (", 1)[0] for note in notes))
    texts = {group.chat: f"Not everything the operator shared is available as asked: {names}. The operator knows why."}
    if main is not None:
        texts[main.chat] = "\n".join((f"Group {group.folder}:", *notes))
    try:
        for chat, text in texts.items():
            await outbox.post(f"without.{group.folder}.{digest}.{chat}", chat, text)
    except GatewayError as error:
        _log.warning("worker.without_untold", group=group.folder, reason=error.detail)

"""The configuration of a running gateway: the last good snapshot, what waits or is wrong, and how a change comes in.

A change of the file is read, checked and swapped whole. What does not check out changes nothing and is shown as
pending until it is mended. What cannot be applied while running asks for a restart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Any, Final

from openclaw.config.editing import differences
from openclaw.config.files import Writer, write_config
from openclaw.config.issues import Issue, dotted, told
from openclaw.config.rationing import WriteBudget
from openclaw.config.snapshot import Checked, Snapshot, Source
from shared.audit.reporting import Note, unnoted
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.json5 import Path
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

_log = get_logger(__name__)

POLL_S: Final = 0.3
"""How often the files are looked at: one stat each."""

HOT: Final[tuple[tuple[str, ...], ...]] = (
    ("exec",),
    ("openclaw", "trusted_proxies"),
    ("openclaw", "control_ui", "allowed_origins"),
    ("openclaw", "auth"),
    ("openclaw", "discord"),
    ("openclaw", "approvals"),
    ("openclaw", "agent", "model"),
    ("openclaw", "agent", "fallbacks"),
    ("openclaw", "agent", "name"),
    ("openclaw", "agent", "instructions"),
    ("openclaw", "agent", "timeout_s"),
    ("openclaw", "agent", "history_chars"),
)
"""What is read anew whenever it is needed. A change of anything else needs a restart, so that none is silently lost."""

COLD: Final = (("openclaw", "discord", "enabled"),)
"""The exceptions below these."""

SECRETS: Final[tuple[tuple[str, ...], ...]] = (("gateway", "auth", "token"), ("channels", "discord", "token"))

Listener = Callable[[Snapshot], None]
_Signature = tuple[tuple[str, int, int, int], ...]


class ConfigService:
    """One gateway's configuration.

    Args:
        source: where it comes from.
        restart: asked for when a change needs one; the argument says why.
        restart_cooldown_s: no restart sooner than this after we began, so that edits in a row are no chain of restarts.

    Attributes:
        listeners: take up a new snapshot.
        changed_state: told when `state` has changed.
        pending: what is wrong with the file on disk; empty when it is what is in force.
        waits_for_restart: what changed and is not in force yet.
        writes: how many changes clients may still make. Source: reference gateway §4.
    """

    def __init__(
        self,
        source: Source,
        *,
        restart: Callable[[str], None] | None = None,
        restart_cooldown_s: float = 0.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.source = source
        self.restart = restart
        self.listeners: list[Listener] = []
        self.changed_state: Callable[[], None] = lambda: None
        self.note: Note = unnoted
        self.pending: tuple[Issue, ...] = ()
        self.waits_for_restart: tuple[str, ...] = ()
        self._clock = clock
        self._may_restart_at = clock.monotonic() + restart_cooldown_s
        self._restarting = False
        self._current: Snapshot | None = None
        self._files: tuple[FilePath, ...] = ()
        self._signature: _Signature = ()
        self._lock = asyncio.Lock()
        self.writes = WriteBudget(3, 60.0, clock)
        self._tasks = TaskPool("config.restart")

    @property
    def path(self) -> FilePath:
        """The main file."""
        return self.source.path

    @property
    def current(self) -> Snapshot:
        """What is in force."""
        if self._current is None:
            raise RuntimeError("the configuration was not loaded")
        return self._current

    def load(self) -> Snapshot:
        """Read it for the first time.

        Raises:
            ConfigError: every problem with file, line, dotted path and the nearest valid key.
        """
        checked = self.source.check()
        self._current = checked.required()
        self._watch(checked)
        return self._current

    def state(self) -> dict[str, Any]:
        """For status, health and doctor."""
        state = "pending-invalid" if self.pending else "pending-restart" if self.waits_for_restart else "ok"
        return {
            "state": state,
            "path": str(self.path),
            "hash": self.current.document.hash,
            "issues": [issue.as_json() for issue in self.pending],
            "waitsForRestart": list(self.waits_for_restart),
        }

    # --- changes from outside --------------------------------------------------------

    async def run(self) -> None:
        """Watch the files until cancelled."""
        while True:
            await asyncio.sleep(POLL_S)
            if self.current.config.gateway.reload.mode != "off" and self._now() != self._signature:
                await asyncio.sleep(self.current.config.gateway.reload.debounce_ms / 1000)
                await self.refresh()

    async def refresh(self) -> None:
        """Take up what is on disk, if it differs from what is in force."""
        async with self._lock:
            seen = self._now()
            checked = await asyncio.to_thread(self.source.check)
            self._watch(checked, seen)
            before = self.state()
            self._take(checked)
            if self.state() != before:
                self.changed_state()

    def _watch(self, checked: Checked, seen: _Signature = ()) -> None:
        """Look at these files from now on.

        Args:
            checked: names them.
            seen: their signature from before they were read, so that what changed meanwhile is noticed at the next
                look; left out, they are read once more then.
        """
        files = (*checked.document.files, self.path, self.source.env_file, *self.source.policy_files)
        watched = tuple(dict.fromkeys((*files, *(self._files if checked.snapshot is None else ()))))
        self._signature = seen if watched == self._files else ()
        self._files = watched

    def _now(self) -> _Signature:
        found = []
        for file in self._files:
            try:
                info = file.stat()
            except OSError:
                continue
            found.append((str(file), info.st_mtime_ns, info.st_size, info.st_ino))
        return tuple(found)

    def _take(self, checked: Checked, restart_after_s: float = 0.0) -> None:
        new = checked.snapshot
        if new is None:
            if checked.issues != self.pending:
                _log.warning(
                    "config.reload_refused", problems=told(checked.issues), kept=self.current.document.hash[:12]
                )
            self.pending = checked.issues
            return
        old, self.pending = self.current, ()
        changed = _changed(old, new)
        if not changed:
            self._current = new
            return
        mode = new.config.gateway.reload.mode
        cold = [dotted(path) for path in changed if mode == "restart" or _needs_restart(path)]
        self._current = new
        for listener in self.listeners:
            listener(new)
        _log.info("config.applied", changed=[dotted(path) for path in changed], needs_restart=cold)
        self.waits_for_restart = tuple(dict.fromkeys((*self.waits_for_restart, *cold)))
        if cold and mode != "hot" and self.restart is not None:
            reason = f"configuration changed: {', '.join(cold)}"
            wait_s = max(restart_after_s, self._may_restart_at - self._clock.monotonic())
            if wait_s <= 0:
                self.restart(reason)
            elif not self._restarting:  # one that waits already takes up this change as well
                self._restarting = True
                self._tasks.start(self._restart_later(self.restart, reason, wait_s), name="restart")

    async def _restart_later(self, restart: Callable[[str], None], reason: str, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        restart(reason)

    async def close(self) -> None:
        """Forget a restart that waits for its time."""
        await self._tasks.close()

    # --- changes through us ----------------------------------------------------------

    async def write_text(self, text: str, base_hash: str, writer: Writer, *, restart_after_s: float = 0.0) -> Snapshot:
        """Store a whole new text and take it up.

        Args:
            text: of the file.
            base_hash: of the text it replaces.
            writer: for the audit.
            restart_after_s: when a restart is needed: after so long, so that an answer gets out first.

        Raises:
            Conflict: the file is not the one with `base_hash`.
            ConfigError: the text does not check out; nothing was changed.
            Unavailable: the disk is full.
        """
        async with self._lock:
            checked = await asyncio.to_thread(self.source.check_text, text)
            snapshot = checked.required()
            base = base_hash if await asyncio.to_thread(self.path.exists) else None
            await asyncio.to_thread(write_config, self.path, text, base_hash=base, writer=writer, clock=self._clock)
            self._watch(checked)
            before = self.state()
            self._take(checked, restart_after_s)
            if self.state() != before:
                self.changed_state()
            await self.note("config.written", actor=f"{writer.who} ({writer.how})", subject=self.path.name)
            return snapshot


def _changed(old: Snapshot, new: Snapshot) -> list[Path]:
    """What is different in force: policy file and attributes, or the path of a secret in the file."""
    before = {"openclaw": old.policy.model_dump(), "exec": old.exec_policy.model_dump()}
    after = {"openclaw": new.policy.model_dump(), "exec": new.exec_policy.model_dump()}
    found = [path for path, _, _ in differences(before, after)]
    values_before = old.config.model_dump(by_alias=True)
    values_after = new.config.model_dump(by_alias=True)
    return found + [path for path, _, _ in differences(values_before, values_after) if path in SECRETS]


def _needs_restart(path: Path) -> bool:
    def below(roots: tuple[tuple[str, ...], ...]) -> bool:
        return any(path[: len(root)] == root for root in roots)

    return below(COLD) or not below(HOT)

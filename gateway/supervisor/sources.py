"""Development mode: a tenant is restarted when its own source or the shared libraries change (policy N18)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

from shared.obs.log import get_logger

_log = get_logger(__name__)
POLL_S = 2.0
_SKIPPED = frozenset({"__pycache__", ".mypy_cache", ".ruff_cache"})

State = Mapping[str, tuple[int, int]]


def look(folders: tuple[Path, ...]) -> State:
    """Time and size of every file below some folders, by path. Blocks."""
    found: dict[str, tuple[int, int]] = {}
    for folder in folders:
        for path in _files(folder):
            try:
                facts = path.stat()
            except OSError:
                continue  # it went away while we looked
            found[str(path)] = (facts.st_mtime_ns, facts.st_size)
    return found


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in _SKIPPED]
        yield from (Path(place, name) for name in names if not name.startswith("."))


async def watch(
    sources: Mapping[str, tuple[Path, ...]], restart: Callable[[str], Awaitable[object]], *, poll_s: float = POLL_S
) -> None:
    """Call `restart` with a process's name whenever one of its folders has changed; goes on until cancelled.

    Args:
        sources: folders by name of process.
        restart: ends and starts it; its failure does not end the watch.
        poll_s: seconds between two looks.
    """
    before = {name: await asyncio.to_thread(look, folders) for name, folders in sources.items()}
    while True:
        await asyncio.sleep(poll_s)
        for name, folders in sources.items():
            now = await asyncio.to_thread(look, folders)
            if now == before[name]:
                continue
            changed = sorted(path for path, _ in now.items() ^ before[name].items())
            before[name] = now
            _log.warning("development.restart", process=name, changed=changed[0], files=len(set(changed)))
            await restart(name)

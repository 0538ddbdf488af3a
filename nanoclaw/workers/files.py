"""Reading the logs of a group's workers. The agent can write in the folders around them: no link is followed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.beneath import names_beneath, read_beneath
from shared.config.paths import Paths
from shared.errors import Denied, NotFound
from shared.ids import parse_name

_POLL_S = 0.5
_LIMIT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Life:
    """The log of one worker's life.

    Attributes:
        file: its name; names sort by time.
        size: in bytes, where following goes on.
    """

    file: str
    text: str
    size: int


class WorkerFiles:
    """A group's files about its workers; nothing needs to run.

    Raises:
        Invalid: the group's name is not a folder's.
    """

    def __init__(self, paths: Paths, tenant: str, group: str) -> None:
        self._group = parse_name("group", group)
        self._folder = paths.group(tenant, group)
        self._logs = paths.group_logs(tenant, group).relative_to(self._folder).parts
        self._session = paths.group_session(tenant, group)
        self._debug = paths.group_debug_log(tenant, group).relative_to(self._session)

    def names(self) -> list[str]:
        """All logs, oldest first."""
        try:
            names = names_beneath(self._folder, self._logs)
        except Denied:
            return []
        return [name for name in names if name.startswith("container-") and name.endswith(".log")]

    def lives(self, count: int) -> list[Life]:
        """The newest logs, oldest first.

        Raises:
            NotFound: the group has none.
        """
        names = self.names()[-count:]
        if not names:
            raise NotFound(
                f"group {self._group!r} has no worker logs yet: one is made when its first worker starts "
                "(`nanoclaw groups list` shows the groups)",
                code="workers.no_log",
            )
        data = [(name, read_beneath(self._folder, self._logs, name, _LIMIT_BYTES)) for name in names]
        return [Life(name, text.decode(errors="replace"), len(text)) for name, text in data]

    def follow(self, shown: Sequence[Life]) -> Iterator[Life]:
        """What was written since `lives` gave `shown`, also into logs of later workers. Blocks, for ever.

        Each `text` is what is new of its file.
        """
        sizes = {life.file: life.size for life in shown}
        oldest = min(sizes, default="")
        while True:
            for name in self.names():
                if name < oldest:
                    continue
                data = read_beneath(self._folder, self._logs, name, _LIMIT_BYTES)
                seen = sizes.get(name, 0)
                if len(data) > seen:
                    yield Life(name, data[seen:].decode(errors="replace"), len(data))
                sizes[name] = len(data)
            time.sleep(_POLL_S)

    def debug_log(self) -> bytes:
        """The command line's own log.

        Raises:
            NotFound: there is none, with what switches it on.
        """
        try:
            return read_beneath(self._session, self._debug.parts[:-1], self._debug.name, _LIMIT_BYTES)
        except (NotFound, Denied) as error:
            raise NotFound(
                f"group {self._group!r} has no debug log ({error.detail}): it is written by its next worker when "
                "workers.debug_log is true in policies/gateway.toml",
                code="workers.no_debug_log",
            ) from None

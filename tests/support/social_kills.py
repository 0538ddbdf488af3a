"""Ends a posting service at a chosen point, as SIGKILL would: in the middle of a step, nothing cleaned up.

Points are counted: before and after every write to the database and every call to a network.
"""

from __future__ import annotations

from typing import Any

from gateway.social.service import Social

CALLS = ("create_item", "create", "status", "publish", "recent", "permalink", "quota", "delete")
WRITES = ("update", "accept", "acquire")


class Killed(BaseException):
    """The process is gone; what catches ordinary errors does not see it."""


class Guillotine:
    """Counts the points a service passes and ends it at one of them.

    Attributes:
        passed: names of the points so far.
        at: the number of the point to die at; None never.
    """

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.passed: list[str] = []

    def point(self, name: str) -> None:
        self.passed.append(name)
        if self.at is not None and len(self.passed) == self.at:
            raise Killed(name)

    def wrap(self, thing: Any, names: tuple[str, ...], prefix: str) -> None:
        for name in names:
            if hasattr(thing, name):
                setattr(thing, name, self._around(getattr(thing, name), f"{prefix}.{name}"))

    def _around(self, method: Any, name: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            self.point(f"before {name}")
            result = await method(*args, **kwargs)
            self.point(f"after {name}")
            return result

        return call


def rig(social: Social, guillotine: Guillotine) -> Social:
    """Let a service pass the points."""
    guillotine.wrap(social.store, WRITES, "store")
    for network, client in social._clients.items():
        guillotine.wrap(client, CALLS, network)
    return social

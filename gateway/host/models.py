"""What the kernel says about the machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Listener:
    """A TCP port that a program listens on.

    Attributes:
        address: numeric; ``0.0.0.0`` and ``::`` mean every address of the machine.
    """

    address: str
    port: int

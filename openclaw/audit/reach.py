"""Who reaches OpenClaw's port: what listens, and, in a container of its own, where the machine publishes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.audit.models import Outcome, failed, holds
from shared.config.process import is_tenants_container
from shared.lifecycle.container import Link, Published, is_contained, links, published
from shared.lifecycle.listening import Address


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a container-only address is judged by.

    Attributes:
        contained: this is a container of the tenant's own.
        links: its network interfaces.
        published: where the machine publishes its port, as compose.yaml says; None when nothing says so.
    """

    contained: bool
    links: Sequence[Link]
    published: Published | None

    @classmethod
    def observed(cls) -> Surroundings:
        """Of this very process.

        Raises:
            OSError: the kernel does not say.
        """
        return cls(is_tenants_container() and is_contained(), tuple(links()), published())


def decide_reach(port: int, outside: Sequence[Address], around: Surroundings) -> Outcome:
    """Whether a port that listens on more than loopback is reached by this machine alone.

    That is so in one case: the address is a container's, its network leads to the machine and nowhere else, and the
    machine publishes the port on its own loopback.

    Args:
        port: what is judged.
        outside: addresses it listens on that are not loopback.
        around: what surrounds the process.
    """
    at = around.published
    if not around.contained or at is None:
        return failed("; ".join(f"port {port} listens on {address}" for address in outside))
    problems = []
    if at.inner != port:
        problems.append(f"what is published leads to {at.inner}, so nothing is known of {port}")
    elif not at.is_loopback:
        problems.append(f"port {port} is published on {at.address}:{at.port}")
    wide = [link for link in around.links if not link.is_private]
    problems += [f"{link.name} ({link.address or 'no address'}) is no network of the container's own" for link in wide]
    return holds(problems, f"in a container on a network of its own, published on {at.address}:{at.port} alone")

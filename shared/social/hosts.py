"""The Graph hosts of the networks, which contained commands reach through the gateway alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.social.models import Network

GRAPH_HOSTS: Final[Mapping[str, Network]] = {
    "graph.threads.net": "threads",
    "graph.threads.com": "threads",
    "graph.instagram.com": "instagram",
}

"""What may stand as ``service`` of a tunnel's rule."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

MEDIA_PATH = "^/m/"
"""Which requests to the media host go through; all others end at the edge."""

_WORDS = frozenset({"hello_world", "hello-world", "bastion", "socks-proxy"})
_STATUS = re.compile(r"http_status:([1-9][0-9]{2})")
_SCHEMES = frozenset({"http", "https", "ws", "wss", "tcp", "ssh", "rdp", "smb"})


def problem_of_service(service: str) -> str:
    """Why cloudflared would refuse a service; empty when it would take it."""
    if service in _WORDS or _STATUS.fullmatch(service):
        return ""
    for prefix in ("unix:", "unix+tls:"):
        if service.startswith(prefix):
            return "" if service.removeprefix(prefix).startswith("/") else f"{service!r} needs an absolute path"
    try:
        parts = urlsplit(service)
        port = parts.port
    except ValueError:
        return f"{service!r} has no valid port"
    if parts.scheme not in _SCHEMES or not parts.hostname:
        return f"{service!r} is not a service: write http://localhost:PORT, unix:/path or http_status:404"
    if parts.path not in {"", "/"} or parts.query:
        return f"{service!r} may not have a path: cloudflared passes the visitor's own"
    if port is None and parts.scheme not in {"http", "https", "ws", "wss"}:
        return f"{service!r} needs a port"
    return ""

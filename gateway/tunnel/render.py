"""cloudflared's file, made from policy."""

from __future__ import annotations

from typing import Any

import yaml

from gateway.tunnel.policy import TunnelPolicy
from gateway.tunnel.services import MEDIA_PATH

_HEAD = """\
# Written by `clawgate tunnel config` from policies/tunnel.toml; changes belong there.
# Rules are tried in order. Every file of the media host is under /m/ and signed; nothing else of that host is served.
"""


def render(policy: TunnelPolicy) -> str:
    """The file's text; the same policy gives the same text."""
    control: dict[str, Any] = {"hostname": policy.hostname, "service": policy.service}
    if policy.access.team:
        # Under the rule, never at the top: there cloudflared reads it, says nothing and protects nothing.
        access = {"required": True, "teamName": policy.access.team, "audTag": list(policy.access.audiences)}
        control["originRequest"] = {"access": access}
    rules = [control]
    if policy.media_hostname:
        rules.append({"hostname": policy.media_hostname, "path": MEDIA_PATH, "service": policy.media_service})
    rules.append({"service": "http_status:404"})
    values = {
        "tunnel": policy.name,
        "credentials-file": policy.credentials_file,
        "metrics": policy.metrics,
        "no-autoupdate": True,
        "ingress": rules,
    }
    text: str = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    return _HEAD + text

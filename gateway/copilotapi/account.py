"""Signing in, the quota and the facts of this machine: the other commands of copilot-api."""

from __future__ import annotations

import json
import platform
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from gateway.copilotapi.options import CopilotApiOptions
from gateway.copilotapi.signin import CopilotSignIn
from gateway.modelproxy.quota import CopilotQuota
from shared.http.client import HttpPool
from shared.oauth.copilot import CopilotOAuth
from shared.oauth.device import wait_for_person
from shared.secrets.files import write_private

_KINDS = ("premium_interactions", "chat", "completions")


async def sign_in(
    options: CopilotApiOptions,
    *,
    say: Callable[[str], None],
    sleep: Callable[[float], Awaitable[None]] | None = None,
) -> str:
    """Sign in by device flow and store the token where copilot-api keeps it, mode 600.

    Args:
        options: addresses and the token's file.
        say: shows the person what to do.
        sleep: waits between questions; a test's own goes here.

    Returns:
        The account's name; empty when GitHub does not say.

    Raises:
        LoginNeeded: the person said no, or the code ran out.
        Unavailable: GitHub does not answer.
    """
    async with HttpPool() as http:
        provider = CopilotOAuth(options.oauth_settings(), http)
        pending = await provider.begin()
        say(pending.instructions)
        token = await (wait_for_person(provider, pending, sleep=sleep) if sleep else wait_for_person(provider, pending))
    write_private(options.token_file.expanduser(), token.access.reveal())
    return token.account


async def quota(options: CopilotApiOptions) -> dict[str, Any]:
    """GitHub's quota answer; raises as `CopilotQuota.usage`."""
    async with HttpPool() as http:
        signin = CopilotSignIn(options, http)
        return await CopilotQuota(signin.github, github_token=signin.github_token).usage()


def quota_lines(usage: Mapping[str, Any]) -> list[str]:
    """The quota for a person."""
    lines = [
        f"Copilot plan: {usage.get('copilot_plan', 'unknown')}",
        f"Quota resets: {usage.get('quota_reset_date', 'unknown')}",
    ]
    snapshots = usage.get("quota_snapshots")
    for kind in _KINDS:
        shot = snapshots.get(kind) if isinstance(snapshots, dict) else None
        name = kind.removesuffix("_interactions").capitalize()
        if not isinstance(shot, dict):
            lines.append(f"{name}: not said")
        elif shot.get("unlimited"):
            lines.append(f"{name}: unlimited")
        else:
            total, left = _number(shot.get("entitlement")), _number(shot.get("remaining"))
            percent = _number(shot.get("percent_remaining"))
            lines.append(f"{name}: {total - left:g}/{total:g} used ({100 - percent:.1f} % used, {percent:.1f} % left)")
    return lines


def facts(options: CopilotApiOptions) -> dict[str, Any]:
    """What a report of a problem needs, without any secret."""
    path = options.token_file.expanduser()
    try:
        ours = version("clawgate")
    except PackageNotFoundError:
        ours = "unknown"
    return {
        "version": ours,
        "runtime": {
            "name": "python",
            "version": platform.python_version(),
            "platform": platform.system().lower(),
            "arch": platform.machine(),
        },
        "paths": {"GITHUB_TOKEN_PATH": str(path)},
        "tokenExists": path.is_file() and path.stat().st_size > 0,
    }


def claude_code_lines(url: str, model: str, small: str) -> list[str]:
    """Shell lines that point Claude Code at this listener."""
    settings = {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_AUTH_TOKEN": "dummy",
        "ANTHROPIC_MODEL": model,
        "ANTHROPIC_DEFAULT_SONNET_MODEL": model,
        "ANTHROPIC_SMALL_FAST_MODEL": small,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": small,
        "DISABLE_NON_ESSENTIAL_MODEL_CALLS": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    return [f"export {name}={json.dumps(value)}" for name, value in settings.items()]


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0

"""``clawgate selftest``: the shortest proof that this machine can run the product.

Starts the sandbox on free ports with a state directory of its own, writes one message to each bot as a person
would, opens a Control UI session, and takes everything down again.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from gateway.sandbox.options import SandboxOptions
from gateway.sandbox.run import Sandbox, running_sandbox
from shared.clock import SYSTEM_CLOCK
from shared.errors import DeadlineExceeded, GatewayError, UpstreamError
from shared.http.client import http_client
from shared.obs.log import configure_logging
from shared.openclawclient.session import ControlUiSession

_REPLY_TIMEOUT_S = 90.0
_POLL_S = 0.05


async def run_selftest(*, engine: str | None, docker_host: str | None) -> dict[str, Any]:
    """Run all steps; a failed step does not stop the next.

    Returns:
        ``{"ok", "engine", "steps": [{"name", "ok", "ms", "detail"}]}``; ``ms`` is wall time in milliseconds.
    """
    configure_logging("selftest", level="ERROR")
    steps: list[dict[str, Any]] = []
    report: dict[str, Any] = {"ok": False, "engine": "none", "steps": steps}
    with tempfile.TemporaryDirectory(prefix="clawgate-selftest-") as folder:
        options = SandboxOptions.parse(
            state=Path(folder) / "state", port_base=0, engine=engine, docker_host=docker_host, quiet=True
        )
        context = running_sandbox(options)
        sandbox = await _step(steps, "sandbox.start", context.__aenter__)
        if sandbox is None:
            return report
        try:
            report["engine"] = sandbox.ready["engine"]
            await _step(steps, "nanoclaw.reply", lambda: bot_reply(sandbox.ready, "nanoclaw"))
            await _step(steps, "openclaw.reply", lambda: bot_reply(sandbox.ready, "openclaw"))
            await _step(steps, "control_ui.session", lambda: control_ui_session(sandbox))
        finally:
            await _step(steps, "sandbox.stop", lambda: context.__aexit__(None, None, None))
    report["ok"] = all(step["ok"] for step in steps)
    return report


async def _step(steps: list[dict[str, Any]], name: str, work: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - the step's result
    start = SYSTEM_CLOCK.monotonic()
    result, ok = None, True
    try:
        result = await work()
        detail = result if isinstance(result, str) else ""
    except GatewayError as error:
        ok, detail = False, error.detail
    except Exception as error:  # noqa: BLE001 - a self-test reports every failure instead of ending with it
        ok, detail = False, f"{type(error).__name__}: {error}"
    steps.append({"name": name, "ok": ok, "ms": round((SYSTEM_CLOCK.monotonic() - start) * 1000, 1), "detail": detail})
    return result


async def bot_reply(ready: dict[str, Any], bot: str) -> str:
    """Mention a bot in the channel as a person and wait for its answer to exactly this message.

    Raises:
        DeadlineExceeded: no answer came.
    """
    discord, bot_id = ready["discord"], ready[bot]["bot_id"]
    word = f"selftest-{secrets.token_hex(4)}"
    url = f"/channels/{discord['channel_id']}/messages"
    headers = {"authorization": discord["user_token"]}
    async with http_client(base_url=discord["api_base"], headers=headers, timeout_s=10.0) as http:
        sent = await http.post(url, json={"content": f"<@{bot_id}> {word}"})
        if sent.is_error:
            raise UpstreamError(f"Discord refused the message with {sent.status_code}", status=sent.status_code)
        deadline = SYSTEM_CLOCK.monotonic() + _REPLY_TIMEOUT_S
        while SYSTEM_CLOCK.monotonic() < deadline:
            answers = await http.get(url, params={"after": sent.json()["id"], "limit": 50})
            for message in answers.json():
                if message["author"]["id"] == bot_id and word in message["content"]:
                    return str(message["content"])[:200]
            await asyncio.sleep(_POLL_S)
    raise DeadlineExceeded(f"{bot} did not answer within {_REPLY_TIMEOUT_S:.0f} s")


async def control_ui_session(sandbox: Sandbox) -> str:
    """Connect as a browser would (device key, pairing, token) and chat."""
    openclaw = sandbox.ready["openclaw"]
    async with ControlUiSession(openclaw["ws_url"], token=openclaw["token"]) as session:
        word = f"selftest-{secrets.token_hex(4)}"
        answer = await session.chat(word, timeout_s=_REPLY_TIMEOUT_S)
    if word not in answer:
        raise UpstreamError(f"the Control UI got an answer to something else: {answer[:100]!r}")
    return str(answer[:200])

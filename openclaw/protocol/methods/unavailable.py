"""What the original has and this gateway deliberately has not: answered with the protocol's own ``UNAVAILABLE``.

They are not in ``features.methods``; a client that asks all the same reads why, instead of "unknown method".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from openclaw.protocol.errors import ProtocolError
from openclaw.protocol.registry import Call, Method
from openclaw.protocol.scopes import ADMIN, PAIRING, READ, WRITE

_VOICE = "there is no voice here"
_NODES = "this gateway has no nodes: commands run on its own machine, under policies/exec.toml"
_ONE_AGENT = "this gateway has one agent; policies/openclaw.toml names it and its model"
_WIZARD = "there is no wizard: `openclaw onboard` and `openclaw doctor` do its work"

REASONS: Final[Mapping[str, tuple[str, str]]] = {
    "agents.create": (ADMIN, _ONE_AGENT),
    "agents.update": (ADMIN, _ONE_AGENT),
    "agents.delete": (ADMIN, _ONE_AGENT),
    "browser.request": (WRITE, "there is no browser control here"),
    "exec.approvals.node.get": (ADMIN, _NODES),
    "exec.approvals.node.set": (ADMIN, _NODES),
    "node.describe": (READ, _NODES),
    "node.event": ("", _NODES),
    "node.invoke": (WRITE, _NODES),
    "node.invoke.result": ("", _NODES),
    "node.pair.approve": (PAIRING, _NODES),
    "node.pair.reject": (PAIRING, _NODES),
    "node.pair.request": (PAIRING, _NODES),
    "node.pair.verify": (PAIRING, _NODES),
    "node.rename": (PAIRING, _NODES),
    "poll": (WRITE, "polls are not supported: send a message"),
    "push.test": (WRITE, "there are no mobile clients to push to"),
    "secrets.reload": (ADMIN, "credentials are the Clawgate gateway's, which reads them anew by itself"),
    "skills.bins": ("", _NODES),
    "skills.install": (ADMIN, "skills are put into the workspace by their owner, not fetched by clients"),
    "skills.update": (ADMIN, "skills are changed in the workspace by their owner"),
    "talk.config": (READ, _VOICE),
    "talk.mode": (WRITE, _VOICE),
    "tts.convert": (WRITE, _VOICE),
    "tts.disable": (WRITE, _VOICE),
    "tts.enable": (WRITE, _VOICE),
    "tts.providers": (READ, _VOICE),
    "tts.setProvider": (WRITE, _VOICE),
    "tts.status": (READ, _VOICE),
    "update.run": (ADMIN, "updates are installed by whoever installed Clawgate"),
    "voicewake.get": (READ, _VOICE),
    "voicewake.set": (WRITE, _VOICE),
    "web.login.start": (ADMIN, "no channel here signs in by a code on the screen"),
    "web.login.wait": (ADMIN, "no channel here signs in by a code on the screen"),
    "wizard.cancel": (ADMIN, _WIZARD),
    "wizard.next": (ADMIN, _WIZARD),
    "wizard.start": (ADMIN, _WIZARD),
    "wizard.status": (ADMIN, _WIZARD),
}


def _refuse(call: Call, _params: object) -> object:
    method = call.request.method
    raise ProtocolError("UNAVAILABLE", f"{method} is not available: {REASONS[method][1]}", retryable=False)


METHODS = tuple(
    Method(name, scope, _refuse, params=None, advertised=False) for name, (scope, _reason) in REASONS.items()
)

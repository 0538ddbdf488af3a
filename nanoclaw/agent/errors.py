"""What can go wrong between us and an agent."""

from __future__ import annotations

from shared.errors import Conflict, Unavailable


class WorkerLost(Unavailable):
    """The worker is gone, or cannot be heard any more; a new one can take over the conversation."""

    code = "worker.lost"


class SessionMissing(Conflict):
    """The conversation to be continued does not exist any more; begin a new one."""

    code = "agent.session_missing"

"""What an endpoint asks of the agent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Work:
    """One request, understood.

    Attributes:
        session_key: canonical.
        run_id: of the run, and of the answer.
        model: echoed in the answer.
        stream: the answer is wanted as events.
    """

    session_key: str
    prompt: str
    run_id: str
    model: str
    stream: bool

"""Where a process serves its figures."""

from __future__ import annotations

from pydantic import Field

from shared.config.strict import Strict


class MetricsPolicy(Strict):
    """Figures for Prometheus, on a listener of their own that is always 127.0.0.1.

    Attributes:
        port: where; left out: off, 0: any free one.
    """

    port: int | None = Field(default=None, ge=0, le=65535)

"""Model calls, counted as they end, for the gateway's figures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from gateway.modelproxy.identity import RequestRecord
from shared.metrics.figures import Durations, Sheet

_CALL_BOUNDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)


@dataclass
class ModelCalls:
    """Model calls, counted as they end."""

    requests: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    tokens: Counter[tuple[str, str]] = field(default_factory=Counter)
    cost_usd: dict[str, float] = field(default_factory=dict)
    took: Durations = field(default_factory=lambda: Durations(_CALL_BOUNDS))
    first_byte: Durations = field(default_factory=lambda: Durations(_CALL_BOUNDS))

    def count(self, record: RequestRecord, cost_usd: float) -> None:
        """Count one call; what it cost is at list prices."""
        provider = record.provider or "none"
        self.requests[record.tenant, provider, str(record.status), record.outcome] += 1
        self.took.observe(record.total_ms / 1000, provider)
        if record.first_byte_ms:
            self.first_byte.observe(record.first_byte_ms / 1000, provider)
        self.tokens[provider, "input"] += record.input_tokens
        self.tokens[provider, "cached"] += record.cached_tokens
        self.tokens[provider, "output"] += record.output_tokens
        self.cost_usd[provider] = self.cost_usd.get(provider, 0.0) + cost_usd

    def fill(self, sheet: Sheet) -> None:
        """Fill in what was counted."""
        for call, count in self.requests.items():
            sheet.put("clawgate_model_requests_total", count, *call)
        for kind, tokens in self.tokens.items():
            sheet.put("clawgate_model_tokens_total", tokens, *kind)
        sheet.put_all("clawgate_model_cost_usd_total", self.cost_usd)
        sheet.put_durations("clawgate_model_request_seconds", self.took)
        sheet.put_durations("clawgate_model_first_byte_seconds", self.first_byte)

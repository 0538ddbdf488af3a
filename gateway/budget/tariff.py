"""What calls cost and what to set aside for them, by policy and catalogue; pure."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

from gateway.budget.models import Estimate, Spent
from gateway.budget.policy import SCALE, BudgetsPolicy
from gateway.modelproxy.identity import RequestRecord
from shared.errors import Invalid
from shared.providers.catalog import Catalog, shipped_catalog

_BYTES_PER_TOKEN = 3
_OUTPUT_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_FASTEST_TOKENS_PER_S = 200
_BROKEN = frozenset({"cut", "client_gone"})
_FIRST_ERROR = 400
_REMEMBERED = 256


class Tariff:
    """What calls cost and what they are paid from, by policy and catalogue."""

    def __init__(self, policy: BudgetsPolicy, catalog: Catalog | None = None) -> None:
        self.policy = policy
        # Both match patterns, for the same few models at every call.
        self.bucket_of = functools.lru_cache(_REMEMBERED)(policy.bucket_of)
        self._price_of = functools.lru_cache(_REMEMBERED)(policy.price_of)
        self._catalog = catalog or shipped_catalog()

    def cost(self, provider: str, model: str, *, fresh: int, cached: int, output: int) -> Spent:
        """The cost of a call that was sent; `fresh` input tokens are those not read from a cache."""
        rates = self._price_of(model).rates_for(fresh + cached)
        usd = math.ceil(fresh * rates.input + cached * rates.cached + output * rates.output)
        # The list of models costs nothing, nor do embeddings.
        is_premium = provider == "copilot" and bool(model) and not model.startswith("text-embedding-")
        multiplier = self._catalog.find(f"copilot/{model}").multiplier if is_premium else 0.0
        scaled = round(multiplier * SCALE["premium_requests"])
        return Spent(usd=usd, tokens=fresh + cached + output, requests=1, premium_requests=scaled)

    def of_estimate(self, provider: str, model: str, estimate: Estimate) -> Spent:
        """What to set aside."""
        return self.cost(provider, model, fresh=estimate.input_tokens, cached=0, output=estimate.output_tokens)

    def of_record(self, record: RequestRecord, estimate: Estimate | None = None) -> Spent:
        """What a finished call cost.

        A call the provider never said the usage of (the caller left, the stream broke) is charged as estimated, since
        it was not free; one that we refused ourselves costs nothing. Of an answer that was broken off, the provider
        had not said yet how long it was: it was at least as long as what came of it, and where only hidden thoughts
        came, as long as a fast model may think in that time.
        """
        if not record.auth or record.outcome == "refused":
            return Spent()
        provider, model = record.provider, record.model
        is_broken = record.outcome in _BROKEN
        is_unmeasured = not record.input_tokens and not record.output_tokens
        if is_unmeasured and estimate and (record.status < _FIRST_ERROR or is_broken):
            if not (is_broken and record.said_bytes):
                return self.of_estimate(provider, model, estimate)
            return self.cost(
                provider, model, fresh=estimate.input_tokens, cached=0, output=_tokens_of(record.said_bytes)
            )
        cached = min(record.cached_tokens, record.input_tokens)
        fresh = record.input_tokens - cached
        output = record.output_tokens
        if is_broken and not record.is_final:
            hidden = math.ceil(record.total_ms / 1000 * _FASTEST_TOKENS_PER_S)
            most = estimate.output_tokens if estimate else hidden
            output = max(output, _tokens_of(record.said_bytes) or min(most, hidden))
        spent = self.cost(provider, model, fresh=fresh, cached=cached, output=output)
        return spent if record.status < _FIRST_ERROR else Spent(spent.usd, spent.tokens, spent.requests)


def _tokens_of(byte_count: int) -> int:
    return math.ceil(byte_count / _BYTES_PER_TOKEN)


def estimate_of(body: Mapping[str, Any], request_bytes: int, policy: BudgetsPolicy) -> Estimate:
    """What a request may cost at most: a token for every three bytes of it, and the longest answer it allows.

    Raises:
        Invalid: it does not say a number of tokens where it should, so that nobody can tell.
    """
    named = [_whole(name, body[name]) for name in _OUTPUT_LIMITS if body.get(name) is not None]
    output = max(named, default=policy.default_output_tokens)
    return Estimate(_tokens_of(request_bytes), output)


def _whole(name: str, value: object) -> int:
    # A provider takes 64000.0 for 64000.
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 and value == value // 1:
        return int(value)
    raise Invalid(f"{name}: must be a whole number of tokens, not negative", code="model.max_tokens")

"""Who calls a model, and the record of the call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["answered", "refused", "cut", "client_gone", "failed"]


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Who calls and what they may call; looked up from the socket, never from what the caller says.

    Attributes:
        group: NanoClaw's group, empty for a tenant's own call.
        worker_id: the worker, empty for a tenant's own call.
        routes: model routes this identity may use; all others are refused.
    """

    tenant: str
    group: str
    worker_id: str
    routes: frozenset[str]


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One model call, as the ledger keeps it.

    Attributes:
        status: what the caller got; 499 when it left before the answer began.
        outcome: ``answered`` is a whole answer of the provider (errors included), ``cut`` a broken one, ``refused``
            ours before anything was sent, ``failed`` no answer at all.
        auth: kind of credential used: ``oauth``, ``api_key`` or ``token``; empty when none was.
        first_byte_ms: from the call's arrival to the answer's first byte; 0 when there was none.
        request_id: the provider's id of the call.
        run_id: the run as the caller named it; a worker's is not believed.
    """

    tenant: str
    group: str
    worker_id: str
    route: str
    provider: str
    model: str
    status: int
    outcome: Outcome
    auth: str
    first_byte_ms: float
    total_ms: float
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    request_bytes: int
    request_id: str
    run_id: str = ""
    said_bytes: int = 0
    is_final: bool = True

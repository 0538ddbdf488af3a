"""What a person may do about a failure that passes; those that do not pass name their command themselves."""

from __future__ import annotations

from shared.errors import GatewayError

_SAYS_IT = frozenset({"auth.request", "config.oauth", "auth.disk", "auth.no_node", "auth.stopping"})
_NODE = (
    'Let Node ask instead (transport = "node" in [claude] of policies/oauth.toml), or ask from another network. '
    "What is stored is untouched"
)


def with_advice(error: GatewayError, *, refresh_command: str) -> GatewayError:
    """The same error, its detail ending in what to do.

    Args:
        error: of a refresh that did not work this time.
        refresh_command: tries it again now.
    """
    if error.code in _SAYS_IT or refresh_command in error.detail:
        return error
    kept = f"What is stored is untouched, and it is tried again by itself; now: {refresh_command}"
    advice = _NODE if error.code == "auth.edge" and " claude" in refresh_command else kept
    error.add_advice(advice)
    return error

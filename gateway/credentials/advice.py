"""What a person may do about a failure that passes; those that do not pass name their command themselves."""

from __future__ import annotations

from shared.errors import GatewayError

_SAYS_IT = frozenset({"auth.request", "config.oauth", "auth.disk", "auth.no_node", "auth.stopping"})
KEPT = "What is stored is untouched"
_NODE = 'Let Node ask instead (transport = "node" in [claude] of policies/oauth.toml), or ask from another network'


def with_advice(error: GatewayError, *, refresh_command: str) -> GatewayError:
    """The same error, its detail ending in what to do.

    Args:
        error: of a refresh that did not work this time.
        refresh_command: tries it again now.
    """
    if error.code in _SAYS_IT or refresh_command in error.detail:
        return error
    if error.code == "auth.edge" and " claude" in refresh_command:
        error.add_advice(_NODE)
    error.add_advice(f"{KEPT}, and it is tried again by itself; now: {refresh_command}")
    return error

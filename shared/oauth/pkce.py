"""Proof key of an authorization code (RFC 7636, S256) and the state that ties an answer to its question."""

from __future__ import annotations

from dataclasses import dataclass

from authlib.common.security import generate_token
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from shared.secrets.files import Secret

_VERIFIER_CHARS = 64
_STATE_CHARS = 43


@dataclass(frozen=True, slots=True)
class Pkce:
    """A verifier, kept until the exchange, and the challenge, sent ahead of it."""

    verifier: Secret
    challenge: str


def new_pkce() -> Pkce:
    """A fresh pair."""
    verifier = generate_token(_VERIFIER_CHARS)
    return Pkce(Secret(verifier), str(create_s256_code_challenge(verifier)))


def new_state() -> str:
    """A fresh state; guessing one is hopeless."""
    return str(generate_token(_STATE_CHARS))


def authorize_url(
    base: str, *, client_id: str, redirect_uri: str, scopes: tuple[str, ...], state: str, challenge: str, **extra: str
) -> str:
    """The page a person opens.

    Args:
        base: the provider's authorization endpoint.
        client_id: ours there.
        redirect_uri: as registered.
        scopes: what is asked for.
        state: see `new_state`.
        challenge: of `Pkce`; empty leaves the proof key out, for providers that do not know it.
        extra: further parameters the provider wants.
    """
    proof = {"code_challenge": challenge, "code_challenge_method": "S256"} if challenge else {}
    url = prepare_grant_uri(
        base, client_id, "code", redirect_uri=redirect_uri, scope=" ".join(scopes), state=state, **proof, **extra
    )
    return str(url)

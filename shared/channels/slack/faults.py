"""What Slack's refusals mean to a caller."""

from __future__ import annotations

from shared.errors import AuthRequired, ConfigError, Denied, GatewayError, Invalid, NotFound, RateLimited, Unavailable

APPS = "https://api.slack.com/apps"

REQUIRED_SCOPES = ("app_mentions:read", "channels:history", "chat:write", "users:read")

_TOKEN = frozenset(
    {
        "account_inactive",
        "invalid_auth",
        "not_allowed_token_type",
        "not_authed",
        "token_expired",
        "token_revoked",
    }
)
_MISSING = frozenset(
    {"channel_not_found", "message_not_found", "thread_not_found", "user_not_found", "users_not_found"}
)
_FORBIDDEN = frozenset(
    {
        "access_denied",
        "cant_delete_message",
        "cant_update_message",
        "edit_window_closed",
        "ekm_access_denied",
        "is_archived",
        "missing_scope",
        "no_permission",
        "not_in_channel",
        "restricted_action",
        "team_access_not_granted",
        "user_not_in_channel",
    }
)
_PASSING = frozenset(
    {
        "fatal_error",
        "internal_error",
        "request_timeout",
        "service_unavailable",
        "team_added_to_org",
        "unavailable",
    }
)
_TOO_OFTEN = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
_WAIT_S = 30.0


def refusal(what: str, error: str, *, needed: str = "", retry_after_s: float = _WAIT_S) -> GatewayError:
    """The error of ours for an answer that is not ok.

    Args:
        what: the call, for the detail: ``send a message``.
        error: Slack's word for it.
        needed: the scope that is missing.
        retry_after_s: how long to wait after too many calls.

    Returns:
        `AuthRequired`: the token is not accepted any more. `RateLimited`: it was not done. `Unavailable`: it may have
        been done. `NotFound`, `Denied`, `Invalid`: as everywhere.
    """
    reason = f"Slack refused to {what}: {error}" + (f" (needs the scope {needed})" if needed else "")
    if error in _TOKEN:
        return AuthRequired(reason, code="slack.token_refused")
    if error in _TOO_OFTEN:
        return RateLimited(f"Slack limits how often we may {what}", retry_after_s=retry_after_s)
    if error in _MISSING:
        return NotFound(reason)
    if error in _FORBIDDEN or error.startswith("restricted_action"):
        return Denied(reason)
    if error in _PASSING:
        return Unavailable(reason)
    return Invalid(reason, slack_error=error)


def bot_token_refused(reason: str) -> AuthRequired:
    """The bot's token is of no use: a person has to replace it."""
    return AuthRequired(
        f"Slack refused the bot token ({reason}). Fix: reinstall the app to the workspace ({APPS}, page OAuth & "
        "Permissions), put its Bot User OAuth Token into the gateway's .env as SLACK_BOT_TOKEN, and start again",
        code="slack.token_refused",
    )


def app_token_refused(reason: str) -> AuthRequired:
    """The app's token is of no use."""
    return AuthRequired(
        f"Slack refused the app token ({reason}). Fix: make an app-level token with the scope connections:write "
        f"({APPS}, page Basic Information), put it into the gateway's .env as SLACK_APP_TOKEN, and start again",
        code="slack.app_token_refused",
    )


def socket_mode_off() -> ConfigError:
    """Socket Mode was switched off for the app."""
    return ConfigError(
        f"Socket Mode is off for this Slack app. Fix: switch it on ({APPS}, page Socket Mode), and start again",
        code="slack.socket_mode_off",
    )


def scopes_missing(missing: list[str]) -> ConfigError:
    """The app was installed without a scope we cannot do without."""
    return ConfigError(
        f"the Slack app lacks the bot token scopes {', '.join(missing)}. Fix: add them ({APPS}, page OAuth & "
        "Permissions), reinstall the app to the workspace, and start again",
        code="slack.scopes_missing",
    )


def check_tokens(bot_token: str, app_token: str) -> None:
    """Refuse what cannot work, before anything is asked of Slack.

    Raises:
        ConfigError: one of the two is missing, or they are not of the kinds they should be.
    """
    given, missing = ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN") if bot_token else ("SLACK_APP_TOKEN", "SLACK_BOT_TOKEN")
    if not (bot_token and app_token):
        raise ConfigError(
            f"{given} is set but {missing} is not, so Slack stays off. Fix: set both in the gateway's .env, or none "
            "(docs/slack.md says where they are found), and start again",
            code="slack.token_missing",
        )
    for name, token, prefix in (("SLACK_BOT_TOKEN", bot_token, "xoxb-"), ("SLACK_APP_TOKEN", app_token, "xapp-")):
        if not token.startswith(prefix):
            raise ConfigError(
                f"{name} is not a token of its kind, so Slack stays off. Fix: it begins with {prefix}; put the right "
                "one into the gateway's .env (docs/slack.md says where it is found), and start again",
                code="slack.token_kind",
            )

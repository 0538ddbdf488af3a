"""What an answer of the networks means for the one who asked: sorted by what to do next, never by its text.

Source: reference notes on the Meta APIs, §1, §5 (table of publishing errors) and §7.
"""

from __future__ import annotations

from typing import Any, Literal

from shared.errors import UpstreamError
from shared.json_values import mapping, object_of
from shared.obs.redact import redact_text
from shared.social.models import TITLES, Network
from shared.social.validate import PostCode

Action = Literal["refused", "wait", "slow_down", "new_container", "again", "unknown", "unreadable"]
"""What to do next.

``refused``: definitely not done, and asking again cannot help; ``wait``: not ready, ask again with the same container;
``slow_down``: definitely not done, a limit of calls; ``new_container``: definitely not done with this container;
``again``: not done or without effect, try again; ``unknown``: it may have happened, look before doing anything;
``unreadable``: the thing asked about could not be read, which proves nothing.
"""

Operation = Literal["create", "publish", "read", "delete"]

_MESSAGE_CHARS = 200
_TOO_MANY_REQUESTS, _SERVER_ERROR = 429, 500
_RATE_CODES = frozenset({4, 17, 32, 341, 613, 80002})
_PERMISSION_CODES = frozenset({3, 10, *range(200, 300)})
_SPAM, _UNREADABLE = 2207051, 33
_AMBIGUOUS = frozenset({1, 2, -1})

_BY_SUBCODE: dict[int, tuple[Action, PostCode]] = {
    2207003: ("again", "media_unreachable"),
    2207020: ("new_container", "media_rejected"),
    2207032: ("new_container", "media_rejected"),
    2207053: ("new_container", "media_rejected"),
    2207042: ("refused", "quota_exceeded"),
    4279009: ("new_container", "container_not_found"),
    2207006: ("new_container", "container_not_found"),
    2207008: ("new_container", "container_not_found"),
    2207050: ("refused", "blocked_by_platform"),
    2207026: ("refused", "media_format_unsupported"),
    2207052: ("refused", "media_unreachable"),
    2207027: ("wait", "media_processing_timeout"),
    2207004: ("refused", "media_too_large"),
    2207005: ("refused", "media_format_unsupported"),
    2207009: ("refused", "media_format_unsupported"),
    2207010: ("refused", "text_too_long"),
    2207028: ("refused", "carousel_size"),
    2207040: ("refused", "too_many_tags"),
}
_BY_CODE: dict[int, tuple[Action, PostCode]] = {
    9: ("refused", "quota_exceeded"),
    24: ("new_container", "container_not_found"),
    25: ("refused", "blocked_by_platform"),
    100: ("refused", "media_rejected"),
    102: ("refused", "auth_expired"),
    190: ("refused", "auth_expired"),
    352: ("refused", "media_format_unsupported"),
    368: ("refused", "blocked_by_platform"),
    506: ("refused", "duplicate_content"),
    9004: ("refused", "media_unreachable"),
    9007: ("wait", "media_processing_timeout"),
    36000: ("refused", "media_too_large"),
    36001: ("refused", "media_format_unsupported"),
    36003: ("refused", "media_format_unsupported"),
    36004: ("refused", "text_too_long"),
}


class SocialError(UpstreamError):
    """A network did not do what was asked, or nobody knows.

    Attributes:
        action: what to do next.
        post_code: stable code for people.
        is_spam_block: the answer that comes both with and without the post going online.
    """

    code = "social.failed"

    def __init__(
        self, detail: str, *, action: Action, post_code: PostCode, status: int = 0, is_spam_block: bool = False
    ) -> None:
        super().__init__(detail, status=status, code=f"social.{post_code}", retryable=action in {"again", "slow_down"})
        self.action: Action = action
        self.post_code: PostCode = post_code
        self.is_spam_block = is_spam_block


def read_problem(network: Network, operation: Operation, status: int, body: bytes) -> SocialError:
    """What an answer that is not a success means.

    Args:
        network: who answered.
        operation: what was asked; after a publish, what is not known to be a refusal counts as unknown.
        status: HTTP status.
        body: as it came.
    """
    title, error = TITLES[network], _error_of(body)
    code, subcode = _number(error.get("code")), _number(error.get("error_subcode"))
    action, post_code = _meaning(operation, status, code, subcode)
    said = _first_text(error, "error_user_msg", "message")
    mark = f"{code}/{subcode}" if subcode else str(code) if code is not None else f"HTTP {status}"
    trace = error.get("fbtrace_id")
    where = f", trace {trace[:60]}" if isinstance(trace, str) and trace.isascii() and trace.isprintable() else ""
    return SocialError(
        redact_text(f"{title} answered {mark}{where}" + (f": {said}" if said else "")),
        action=action,
        post_code=post_code,
        status=status,
        is_spam_block=subcode == _SPAM,
    )


def lost_answer(network: Network, operation: Operation, detail: str, *, reached: bool) -> SocialError:
    """A call without an answer.

    Args:
        network: who was asked.
        operation: what was asked.
        detail: what the connection said.
        reached: false when the request certainly never left.
    """
    action = _doubtful(operation) if reached else "again"
    post_code = _doubtful_code(operation) if reached else "upstream_unavailable"
    return SocialError(f"{TITLES[network]}: {detail}", action=action, post_code=post_code)


def _doubtful(operation: Operation) -> Action:
    # A container nobody knows of is invisible and expires; a post is not.
    return "unknown" if operation in {"publish", "delete"} else "again"


def _doubtful_code(operation: Operation) -> PostCode:
    return "publish_outcome_unknown" if operation == "publish" else "upstream_unavailable"


def _meaning(operation: Operation, status: int, code: int | None, subcode: int | None) -> tuple[Action, PostCode]:
    doubt = _doubtful(operation), _doubtful_code(operation)
    if operation == "publish" and status >= _SERVER_ERROR:
        return doubt
    if subcode == _SPAM:
        return ("unknown" if operation == "publish" else "refused"), "blocked_by_platform"
    if code is None:
        return ("slow_down", "rate_limited") if status == _TOO_MANY_REQUESTS else doubt
    if subcode == _UNREADABLE and code == 100:
        return ("unreadable", "container_not_found") if operation in {"read", "delete"} else doubt
    if subcode is not None and (known := _BY_SUBCODE.get(subcode)):
        # A download that timed out is a matter of creating; after a publish it proves nothing.
        return doubt if operation == "publish" and known[0] == "again" else known
    if status >= _SERVER_ERROR or code in _AMBIGUOUS:
        return doubt
    if code in _RATE_CODES:
        return "slow_down", "rate_limited"
    if code in _PERMISSION_CODES:
        return "refused", "permission_missing"
    if operation == "read" and code == 24:
        return "unreadable", "container_not_found"
    if known := _BY_CODE.get(code):
        return known
    # A code nobody has described is no proof that nothing was published.
    return doubt if operation == "publish" else ("refused", "media_rejected")


def _error_of(body: bytes) -> dict[str, Any]:
    return mapping((object_of(body) or {}).get("error"))


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _first_text(error: dict[str, Any], *names: str) -> str:
    texts = (error.get(name) for name in names)
    return next((" ".join(text.split())[:_MESSAGE_CHARS] for text in texts if isinstance(text, str) and text), "")

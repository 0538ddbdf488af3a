"""The table of methods: name → parameters, scope, handler."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from openclaw.protocol.errors import ProtocolError, invalid, problems
from openclaw.protocol.frames import RequestFrame, Wire
from openclaw.protocol.scopes import ADMIN, NODE_METHODS, allows

if TYPE_CHECKING:
    from openclaw.connection import Connection, Grant
    from openclaw.services import Services


class NoParams(Wire):
    """A method without parameters."""


@dataclass(slots=True)
class Call:
    """One request being answered.

    Attributes:
        after: run once the (first) answer is queued, such as closing the caller's own connection.
    """

    services: Services
    connection: Connection
    grant: Grant
    request: RequestFrame
    after: list[Callable[[], None]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Later:
    """A result that comes in two answers under one request id.

    Attributes:
        first: sent at once; its ``status`` is ``accepted``.
        final: awaited, then sent.
    """

    first: object
    final: Coroutine[Any, Any, object]


Handler = Callable[[Call, Any], object]
"""Gives the payload, or a coroutine of it: then it is waited for in a task, and may be a `Later`."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method.

    Attributes:
        scope: empty for methods that any connection may call.
        params: closed parameters, or None for methods that take anything.
        advertised: listed in ``hello-ok``.
    """

    name: str
    scope: str
    handler: Handler
    params: type[Wire] | None = NoParams
    advertised: bool = True


class MethodTable(Mapping[str, Method]):
    """Every method there is."""

    def __init__(self, methods: Iterable[Method]) -> None:
        self._methods: dict[str, Method] = {}
        for method in methods:
            if method.name in self._methods:
                raise ValueError(f"method {method.name} is defined twice")
            self._methods[method.name] = method

    def __getitem__(self, name: str) -> Method:
        return self._methods[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._methods)

    def __len__(self) -> int:
        return len(self._methods)

    @property
    def advertised(self) -> list[str]:
        """Names for ``features.methods``."""
        return [method.name for method in self._methods.values() if method.advertised]


def authorize(name: str, method: Method | None, grant: Grant) -> None:
    """Check role and scope before anything else.

    Methods that are not in the table need admin, so that a connection without it learns nothing about what exists.

    Raises:
        ProtocolError: the role or a scope is missing.
    """
    if (grant.role == "node") != (name in NODE_METHODS) and name != "health":
        raise invalid(f"unauthorized role: {grant.role}")
    needed = ADMIN if method is None else method.scope
    if not allows(grant.scopes, needed):
        raise invalid(f"missing scope: {needed}")


def read_params(method: Method, params: object) -> Any:  # noqa: ANN401 - the method's own model
    """Validate parameters.

    Raises:
        ProtocolError: with every problem.
    """
    given = {} if params is None else params
    if method.params is None:
        return given
    try:
        return method.params.model_validate(given)
    except ValidationError as error:
        raise invalid(f"invalid {method.name} params: {problems(error)}") from None


def unknown_method(name: str) -> ProtocolError:
    """The answer to a name nobody knows."""
    return invalid(f"unknown method: {name[:200]}")

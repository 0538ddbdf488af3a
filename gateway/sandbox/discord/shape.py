"""The first look at a value from the wire: is it of the kind it has to be?"""

from __future__ import annotations

from typing import Any

from gateway.sandbox.discord.errors import invalid_form
from gateway.sandbox.discord.models import Json


def object_at(path: str, value: object) -> Json:
    """An object, empty for none.

    Raises:
        ApiError: 50035.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid_form(path, "MODEL_TYPE_CONVERT", "Must be a dictionary.")
    return value


def list_at(path: str, value: object) -> list[Any]:
    """A list, empty for none.

    Raises:
        ApiError: 50035.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise invalid_form(path, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
    return value


def objects_at(path: str, value: object) -> list[Json]:
    """A list of objects, empty for none.

    Raises:
        ApiError: 50035.
    """
    return [object_at(f"{path}.{index}", item) for index, item in enumerate(list_at(path, value))]


def text_at(path: str, value: object) -> str:
    """A text, empty for none.

    Raises:
        ApiError: 50035.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise invalid_form(path, "STRING_TYPE_CONVERT", "Could not interpret value as string.")
    return value

"""What every section of ``openclaw.json`` has in common: names as the file spells them, and nothing unknown.

A field is *live* when this product acts on it. All others exist so that an original's file loads unchanged; `doctor`
names each one that is set.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema

SECRET: Final = {"sensitive": True}
"""Marks a field whose text is a secret: ``json_schema_extra=SECRET``."""

REDACTED: Final = "__OPENCLAW_REDACTED__"
"""Stands where a secret is, in everything that leaves the machine; a client sends it back to say "unchanged"."""


def attribute_docs(model: type[BaseModel]) -> dict[str, str]:
    """Sentences of a docstring's ``Attributes:`` section by field name."""
    _, _, section = (inspect.getdoc(model) or "").partition("Attributes:\n")
    result: dict[str, str] = {}
    for block in re.split(r"\n(?=\w+:)", textwrap.dedent(section)):
        name, _, sentence = block.strip().partition(":")
        if sentence:
            result[name] = " ".join(sentence.split())
    return result


class Section(BaseModel):
    """One object of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The docstring's sentences where a form shows them: one for the object, one for each documented field."""
        schema = handler.resolve_ref_schema(handler(core_schema))
        schema["description"] = (inspect.getdoc(cls) or "").split("\n\n", 1)[0].replace("\n", " ")
        docs = attribute_docs(cls)
        for name, field in cls.model_fields.items():
            if sentence := docs.get(name):
                schema["properties"][field.alias or name]["description"] = sentence.replace("`", "")
        return schema


def _text_id(value: Any) -> Any:  # noqa: ANN401 - not validated yet
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError("Discord IDs must be strings (wrap numeric IDs in quotes).")  # noqa: TRY004 - pydantic reports it
    return value


def refusing(values: dict[str, str]) -> BeforeValidator:
    """A validator that answers some values with words of their own."""

    def check(value: Any) -> Any:  # noqa: ANN401 - not validated yet
        if isinstance(value, str) and value in values:
            raise ValueError(values[value])
        return value

    return BeforeValidator(check)


DiscordId = Annotated[str, BeforeValidator(_text_id)]
"""An id of Discord, or a name that the original also takes; numbers would lose their last digits."""

Free = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "additionalProperties": True})]
"""A part of the original that this product does not have: any object, kept and named by doctor."""

SecretText = Annotated[str, Field(json_schema_extra=SECRET)]
"""A secret's text, or ``${NAME}`` of one that the gateway holds."""

Length = Annotated[str, Field(pattern=r"^\d+(\.\d+)?(ms|s|m|h|d)?$")]
"""A length of time such as ``30m``; a bare number counts minutes, as in the original."""

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]

"""The models we know, by ``provider/model``: wires, limits, other names. The data is ``policies/models.toml``.

A model that is not in the catalogue may still be asked (providers add models faster than we do): it is given its
provider's usual wire.
"""

from __future__ import annotations

import difflib
import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from shared.config.paths import Paths
from shared.config.strict import Strict
from shared.config.toml import load_policy
from shared.errors import Invalid

Wire = Literal["responses", "chat", "messages"]

CODEX: Final = "openai-codex"
COPILOT: Final = "github-copilot"
ANTHROPIC: Final = "anthropic"

GATEWAY_NAMES: Final[Mapping[str, str]] = {"codex": CODEX, "copilot": COPILOT, "claude": ANTHROPIC}
"""The gateway's short names of the same providers."""

_USUAL_WIRE: Final[Mapping[str, Wire]] = {CODEX: "responses", COPILOT: "chat", ANTHROPIC: "messages"}
_REF = r"^[a-z][a-z0-9-]{0,40}/[A-Za-z0-9._:-]{1,80}$"
_UNKNOWN_CONTEXT = 128_000


class ModelEntry(Strict):
    """One model's table in ``policies/models.toml``.

    Attributes:
        wires: what it can be asked with, the preferred one first.
        context: tokens it reads in one request.
        output: tokens it writes at most; 0 when not known.
        multiplier: GitHub premium requests that one request counts as.
        listed: shown in pickers.
    """

    wires: Annotated[tuple[Wire, ...], Field(min_length=1)]
    context: int = Field(default=_UNKNOWN_CONTEXT, gt=0)
    output: int = Field(default=0, ge=0)
    multiplier: float = Field(default=1.0, ge=0, le=1_000)
    reasoning: bool = False
    aliases: tuple[str, ...] = ()
    listed: bool = True


class CatalogFile(Strict):
    """``policies/models.toml``."""

    models: dict[Annotated[str, Field(pattern=_REF)], ModelEntry]

    @model_validator(mode="after")
    def _one_meaning_each(self) -> CatalogFile:
        owner: dict[str, str] = {}
        for ref, entry in self.models.items():
            for alias in entry.aliases:
                name = f"{provider_of(ref)}/{alias}"
                if name in self.models or owner.setdefault(name, ref) != ref:
                    raise ValueError(f"the alias {alias!r} of {ref} already means another model of that provider")
        return self


@dataclass(frozen=True, slots=True)
class Model:
    """A model as the rest of the program uses it; see `ModelEntry` for the fields both have.

    Attributes:
        ref: ``provider/model`` in the catalogue's own spelling.
        known: it is in the catalogue; otherwise its values are guesses.
    """

    ref: str
    wires: tuple[Wire, ...]
    context: int
    output: int
    multiplier: float
    reasoning: bool
    listed: bool
    known: bool

    @property
    def provider(self) -> str:
        """Who serves it."""
        return provider_of(self.ref)

    @property
    def id(self) -> str:
        """Its name at the provider."""
        return model_id(self.ref)


class Catalog:
    """Looks models up by any of their names."""

    def __init__(self, file: CatalogFile) -> None:
        self._models = {ref: _model(ref, entry) for ref, entry in file.models.items()}
        self._names = {
            f"{provider_of(ref)}/{alias}": ref for ref, entry in file.models.items() for alias in entry.aliases
        }

    def find(self, ref: str) -> Model:
        """The model of that name; one we do not know gets its provider's usual wire.

        Args:
            ref: ``provider/model``; the provider may be the gateway's short name, the model an alias.

        Raises:
            Invalid: it has no slash, or nobody here speaks to such a provider.
        """
        provider, model = _split(ref)
        name = f"{provider}/{model}"
        name = self._names.get(name, name)
        if found := self._models.get(name):
            return found
        wire = _USUAL_WIRE.get(provider)
        if wire is None:
            raise Invalid(
                f"the provider {provider!r} of {ref!r} is not known; there are {', '.join(sorted(_USUAL_WIRE))}",
                code="model.provider",
            )
        return Model(name, (wire,), _UNKNOWN_CONTEXT, 0, 1.0, reasoning=False, listed=False, known=False)

    def require(self, ref: str) -> Model:
        """As `find`, for a name a person typed: an unknown one is refused.

        Raises:
            Invalid: no such model; the detail names near ones.
        """
        found = self.find(ref)
        if found.known:
            return found
        same = [known.ref for known in self._models.values() if known.provider == found.provider]
        near = difflib.get_close_matches(found.ref, same, n=3, cutoff=0.5) or same[:5]
        hint = f"did you mean {', '.join(near)}?" if near else f"add it to policies/models.toml as [models.{ref!r}]"
        raise Invalid(f"there is no model {ref!r} in the catalogue; {hint}", code="model.unknown")

    def listed(self, provider: str = "") -> list[Model]:
        """Models for a picker, in the file's order; of one provider, or of all."""
        return [model for model in self.everything(provider) if model.listed]

    def everything(self, provider: str = "") -> list[Model]:
        """Every model, in the file's order; of one provider, or of all."""
        return [model for model in self._models.values() if provider in {"", model.provider}]


def provider_of(ref: str) -> str:
    """``provider/model`` without the model; the first slash splits."""
    return ref.partition("/")[0]


def model_id(ref: str) -> str:
    """``provider/model`` without the provider."""
    return ref.partition("/")[2]


def load_catalog(paths: Paths) -> Catalog:
    """The shipped catalogue with the operator's changes.

    Raises:
        ConfigError: each problem with file, line and key.
    """
    return Catalog(load_policy("models", CatalogFile, paths))


@functools.cache
def shipped_catalog() -> Catalog:
    """The catalogue as it came with the program."""
    text = (files("policies") / "models.toml").read_text(encoding="utf-8")
    return Catalog(CatalogFile.model_validate(tomllib.loads(text)))


def _split(ref: str) -> tuple[str, str]:
    provider, slash, model = ref.partition("/")
    if not slash or not model:
        raise Invalid(f"{ref!r} is not provider/model, such as {CODEX}/gpt-5.1", code="model.ref")
    return GATEWAY_NAMES.get(provider, provider), model


def _model(ref: str, entry: ModelEntry) -> Model:
    return Model(
        ref,
        entry.wires,
        entry.context,
        entry.output,
        entry.multiplier,
        reasoning=entry.reasoning,
        listed=entry.listed,
        known=True,
    )

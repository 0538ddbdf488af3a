"""What settings, policies and values on our own wires are made from."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A value that never changes once it was made, and takes no field that it does not know.

    Types are still converted as TOML and JSON need it: it has nothing to do with pydantic's own strict mode.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

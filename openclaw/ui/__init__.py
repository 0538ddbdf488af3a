"""The Control UI: a static page, served as it is. `static/README.md` says what its server owes it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

STATIC_ROOT: Final = Path(__file__).parent / "static"
"""Holds ``index.html`` and ``assets/``; nothing else in it is for browsers."""

"""A sandbox whose models cost nothing worth counting, for what asks more in an hour than a household does in a week."""

from __future__ import annotations

from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file


def lift_budgets(paths: Paths) -> None:
    """Raise the shipped budgets: at list prices a thousand questions spend an hour's, and the rest would wait."""
    plenty = {"unit": "usd", "limit": 1e6, "reset": {"every": "day"}}
    overlay_file(operator_file("budgets", paths), {"budgets": {"hour": plenty, "day": plenty}})

"""Budgets: what a model call costs, what it is paid from, and whether there is still room for it."""

"""The ``clawgate`` command."""

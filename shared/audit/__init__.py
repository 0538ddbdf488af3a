"""The security audit's engine: what a check is, how checks are run, and what their results are worth."""

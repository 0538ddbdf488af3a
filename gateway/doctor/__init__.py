"""``clawgate doctor``: whether a start of everything would work, and what is weaker than it should be."""

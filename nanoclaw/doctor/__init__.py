"""``nanoclaw doctor``: whether a start would work."""

"""``openclaw doctor``: whether a start would work, and what is wrong or without effect."""

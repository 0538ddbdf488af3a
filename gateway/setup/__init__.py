"""Setting an installation up: what there is to do, in its order, and doing it."""

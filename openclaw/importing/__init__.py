"""Taking over an original's state directory: read it, decide what becomes of each thing, do it, and report."""

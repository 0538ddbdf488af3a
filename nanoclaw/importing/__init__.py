"""Taking over an existing NanoClaw folder: read it, decide what becomes of each thing, do it, and report."""

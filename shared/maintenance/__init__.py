"""Jobs that keep an installation fit: rows of the process's own database, due by the owner's clock, caught up."""

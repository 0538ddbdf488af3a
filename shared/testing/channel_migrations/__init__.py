"""Schema history of a database that holds the channel tables only."""

"""A new version: tried on copies first, then put in the old one's place."""

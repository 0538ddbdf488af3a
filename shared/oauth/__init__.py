"""Signing in at providers: one value for every token, one protocol for every provider. Storage is the caller's."""

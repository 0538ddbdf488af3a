"""Backups: each process's copy scanned, encrypted, pushed to a git remote of its own, and shown to be restorable."""

"""Observability: one log pipeline, one redactor."""

"""Observability: one log pipeline, one redactor."""

import sys

# structlog loads rich when it finds it, for tracebacks we never print: 4 MB and 50 modules in each process.
sys.modules.setdefault("rich", None)  # type: ignore[arg-type] # how Python spells "not importable"

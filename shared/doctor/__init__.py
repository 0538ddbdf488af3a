"""Examinations whether a start would work: rows, and what every process looks at."""

"""Scheduled turns of the agent: jobs, their occurrences, and what becomes of the answers."""

"""Processes and tasks: who is started when, who is told, and what happens when one dies."""

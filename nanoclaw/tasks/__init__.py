"""Scheduled tasks: prompts that the schedule sends instead of a person, through the same inbox, lanes and runs."""

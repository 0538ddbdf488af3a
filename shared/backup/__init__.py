"""What a process hands over for its backup: a consistent copy of what belongs to it, and nothing secret by name."""

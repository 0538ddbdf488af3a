"""Configuration: where files lie, how they are read, and what a bad one is told."""

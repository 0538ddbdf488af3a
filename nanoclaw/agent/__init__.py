"""Driving Claude Code over a worker's stdin and stdout with the Agent SDK."""

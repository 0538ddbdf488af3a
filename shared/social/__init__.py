"""Threads and Instagram: what a post is, what may be in it, and the calls that publish it."""

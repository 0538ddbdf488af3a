"""The security audit of a whole installation, its score, its fixes, and the chain of security-relevant events."""

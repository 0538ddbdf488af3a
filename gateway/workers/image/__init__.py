"""The worker's image: a small Debian, and the Claude command line out of the SDK's wheel."""

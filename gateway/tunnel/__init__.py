"""The Cloudflare tunnel: its file written from policy, checked by rules of our own, and whether it is up (row G6)."""

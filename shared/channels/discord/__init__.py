"""Discord: the only importer of discord.py. Source of its peculiarities: measurements with discord.py 2.7.1."""

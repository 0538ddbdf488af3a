"""systemd units of an installation: rendered, compared with what is there, installed and taken away."""

"""The schema of ``openclaw.json``: one strict model for the boot path, the doctor, `config set` and the form."""

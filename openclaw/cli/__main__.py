"""``python -m openclaw.cli`` is the ``openclaw`` command."""

from openclaw.cli import main

if __name__ == "__main__":
    main()

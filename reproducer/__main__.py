"""The command `reproduce`, which is `python -m reproducer` as well."""

import sys


def main() -> None:
    """Import the command, which takes a moment, and run it; Ctrl-C meanwhile ends in one line."""
    try:
        from reproducer.app.cli import main as run
    except KeyboardInterrupt:
        print("interrupted: nothing was begun", file=sys.stderr)
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()

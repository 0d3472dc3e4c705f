"""`python -m reproducer` is the command `reproduce`."""

import sys

try:
    from reproducer.app.cli import main
except KeyboardInterrupt:  # imports take a moment, in which nothing is there to be stored
    print("interrupted: nothing was begun", file=sys.stderr)
    sys.exit(130)

main()

"""`python -m reproducer` is the command `reproduce`."""

from reproducer.app.cli import main

main()

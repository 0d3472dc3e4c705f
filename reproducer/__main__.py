"""`python -m reproducer` is the command `reproduce`."""

from reproducer.cli import main

main()

"""The command in this process, as a shell would see it."""

from __future__ import annotations

import contextlib
import io
import sys

import pytest

from reproducer.app import cli


def called(words, typed=b""):
    """Status, standard output and standard error of a command."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["reproduce", *words])
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed)))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                cli.main()
            except SystemExit as stop:
                return stop.code or 0, out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()

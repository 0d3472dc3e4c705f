"""Tables and JSON on standard output."""

from __future__ import annotations

import json
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

console = Console(highlight=False, markup=False)


def print_json(data: Any) -> None:
    """Print JSON data; what JSON has no number for is null."""
    from reproducer.results.integrity import finite_or_none

    typer.echo(json.dumps(finite_or_none(data), indent=1, allow_nan=False))


def print_table(header: list[str], rows: list[list[Any]]) -> None:
    grid = Table(*header)
    for row in rows:
        grid.add_row(*map(str, row))
    console.print(grid)

"""Make, unite and check what is shipped: `pack`, `merge`, `verify`, `warm-start`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from reproducer.app.commands.options import AsJson, Names, Profile, params_of
from reproducer.app.commands.printing import console, print_json, print_table
from reproducer.experiments import SHIPPED


def pack(experiments: Names = None, profile: Profile = SHIPPED) -> None:
    """Pack the known results of experiments, and their ledger, into data/results/."""
    from reproducer.app.shipping import ship

    # All is written before anything is told: whoever reads along may stop reading.
    for line in list(ship(params_of(experiments, profile), profile, named=bool(experiments))):
        console.print(line)


def merge(
    stores: Annotated[list[Path], typer.Argument(metavar="STORE...", help="Folders of stores.")],
) -> None:
    """Copy the results of other stores into the one in use."""
    from reproducer.results.merge import merge as unite
    from reproducer.results.store import Store

    counts = unite(stores, Store())
    console.print(", ".join(f"{number} {what}" for what, number in counts.items()))


def verify(
    sample: Annotated[int | None, typer.Option(help="Check this many, drawn at random.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compute the accuracies of shipped fits again, with the library's model in float32.

    Ends with status 1 if a token differs by more than rounding can explain.
    """
    from reproducer.app.verify import verify as checks

    rows = [asdict(check) for check in checks(sample)]
    differing = [row for row in rows if row["differ"]]
    if as_json:
        print_json(rows)
    else:
        if differing:
            print_table(list(differing[0]), [list(row.values()) for row in differing])
        totals = {name: sum(row[name] for row in rows) for name in ("n_tokens", "ties", "differ")}
        console.print(
            f"{len(rows)} fits, {totals['n_tokens']} tokens: {totals['differ']} differ, "
            f"{totals['ties']} ties"
        )
    if differing:
        raise typer.Exit(1)


def warm_start(model: Annotated[str, typer.Argument(help="Which frozen model.")]) -> None:
    """Fit the warm start of `m` that the recipe `fast` needs on a model."""
    from reproducer.app.warm_start import make_warm_start

    console.print(f"wrote {make_warm_start(model)}", soft_wrap=True)

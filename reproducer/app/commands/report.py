"""Show what is stored and what follows from it: `status`, `claims`, `diff`, `confirm`."""

from __future__ import annotations

from typing import Annotated

import typer

from reproducer.app.commands.options import AsJson, Profile
from reproducer.app.commands.printing import console, print_json, print_table
from reproducer.errors import ReproducerError
from reproducer.experiments import SHIPPED


def status(profile: Profile = SHIPPED, as_json: AsJson = False) -> None:
    """Show how many specs of each experiment are known and how many are missing.

    Of an experiment that is marked open, more will follow from what is missing.
    """
    from reproducer.app.status import experiment_status

    rows = experiment_status(profile)
    if as_json:
        print_json(rows)
        return
    header = ["experiment", "profile", "specs", "stored", "missing", ""]
    print_table(
        header,
        [
            [r["experiment"], r["profile"], r["specs"], r["stored"], len(r["missing"])]
            + ["open" if r["open"] else ""]
            for r in rows
        ],
    )


def claims(
    profile: Profile = SHIPPED,
    wide: Annotated[bool, typer.Option("--wide", help="Show all that is known of each.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the ledger of claims that the stored results allow."""
    from reproducer.app import claims_table
    from reproducer.experiments.ledger import ledger

    if wide + as_csv + as_json > 1:
        raise ReproducerError("expected one of --wide, --csv and --json, got several")
    verdicts = ledger(profile)
    if as_json:
        print_json([v.model_dump() for v in verdicts])
    elif as_csv:
        typer.echo(claims_table.as_csv(verdicts), nl=False)
    else:
        layout = claims_table.full if wide else claims_table.compact
        for line in layout(verdicts, console.width):
            console.print(line, soft_wrap=True)


def diff(
    before: Annotated[str, typer.Argument(help="A ledger's file, a store's folder, or a commit.")],
    after: Annotated[str, typer.Argument(help="Another.")],
    profile: Profile = SHIPPED,
    as_json: AsJson = False,
) -> None:
    """Show which verdicts changed between two ledgers, and why.

    A ledger is what `claims --json` printed, a shipped file, what follows from a store together
    with the shipped results, or what a commit ships. Ends with status 1 if anything changed.
    """
    from reproducer.app.diff import as_json as data
    from reproducer.app.diff import diff as compare
    from reproducer.app.diff import told
    from reproducer.app.ledgers import ledger_at

    old, new = (ledger_at(place, profile) for place in (before, after))
    changes = compare(old, new)
    if as_json:
        print_json(data(changes))
    else:
        for line in told(changes, len(old | new)):
            console.print(line, soft_wrap=True)
    if changes:
        raise typer.Exit(1)


def confirm(
    place: Annotated[str, typer.Argument(help="A ledger's file, a store's folder, or a commit.")],
    as_json: AsJson = False,
) -> None:
    """Compare a recomputed ledger with what is expected on other hardware: OK, WARN or FAIL.

    A store counts with what it holds itself, without the shipped results. Ends with status 1 if a
    claim fails.
    """
    from reproducer.app.expected import confirm as compare
    from reproducer.app.expected import read_expected, told
    from reproducer.app.ledgers import ledger_at

    expected = read_expected()
    rows = compare(ledger_at(place, expected["profile"], alone=True), expected)
    if as_json:
        print_json([row._asdict() for row in rows])
    else:
        for line in told(rows):
            console.print(line, soft_wrap=True)
    if any(row.mark == "FAIL" for row in rows):
        raise typer.Exit(1)

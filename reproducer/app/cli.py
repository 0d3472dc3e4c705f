"""The command `reproduce`.

Bad input ends with one line on standard error and exit status 2, before long work.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.table import Table

from reproducer.errors import ReproducerError
from reproducer.experiments.profiles import SHIPPED

app = typer.Typer(
    help="Fit proto-tokens, run the experiments of two papers, build the book.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console(highlight=False, markup=False)

Profile = Annotated[str, typer.Option("--profile", help="The name of a file in profiles/.")]
Names = Annotated[list[str] | None, typer.Argument(metavar="[EXPERIMENT]...")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def run(
    experiments: Names = None,
    profile: Profile = SHIPPED,
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", help="NAME=VALUE, overrides the profile.")
    ] = None,
) -> None:
    """Compute the results of experiments (all, if none is named) into the store."""
    from reproducer.experiments import EXPERIMENTS, experiment
    from reproducer.experiments.profiles import load_params

    overrides = _overrides(param or [])
    names = experiments or list(EXPERIMENTS)
    # All names and parameters are checked before the first fit.
    chosen = {name: load_params(name, profile, **overrides) for name in names}
    for name, params in chosen.items():
        frame = experiment(name).collect(params)
        console.print(f"{name}: {len(frame)} rows")


@app.command()
def book(experiments: Names = None, profile: Profile = SHIPPED) -> None:
    """Execute the notebooks under a profile and build the book."""
    from reproducer.app.book import build_book

    console.print(f"The book is at {build_book(profile, experiments)}", soft_wrap=True)


@app.command()
def status(profile: Profile = SHIPPED, as_json: AsJson = False) -> None:
    """Show how many specs of each experiment the store holds and how many are missing."""
    from reproducer.app.status import experiment_status

    rows = experiment_status(profile)
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    _print_table(
        ["experiment", "profile", "specs", "stored", "missing"],
        [[r["experiment"], r["profile"], r["specs"], r["stored"], len(r["missing"])] for r in rows],
    )


@app.command()
def claims(profile: Profile = SHIPPED, as_json: AsJson = False) -> None:
    """Print the ledger of claims that the stored results allow."""
    from reproducer.experiments.verdicts import ledger

    verdicts = ledger(profile)
    if as_json:
        typer.echo(json.dumps([v.model_dump() for v in verdicts], indent=1))
        return
    _print_table(
        ["id", "claim", "published", "ours", "interval", "n", "verdict"],
        [
            [v.id, v.claim, v.published, _number(v.ours), f"{_number(v.low)} … {_number(v.high)}"]
            + [v.n, v.verdict]
            for v in verdicts
        ],
    )


@app.command()
def pack(experiments: Names = None, profile: Profile = SHIPPED) -> None:
    """Pack the stored results of experiments into data/results/, to be shipped."""
    from reproducer.experiments import EXPERIMENTS, experiment
    from reproducer.experiments.profiles import load_params
    from reproducer.results.packs import pack as write_pack
    from reproducer.results.run import stored

    for name in experiments or EXPERIMENTS:
        found = stored(experiment(name).specs(load_params(name, profile)))
        if found or experiments:
            # Packs of other profiles stand beside those of the shipped one.
            label = name if profile == SHIPPED else f"{name}-{profile}"
            console.print(f"{name}: {len(found)} results in {write_pack(found, label)}")


@app.command("warm-start")
def warm_start(model: Annotated[str, typer.Argument(help="Which frozen model.")]) -> None:
    """Fit the warm start of `m` that the recipe `fast` needs on a model."""
    from reproducer.results.warm_starts import make_warm_start

    console.print(f"wrote {make_warm_start(model)}", soft_wrap=True)


@app.command()
def text(
    file: Annotated[str, typer.Argument(help="A text file, or - for standard input.")],
    tokens: Annotated[int, typer.Option(help="Fit this many leading tokens.")] = 8,
    model: Annotated[str, typer.Option(help="Which frozen model.")] = "smollm2-135m",
    arrangement: Annotated[str | None, typer.Option(help="Default: the model's own.")] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Default: fast if it can be, else paper.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Optimizer steps at most.")] = 1000,
    seeds: Annotated[int, typer.Option(help="Starts tried side by side.")] = 4,
    as_json: AsJson = False,
) -> None:
    """Fit one text of yours and show which tokens came back."""
    from reproducer.app.fit_text import fit_text, marked

    fitted = fit_text(
        _read(file),
        n_tokens=tokens,
        model=model,
        arrangement=arrangement,
        recipe_name=recipe,
        max_steps=steps,
        n_seeds=seeds,
        progress=not as_json,
    )
    if as_json:
        typer.echo(json.dumps(fitted.summary()))
    else:
        console.print(marked(fitted))


@app.command()
def bench(
    model: Annotated[str, typer.Option(help="Which frozen model.")] = "smollm2-135m",
    tokens: Annotated[str, typer.Option(help="Lengths, comma-separated.")] = "8,16,64,256",
    repeats: Annotated[int, typer.Option(help="Alternating repeats.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Time the solver against the obvious loop, alternately in one run."""
    from reproducer.app.bench import bench as run_bench
    from reproducer.models.language_model import load_lm

    found = run_bench(load_lm(model), _lengths(tokens), repeats)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    console.print(
        f"{found['model']}, {found['dtype']} on {found['device']}; measured peak "
        f"{found['peak_flops'] / 1e12:.2f} TFLOP/s"
    )
    header = ["N", "texts", "obvious /s", "solver /s", "ratio (range)", "of peak", "memory of both"]
    _print_table(header, [_bench_row(row) for row in found["rows"]])


def _lengths(tokens: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in tokens.split(","))
    except ValueError as error:
        raise ReproducerError(f"expected lengths such as 8,16, got {tokens!r}") from error


def _bench_row(row: dict[str, Any]) -> list[str]:
    memory = [row[f"{who}_peak_bytes"] for who in ("obvious", "solver")]
    shown = ["not measured" if b is None else f"{b / 2**20:.0f} MiB" for b in memory]
    return [
        str(row["n_tokens"]),
        str(row["n_texts"]),
        f"{row['obvious_text_steps_per_s']:.2f}",
        f"{row['solver_text_steps_per_s']:.1f}",
        f"{row['ratio']:.2f}× ({row['ratio_low']:.2f} … {row['ratio_high']:.2f})",
        f"{row['peak_share']:.0%}",
        " / ".join(shown),
    ]


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReproducerError(f"cannot read {file!r}: {error}") from error


def _overrides(pairs: list[str]) -> dict[str, Any]:
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ReproducerError(f"expected NAME=VALUE after -p, got {pair!r}")
        found[name] = yaml.safe_load(value)
    return found


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _print_table(header: list[str], rows: list[list[Any]]) -> None:
    grid = Table(*header)
    for row in rows:
        grid.add_row(*map(str, row))
    console.print(grid)


def main() -> None:
    """Entry point: runs the command, turns expected errors into one line and status 2."""
    logging.basicConfig(format="%(levelname)s: %(message)s")
    try:
        app()
    except ReproducerError as error:
        message = " ".join(str(error).split())
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted; what is finished is stored, the same command resumes", file=sys.stderr)
        sys.exit(130)

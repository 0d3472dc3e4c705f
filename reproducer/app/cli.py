"""The command `reproduce`.

Bad input ends with one line on standard error and exit status 2, before long work.
"""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import sys
import time
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from reproducer.errors import ReproducerError, require_name, shown
from reproducer.experiments import SHIPPED
from reproducer.interrupts import Stopped, stop_on_signals

if TYPE_CHECKING:
    from reproducer.experiments.profiles import ExperimentParams

app = typer.Typer(
    help="Fit proto-tokens, run the experiments of two papers, build the book.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console(highlight=False, markup=False)
MOST_BYTES = 8 << 20  # of a text

Profile = Annotated[str, typer.Option("--profile", help="A name in profiles/, or a YAML file.")]
Names = Annotated[list[str] | None, typer.Argument(metavar="[EXPERIMENT]...")]
Overrides = Annotated[
    list[str] | None, typer.Option("--param", "-p", help="NAME=VALUE, overrides the profile.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def run(
    experiments: Names = None,
    profile: Profile = SHIPPED,
    param: Overrides = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan of what would be computed, and end.")
    ] = False,
    shard: Annotated[
        str | None, typer.Option(help="i/k: only part i of k, into a store of its own.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(help="Divide the work among so many jobs, one a GPU.")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Where jobs run: local (the default) or slurm.")
    ] = None,
    sbatch: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE, an option of sbatch by its long name.")
    ] = None,
) -> None:
    """Compute the results of experiments (all, if none is named) into the store."""
    if dry_run:
        plan(experiments, profile, param)
        return
    from tqdm import tqdm

    from reproducer.experiments.study import study, wanted
    from reproducer.results.known import Known
    from reproducer.results.progress import Progress

    chosen = _params(experiments, profile, _pairs(param or [], "-p"))
    if shard is not None and jobs is not None:
        raise ReproducerError("expected --shard or --jobs, got both")
    if jobs is None and (cluster or sbatch):
        raise ReproducerError("expected --jobs with --cluster or --sbatch, got none")
    if shard is not None:
        _run_shard(chosen, shard)
        return
    if jobs is not None:
        _run_jobs(chosen, jobs, cluster or "local", sbatch or [])
    known, line = Known(), Progress()
    # Everything is planned before the first fit, since plans fail on unknown models and texts.
    for params in chosen.values():
        line.expect(wanted(params, known), known)
    with closing(line):
        for name, params in chosen.items():
            tqdm.write(f"{name}: {len(study(params, progress=line))} rows")


def _run_shard(chosen: dict[str, ExperimentParams], shard: str) -> None:
    from reproducer.app.jobs import run_shard
    from reproducer.results.shards import Shard

    folder = run_shard(chosen, Shard.parse(shard))
    console.print(f"shard {shard} is in {folder}; `reproduce merge` unites shards", soft_wrap=True)


def _run_jobs(
    chosen: dict[str, ExperimentParams], jobs: int, cluster: str, sbatch: list[str]
) -> None:
    """Run jobs until nothing is missing; names lost shards and ends with status 1 if there are."""
    from reproducer.app.jobs import run_jobs

    if lost := run_jobs(chosen, jobs, cluster, _pairs(sbatch, "--sbatch")):
        console.print("\n".join(lost), soft_wrap=True)
        console.print("what they finished is stored; the same command goes on from there")
        raise typer.Exit(1)


@app.command()
def plan(
    experiments: Names = None,
    profile: Profile = SHIPPED,
    param: Overrides = None,
    peak: Annotated[
        float | None, typer.Option(help="TFLOP/s: hours follow from it, not from a calibration.")
    ] = None,
    share: Annotated[float, typer.Option(help="What a run reaches of the peak.")] = 0.35,
    memory: Annotated[float, typer.Option(help="Memory of that GPU, GB.")] = 80,
    as_json: AsJson = False,
) -> None:
    """Tell what a run would cost (fits, steps, hours, memory) and what its claims could show.

    Times the solver here for half a minute. Models of the hub that are not here, and all with
    --peak, are told in hours of a GPU, an H100 by default.
    """
    from reproducer.app.detectable import detectable
    from reproducer.app.plan import Gpu
    from reproducer.app.plan import plan as plan_of
    from reproducer.app.plan_table import HEADER, detectable_rows, plan_notes, plan_rows
    from reproducer.results.known import Known

    chosen = _params(experiments, profile, _pairs(param or [], "-p"))
    gpu = Gpu(share=share, memory_bytes=memory * 1e9)
    if peak is not None:
        gpu = replace(gpu, name="a GPU", peak_flops=peak * 1e12)
    rows, unplanned = plan_of(chosen, gpu, by_peak=peak is not None)
    possible = [params for name, params in chosen.items() if name not in unplanned]
    claims = [claim for params in possible for claim in detectable(params, Known())]
    if as_json:
        facts = {"rows": [row.data() for row in rows], "not_planned": unplanned}
        typer.echo(json.dumps(facts | {"claims": [asdict(c) for c in claims]}, indent=1))
        return
    _print_table(list(HEADER), plan_rows(rows))
    console.print("\n".join(plan_notes(rows, unplanned)))
    _print_table(["claim", "planned n", "smallest effect", "criterion"], detectable_rows(claims))


@app.command()
def book(experiments: Names = None, profile: Profile = SHIPPED) -> None:
    """Execute the notebooks under a profile and build the book."""
    from reproducer.app.book import build_book

    console.print(f"The book is at {build_book(profile, experiments)}", soft_wrap=True)


@app.command()
def status(profile: Profile = SHIPPED, as_json: AsJson = False) -> None:
    """Show how many specs of each experiment are known and how many are missing.

    Of an experiment that is marked open, more will follow from what is missing.
    """
    from reproducer.app.status import experiment_status

    rows = experiment_status(profile)
    if as_json:
        _print_json(rows)
        return
    header = ["experiment", "profile", "specs", "stored", "missing", ""]
    _print_table(
        header,
        [
            [r["experiment"], r["profile"], r["specs"], r["stored"], len(r["missing"])]
            + ["open" if r["open"] else ""]
            for r in rows
        ],
    )


@app.command()
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
        _print_json([v.model_dump() for v in verdicts])
    elif as_csv:
        typer.echo(claims_table.as_csv(verdicts), nl=False)
    else:
        layout = claims_table.full if wide else claims_table.compact
        for line in layout(verdicts, console.width):
            console.print(line, soft_wrap=True)


@app.command()
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
        _print_json(data(changes))
    else:
        for line in told(changes, len(old | new)):
            console.print(line, soft_wrap=True)
    if changes:
        raise typer.Exit(1)


@app.command()
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
        _print_json([row._asdict() for row in rows])
    else:
        for line in told(rows):
            console.print(line, soft_wrap=True)
    if any(row.mark == "FAIL" for row in rows):
        raise typer.Exit(1)


@app.command()
def pack(experiments: Names = None, profile: Profile = SHIPPED) -> None:
    """Pack the known results of experiments, and their ledger, into data/results/."""
    from reproducer.experiments.ledger import ship
    from reproducer.experiments.profiles import profile_name
    from reproducer.experiments.study import wanted
    from reproducer.results.known import Known
    from reproducer.results.packs import pack as write_pack
    from reproducer.results.specs import with_needs

    for name, params in _params(experiments, profile).items():
        known = Known()
        specs = [known.settled(spec) for spec in wanted(params, known)]
        results = known.all(with_needs(specs))
        if results or experiments:
            # Packs of other profiles stand beside those of the shipped one.
            label = name if profile == SHIPPED else f"{name}-{profile_name(profile)}"
            console.print(f"{name}: {len(results)} results in {write_pack(results, label)}")
    try:
        shipped = ship(profile)
    except OSError as error:
        raise ReproducerError(f"cannot write the ledger: {error}") from error
    console.print(f"ledger: {shipped}")
    if profile == SHIPPED:
        from reproducer.app.expected import write_expected
        from reproducer.app.playground import ship_playground
        from reproducer.app.reconstructions import ship_reconstructions

        console.print(f"expected on other hardware: {write_expected(shipped, profile)}")
        console.print(f"reconstructions: {ship_reconstructions(profile)}")
        console.print(f"playground: {ship_playground()}")


@app.command()
def merge(
    stores: Annotated[list[Path], typer.Argument(metavar="STORE...", help="Folders of stores.")],
) -> None:
    """Copy the results of other stores into the one in use."""
    from reproducer.results.merge import merge as unite
    from reproducer.results.store import Store

    counts = unite(stores, Store())
    console.print(", ".join(f"{number} {what}" for what, number in counts.items()))


@app.command()
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
        _print_json(rows)
    else:
        if differing:
            _print_table(list(differing[0]), [list(row.values()) for row in differing])
        totals = {name: sum(row[name] for row in rows) for name in ("n_tokens", "ties", "differ")}
        console.print(
            f"{len(rows)} fits, {totals['n_tokens']} tokens: {totals['differ']} differ, "
            f"{totals['ties']} ties"
        )
    if differing:
        raise typer.Exit(1)


@app.command("warm-start")
def warm_start(model: Annotated[str, typer.Argument(help="Which frozen model.")]) -> None:
    """Fit the warm start of `m` that the recipe `fast` needs on a model."""
    from reproducer.app.warm_start import make_warm_start

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
    began = time.perf_counter()
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
    seconds = time.perf_counter() - began
    if as_json:
        _print_json(fitted.summary() | {"command_seconds": round(seconds, 4)})
    else:
        console.print(marked(fitted, seconds), soft_wrap=True)


@app.command()
def bench(
    model: Annotated[str, typer.Option(help="Which frozen model.")] = "smollm2-135m",
    tokens: Annotated[str, typer.Option(help="Lengths, comma-separated.")] = "8,16,64,256",
    repeats: Annotated[int, typer.Option(help="Alternating repeats.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Time the solver against the obvious loop, alternately in one run."""
    from reproducer.app.bench import bench as run_bench
    from reproducer.app.bench import lengths_of, table_rows
    from reproducer.models.language_model import load_lm

    lengths = lengths_of(tokens, model, repeats)
    timed = run_bench(load_lm(model), lengths, repeats)
    if as_json:
        _print_json(timed)
        return
    console.print(
        f"{timed['model']}, {timed['dtype']} on {timed['device']}; measured peak "
        f"{timed['peak_flops'] / 1e12:.2f} TFLOP/s"
    )
    header = ["N", "texts", "obvious /s", "solver /s", "ratio (range)", "of peak", "memory of both"]
    _print_table(header, table_rows(timed))


def _read(file: str) -> str:
    """The text in a file, or on standard input for `-`; a byte order mark is no part of it."""
    try:
        with contextlib.ExitStack() as opened:
            source = sys.stdin.buffer if file == "-" else opened.enter_context(open(file, "rb"))
            content = source.read(MOST_BYTES + 1)
        text = content.decode("utf-8-sig")
    except (OSError, ValueError, AttributeError) as error:  # a closed standard input is None
        reason = getattr(error, "strerror", None) or error
        raise ReproducerError(f"cannot read {shown(file)}: {reason}") from error
    if len(content) > MOST_BYTES:
        raise ReproducerError(f"expected a text of at most {MOST_BYTES >> 20} MiB in {file!r}")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _print_json(data: Any) -> None:
    """Print JSON data; what JSON has no number for is null."""
    from reproducer.results.integrity import finite_or_none

    typer.echo(json.dumps(finite_or_none(data), indent=1, allow_nan=False))


def _params(
    experiments: list[str] | None, profile: str, overrides: dict[str, str] | None = None
) -> dict[str, ExperimentParams]:
    """The parameters of experiments (all, if none is named) by name; raises on unknown names."""
    from reproducer.experiments import EXPERIMENTS
    from reproducer.experiments.profiles import load_params

    names = experiments or EXPERIMENTS
    for name in names:
        require_name("experiment", name, EXPERIMENTS)
    return {name: load_params(name, profile, **overrides or {}) for name in names}


def _pairs(pairs: list[str], option: str) -> dict[str, str]:
    values = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ReproducerError(f"expected NAME=VALUE after {option}, got {shown(pair)}")
        values[name] = value
    return values


def _print_table(header: list[str], rows: list[list[Any]]) -> None:
    grid = Table(*header)
    for row in rows:
        grid.add_row(*map(str, row))
    console.print(grid)


def _told(stop: Stopped) -> str:
    """What is said of a command that a signal ended: what is stored, and how to go on."""
    from reproducer.results.store import Store

    store = Store()
    word = "interrupted" if stop.code == 128 + signal.SIGINT else "terminated"
    try:
        stored = f"{len(store)} results are stored in {store.path}"
    except ReproducerError:
        stored = "what is finished is stored"
    return f"{word}: {stored}; the same command goes on from there"


def main() -> None:
    """Entry point: runs the command, turns expected errors into one line and status 2.

    A command that a signal ends says what is stored; its status is 130 after Ctrl-C, 143 after
    SIGTERM.
    """
    logging.basicConfig(format="%(levelname)s: %(message)s")
    stop_on_signals()
    try:
        app()
    except ReproducerError as error:
        message = " ".join(str(error).split())
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)
    except MemoryError:
        print("error: out of memory; what is finished is stored", file=sys.stderr)
        sys.exit(2)
    except Stopped as stop:
        print(_told(stop), file=sys.stderr)
        sys.exit(stop.code)

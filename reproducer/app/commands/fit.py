"""Fit here and now: a text of the user's, `text`, or for the clock, `bench`."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reproducer.app.commands.options import AsJson
from reproducer.app.commands.printing import console, print_json, print_table
from reproducer.errors import ReproducerError, shown

if TYPE_CHECKING:
    from rich.text import Text as RichText

MOST_BYTES = 8 << 20  # of a text


def text(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="A text file, or - for standard input.")],
    tokens: Annotated[int, typer.Option(help="Fit this many leading tokens.")] = 8,
    model: Annotated[str, typer.Option(help="Which frozen model.")] = "smollm2-135m",
    arrangement: Annotated[str | None, typer.Option(help="Default: the model's own.")] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Default: fast if it can be, else paper.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Optimizer steps at most.")] = 1000,
    seeds: Annotated[int, typer.Option(help="Starts tried side by side.")] = 4,
    encode: Annotated[
        bool, typer.Option(help="Do not fit: take the vectors of the stored encoder.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fit one text of yours, or encode it, and show which tokens came back."""
    began = time.perf_counter()
    if encode:
        _require_nothing_of_fits(context)
        _encode(file, tokens, model, as_json, began)
        return
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
    _tell(fitted, marked, as_json, began)


def _require_nothing_of_fits(context: typer.Context) -> None:
    for name in ("arrangement", "recipe", "steps", "seeds"):
        if context.get_parameter_source(name).name != "DEFAULT":
            value = shown(context.params[name])
            raise ReproducerError(f"expected no --{name} beside --encode, got {value}")


def _encode(file: str, tokens: int, model: str, as_json: bool, began: float) -> None:
    from reproducer.app.encode_text import encode_text, marked

    encoded = encode_text(_read(file), n_tokens=tokens, model=model)
    _tell(encoded, marked, as_json, began)


def _tell(done: Any, marked: Callable[[Any, float], RichText], as_json: bool, began: float) -> None:
    """Print what came back, as JSON or marked, and how long the command has taken."""
    seconds = time.perf_counter() - began
    if as_json:
        print_json(done.summary() | {"command_seconds": round(seconds, 4)})
    else:
        console.print(marked(done, seconds), soft_wrap=True)


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
        print_json(timed)
        return
    console.print(
        f"{timed['model']}, {timed['dtype']} on {timed['device']}; measured peak "
        f"{timed['peak_flops'] / 1e12:.2f} TFLOP/s"
    )
    header = ["N", "texts", "obvious /s", "solver /s", "ratio (range)", "of peak", "memory of both"]
    print_table(header, table_rows(timed))


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

"""What the playground notebook calls: a text and a pattern of one's own, fitted, shown and kept."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import yaml
from IPython.display import HTML
from safetensors import safe_open
from safetensors.numpy import save as as_bytes

from reproducer.app.fit_text import default_recipe, reconstruct
from reproducer.app.tokens import pieces, tokens_html
from reproducer.errors import ReproducerError
from reproducer.experiments import plots
from reproducer.experiments.profiles import load_params
from reproducer.files import replace_bytes
from reproducer.models.card import model_card
from reproducer.paths import ROOT, store_dir
from reproducer.readings.attention import AttentionSpec
from reproducer.results.fits import FitSpec
from reproducer.results.packs import pack
from reproducer.results.run import cached_lm, compute
from reproducer.results.specs import Result
from reproducer.solver.arrangements import ARRANGEMENTS, Arrangement
from reproducer.solver.recipes import recipe
from reproducer.texts.sources import Text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def own_arrangement(pattern: str, offset: int) -> str:
    """The name of the arrangement that a pattern like ``em*`` makes; the starred letter repeats.

    The name says the whole pattern, since results are found by it; a pattern that an arrangement
    of the book has is that arrangement.

    Raises:
        ReproducerError: letters other than `e` and `m`, no star or several, a negative offset.
    """
    if not re.fullmatch(r"[em]*[em]\*[em]*", pattern) or offset < 0:
        raise ReproducerError(
            f"expected letters e and m, one of them starred, as 'em*', and an offset of 0 or more; "
            f"got {pattern!r} and {offset}"
        )
    name = f"{pattern} offset {offset}"
    before, after = pattern.split("*")

    def roles(n_tokens: int) -> str:
        n_inputs = n_tokens + offset
        stars = n_inputs - len(before) - len(after) + 1
        if stars < 0:
            raise ReproducerError(f"pattern {pattern!r}: {n_inputs} inputs are too few")
        return before[:-1] + before[-1] * stars + after

    lengths = range(len(pattern), len(pattern) + 8)  # enough to tell patterns apart
    for known in ARRANGEMENTS.values():
        if known.offset == offset and all(known.roles(n) == roles(n) for n in lengths):
            return known.name
    ARRANGEMENTS[name] = Arrangement(name, roles, offset)
    return name


def fit_own(
    text: str, n_tokens: int, pattern: str, offset: int, *, max_steps: int, profile: str
) -> Result:
    """Fit the first `n_tokens` tokens of `text` on the profile's model, by the fast recipe.

    Raises:
        ReproducerError: a text that is shorter, or an impossible pattern.
    """
    model = load_params("arrangements", profile).model
    tokens = model_card(model).tokenizer.encode(text)
    if len(tokens) < n_tokens:
        raise ReproducerError(f"expected a text of {n_tokens} or more tokens, got {len(tokens)}")
    spec = FitSpec(
        model=model,
        arrangement=own_arrangement(pattern, offset),
        texts=(Text(source="own", id="own", tokens=tokens[:n_tokens]),),
        seed=0,
        recipe=recipe(default_recipe(model), max_steps=max_steps),
        trace=True,
    )
    return compute([spec])[0]


def ship_playground() -> Path:
    """Pack what the notebook computes as it stands, so that the shipped book computes nothing."""
    from papermill import inspect_notebook

    listed = inspect_notebook(str(ROOT / "notebooks" / "playground.ipynb"))
    asked = {name: yaml.safe_load(facts["default"]) for name, facts in listed.items()}
    fit = fit_own(**asked)
    return pack([fit, *compute([_attention(fit)])], "playground")


def tokens(fit: Result) -> HTML:
    """What the vectors of `fit` give back in one pass, computed now, wrong tokens marked."""
    wanted = fit.spec["texts"][0]["tokens"]
    came = reconstruct(cached_lm(fit.spec["model"]), fit)
    return HTML(tokens_html(pieces(model_card(fit.spec["model"]).tokenizer, wanted, came)))


def accuracy_figure(fit: Result) -> Figure:
    """Accuracy at every step of the fit."""
    drawn, axis = plots.figure()
    axis.plot(np.arange(len(trace := fit.arrays["trace_accuracy"].ravel())), trace)
    axis.set(xlabel="step", ylabel="accuracy", ylim=(-0.03, 1.05))
    return drawn


def attention_figure(fit: Result) -> Figure:
    """Attention to `e` by layer and input position, mean over heads."""
    (reading,) = compute([_attention(fit)])
    drawn, axis = plots.figure()
    shares = reading.arrays["to_e"].mean(axis=1)
    image = axis.imshow(shares, aspect="auto", vmin=0, vmax=1, cmap="viridis", origin="lower")
    axis.set(xlabel="position of the input", ylabel="layer")
    axis.grid(False)
    drawn.colorbar(image, ax=axis, label="share of attention to e")
    return drawn


def _attention(fit: Result) -> AttentionSpec:
    return AttentionSpec(model=fit.spec["model"], fit=FitSpec(**fit.spec))


def save(fit: Result, name: str) -> Path:
    """Write the vectors of `fit`, and what they are of, to a file beside the stored results."""
    path = store_dir() / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {"key": fit.key, "spec": json.dumps(fit.spec), "metrics": json.dumps(fit.metrics)}
    replace_bytes(path, as_bytes({"rows": fit.arrays["rows"]}, metadata=facts))
    return path


def reload(path: Path) -> Result:
    """The fit that `save` wrote to `path`."""
    with safe_open(path, framework="np") as file:
        facts, rows = file.metadata(), file.get_tensor("rows")
    return Result(
        facts["key"], json.loads(facts["spec"]), json.loads(facts["metrics"]), {"rows": rows}
    )

"""B5: can `e` be anchored to what its text means? (Bondarenko et al., Figs 7–10)

The loss gets a second term, `weight · (1 − cos(e, t))`, where t is the sentence embedding of the
text and `e` starts at t. The paper finds that a weak anchor mostly keeps reconstruction and lets
the cosine fall to about 0, and that a strong one raises the cosine and costs reconstruction.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from reproducer.analysis.intervals import mean_interval
from reproducer.experiments import plots
from reproducer.experiments.base import (
    Protocol,
    SolvedParams,
    TeacherName,
    decoded,
    fit,
    fit_frame,
    texts_of,
)
from reproducer.experiments.cells import dashed
from reproducer.experiments.claims import Verdict, above, below, verdict, within
from reproducer.results.fits import FitSpec, Regularizer
from reproducer.results.known import Known
from reproducer.results.sentence_vectors import SentenceVectorsSpec
from reproducer.results.specs import Result, Spec
from reproducer.solver.recipes import recipe
from reproducer.texts.sentence_encoder import EMBEDDED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WEAK, STRONG = 0.02, 0.5
MIN_ACCURACY = 0.8
MAX_HELD = 0.1
STARTS_AT = {"teacher": "e starts at its teacher", "normal": "e starts at random"}
KEPT = above(-0.1, "'mostly survives': no more than a tenth of the tokens is lost")
LOST = below(-0.2, "'falls sharply': a fifth of the tokens, twice what 'mostly' allows")
NEAR_0 = within(-0.2, 0.2, "five times the spread of random directions in 576 dimensions")
BEYOND = above(0.2, "beyond what counts as near 0 under the weak anchor")

PROTOCOL = Protocol(
    paper="Llama-3.2-1B under an anchor to Qwen3-Embedding-8B, `e` starting at the embedding. A "
    "fit ends when it is solved, and the cosine is drawn against the step.",
    ours="The same term and start, on other models with a teacher of fitting width. `fixed_steps` "
    "lets every fit go on to its last step, and there the cosine is read.",
    why="`e` starts at the teacher and moves away with every step, so the cosine of a fit that "
    "ends early says how soon it ended. Where fits end early, their last value stands for the rest "
    "and the claims on the cosine are not judged.",
)


class Params(SolvedParams):
    """`lengths`: tokens N; `weights` of the anchor, 0 is the control; `starts` of `e`.

    With `fixed_steps` no fit ends before `max_steps`; else one ends at `stop_accuracy`.
    """

    teacher: TeacherName = EMBEDDED
    lengths: tuple[int, ...] = Field((8, 16, 32, 64), min_length=1)
    weights: tuple[float, ...] = Field((0.0, 0.02, 0.1, 0.5), min_length=1)
    starts: tuple[Literal["teacher", "normal"], ...] = Field(("teacher", "normal"), min_length=1)
    fixed_steps: bool = False


def specs(params: Params, known: Known) -> list[Spec]:
    """The fits, all with traces, and what the teacher makes of each text."""
    wanted = fits(params)
    return [*(spec.penalty.teacher for spec in wanted), *wanted]


def fits(params: Params) -> list[FitSpec]:
    """One fit for each length, text, start and weight."""
    until = params.stop_accuracy if not params.fixed_steps else None
    course = recipe(params.recipe, params.max_steps).model_copy(update={"stop_accuracy": until})
    wanted = []
    for text in (text for n in params.lengths for text in texts_of(params, n)):
        teacher = SentenceVectorsSpec(model=params.teacher, sentences=decoded(params, [text]))
        for start, weight in product(params.starts, params.weights):
            anchor = {"term": "anchor", "start_at_teacher": start == "teacher"}
            penalty = Regularizer(weight=weight, teacher=teacher, **anchor)
            wanted.append(fit(params, [text], recipe=course, penalty=penalty, trace=True))
    return wanted


def rows(params: Params, known: Known) -> pd.DataFrame:
    """One row a fit: `fit_frame`, weight, start, and the cosine of `e` and its teacher.

    `trace` is the cosine at each step, `cosine` that of the last step of the budget. A fit that
    ended before keeps its last value, and is `held`.
    """
    results = known.all(fits(params))
    frame = fit_frame(results, params)
    return frame.join(pd.DataFrame([_anchor(result) for result in results]))


def _anchor(result: Result) -> dict:
    penalty, trace = result.spec["penalty"], result.arrays["trace_agreement"].astype(float)
    finite = trace[np.isfinite(trace)]
    return {
        "weight": penalty["weight"],
        "start": "teacher" if penalty["start_at_teacher"] else "normal",
        "trace": trace,
        "cosine": finite[-1] if len(finite) else np.nan,
        "held": len(finite) < result.spec["recipe"]["max_steps"],
    }


def table(df: pd.DataFrame) -> pd.DataFrame:
    """By start and weight: accuracy at each N, cosine at the last step, fits that ended before."""
    if df.empty:
        return pd.DataFrame()
    keys = ["start", "weight"]
    cells = df.pivot_table(index=keys, columns="n_tokens", values="accuracy")
    cells.columns = [f"accuracy, N = {n}" for n in cells.columns]
    by_setting = df.groupby(keys)
    cells["cosine with the teacher"] = by_setting["cosine"].mean()
    cells["ended before the last step"] = by_setting["held"].mean()
    return dashed(cells)


def figure(df: pd.DataFrame) -> Figure:
    """Accuracy against length, above the cosine against the step; a column for each start of `e`.

    Means over texts.
    """
    import seaborn as sns  # late: it takes a second

    if df.empty:
        return plots.nothing("no fit")
    starts = list(df["start"].unique())
    drawn, axes = plots.figure(len(starts), 2, figsize=(6, 6), sharey="row", squeeze=False)
    styles = plots.line_styles(sorted(df["weight"].unique()))
    looks = pd.DataFrame(styles.values(), styles)
    look = {"hue": "weight", "hue_order": list(styles), "palette": looks["color"].to_list()}
    look |= {"markers": looks["marker"].to_list(), "linestyles": looks["linestyle"].to_list()}
    for (upper, lower), start in zip(axes.T, starts, strict=True):
        own = df[df["start"] == start]
        place = {"x": "n_tokens", "y": "accuracy", "ax": upper, "dodge": 0.3 * (len(styles) > 1)}
        sns.pointplot(own, **place, **look, errorbar=None, legend=start == starts[0])
        for weight, traces in own.groupby("weight")["trace"]:
            lower.plot(plots.mean_trace(traces), **styles[weight] | {"marker": ""})
        upper.set(xlabel="tokens N", ylabel="accuracy", ylim=(-0.03, 1.08), title=STARTS_AT[start])
        lower.set(xlabel="step", ylabel="cosine of e and teacher")
    axes[0, 0].legend(title="weight of the anchor", loc="lower left")
    return drawn


def claims(df: pd.DataFrame) -> list[Verdict]:
    """A weak anchor keeps reconstruction and lets `e` go; a strong one does the reverse."""
    if df.empty:
        return []
    at_step = f"cosine at step {df['max_steps'].max()}"
    return [
        _verdict(
            df,
            (mean_interval(_by_text(df, "accuracy", WEAK, 0.0), bounds=(-1, 1)), KEPT),
            id="B5.weak",
            claim=f"An anchor of weight {WEAK:g} keeps reconstruction: change of accuracy",
            published="mostly survives (figures)",
        ),
        _verdict(
            df,
            (mean_interval(_by_text(df, "cosine", WEAK)), NEAR_0),
            held=(WEAK,),
            id="B5.weak-cosine",
            claim=f"An anchor of weight {WEAK:g} lets e move away from its teacher: {at_step}",
            published="near 0 (figures)",
        ),
        _verdict(
            df,
            (mean_interval(_by_text(df, "accuracy", STRONG, 0.0), bounds=(-1, 1)), LOST),
            id="B5.strong",
            claim=f"An anchor of weight {STRONG:g} costs reconstruction: change of accuracy",
            published="falls sharply (figures)",
        ),
        _verdict(
            df,
            (mean_interval(_by_text(df, "cosine", STRONG, WEAK)), BEYOND),
            held=(WEAK, STRONG),
            id="B5.strong-cosine",
            claim=f"An anchor of weight {STRONG:g} keeps e nearer to its teacher: {at_step}, "
            f"minus that of {WEAK:g}",
            published="rises (figures)",
        ),
    ]


def _verdict(
    df: pd.DataFrame, part: tuple, claim: str, held: tuple[float, ...] = (), **fields: str
) -> Verdict:
    """Of fits that start at the teacher, as the paper's; `held`: weights whose last step counts."""
    some = _at_teacher(df)
    control = some.loc[some["weight"] == 0, "accuracy"]
    early = some.loc[some["weight"].isin(held), "held"]
    needs = []
    if not control.mean() >= MIN_ACCURACY:
        needs.append(f"texts whose accuracy without the anchor is {MIN_ACCURACY:g} or more")
    if early.mean() > MAX_HELD:
        needs.append("fits that go on once they are solved (`fixed_steps`)")
    if early.any():
        claim += f" ({early.mean():.0%} of the fits ended before and keep their last value)"
    common = {"experiment": "anchoring", "unit": "texts", "untested": " and ".join(needs)}
    return verdict(df, part, claim=claim, **common, **fields)


def _at_teacher(df: pd.DataFrame) -> pd.DataFrame:
    return df[df["start"] == "teacher"]


def _by_text(df: pd.DataFrame, column: str, weight: float, less: float | None = None) -> pd.Series:
    """`column` under one weight, `less` that under another: by text, mean over the N of both."""
    weights = [w for w in (weight, less) if w is not None]
    wide = _at_teacher(df).pivot_table(index=["text", "n_tokens"], columns="weight", values=column)
    wide = wide.reindex(columns=weights).dropna()
    values = wide[weight] if less is None else wide[weight] - wide[less]
    return values.groupby("text").mean()

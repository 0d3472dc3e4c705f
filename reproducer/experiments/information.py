"""A4: one forward pass against autoregressive decoding (Mezentsev & Oseledets, Figure 3 of v2).

How much information, `H_LM` of the longest prefix that comes back, do the two proto-tokens hold,
and how much do as many trained numbers hold in front of a model that decodes token by token? One
own vector a text on either side: `e` with shared `m` against one `[mem]`; two on either side:
`e` and own `m` against two `[mem]`. No paper asked what the same weights hold before training;
the control is here.
"""

from __future__ import annotations

import pandas as pd

from reproducer.experiments.base import results_of
from reproducer.experiments.capacity import SearchParams, settings
from reproducer.experiments.information_views import claims, control_table, figure, table
from reproducer.experiments.trials import N_MEM, THRESHOLD, Fetch, Setting, longest, run_trials
from reproducer.readings.mem_vectors import GreedySpec
from reproducer.readings.surprisal import text_information
from reproducer.results.specs import Spec
from reproducer.results.store import Result

__all__ = ["Params", "claims", "collect", "control_table", "figure", "specs", "table"]

WAYS = ("shared m", "1 mem", "own m", "2 mem")


class Params(SearchParams):
    """`controls`: models with untrained weights, run like the others and shown apart."""

    controls: tuple[str, ...] = ("random:smollm2-135m",)


def specs(params: Params) -> list[Spec]:
    """All fits of the grid; under `bisect`, those that the stored outcomes lead to."""
    asked: dict[str, Spec] = {}

    def fetch(wanted: list[Spec]) -> list[Result]:
        asked.update({spec.key: spec for spec in wanted})
        return results_of(wanted, compute_missing=False)

    _held(params, fetch)
    return list(asked.values())


def collect(params: Params, compute_missing: bool = True) -> pd.DataFrame:
    """One row for each text and way: `reproducer.experiments.trials.longest`, and `control`.

    For the autoregressive ways `held_tokens` is what greedy decoding gives back, and
    `greedy_accuracy` its accuracy over the prefix that came back under teacher forcing.
    """
    frame = _held(params, lambda wanted: results_of(wanted, compute_missing))
    return frame.assign(profile=params.profile) if len(frame) else frame


def _held(params: Params, fetch: Fetch) -> pd.DataFrame:
    frames = []
    for model in (*(params.models or (params.model,)), *params.controls):
        chosen = settings(params, model, WAYS)
        held = longest(run_trials(chosen, params.lengths, params.strategy, fetch))
        for setting in chosen:
            rows = _of(held, setting)
            if len(rows) == len(setting.texts):
                rows = decoded(rows, setting, params.lengths, fetch)
                frames.append(rows.assign(control=model in params.controls))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _of(held: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    if held.empty:
        return held
    return held[(held["source"] == setting.source) & (held["way"] == setting.way)]


def decoded(
    rows: pd.DataFrame, setting: Setting, lengths: tuple[int, ...], fetch: Fetch
) -> pd.DataFrame:
    """Rows of an autoregressive way after greedy decoding; others as they are.

    A solution for N tokens is one for every shorter prefix, so a text whose decoding goes astray
    is credited with the longest length of the grid that decoding gives back well enough.
    """
    number = {text.id: i for i, text in enumerate(setting.texts)}
    back = rows[rows["held_tokens"] > 0]
    if setting.way not in N_MEM or back.empty:
        return rows.assign(greedy_accuracy=float("nan"))
    fits = [
        setting.spec(number[text], n)
        for text, n in zip(back["text"], back["held_tokens"], strict=True)
    ]
    written = fetch([GreedySpec(model=setting.model, fits=tuple(fits))])
    if not written:
        return rows.iloc[:0]
    known = text_information(setting.model, setting.texts, fetch)
    rows = rows.assign(greedy_accuracy=float("nan"))
    for row, correct in zip(back.index, written[0].arrays["correct"], strict=True):
        n_fitted = back.at[row, "held_tokens"]
        good = [n for n in lengths if n <= n_fitted and correct[:n].double().mean() >= THRESHOLD]
        n = max(good, default=0)
        text = setting.texts[number[back.at[row, "text"]]]
        changes = {
            "greedy_accuracy": correct[:n_fitted].double().mean().item(),
            "held_tokens": n,
            "c_tokens": int(correct[:n].sum()),
            **known[text].columns(n),
        }
        rows.loc[row, list(changes)] = list(changes.values())
    return rows

"""What was held: the frame of all trials, the longest prefix of each text, what is cut off.

A search says no more than that a text's capacity lies between two lengths of the grid, and of a
text that holds the longest length tried only that its capacity is no less: it is censored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np
import pandas as pd

from reproducer.analysis.prefix_search import Strategy, search_prefix
from reproducer.experiments.base import PROVENANCE_COLUMNS
from reproducer.experiments.cells import share
from reproducer.experiments.trials import GENERATED, N_MEM, THRESHOLD, Setting, Trials
from reproducer.readings.surprisal import text_information
from reproducer.results.known import Known

GROUP = ["model", "source", "way", "first", "init", "strategy"]
COLUMNS = [
    *("key", *GROUP, "text", "n_tokens", "accuracy", "c_tokens", "came_back"),
    *("arrangement", "recipe", "max_steps", "steps", "seconds", *PROVENANCE_COLUMNS),
    *("h_lm_nats", "characters", "bits_per_character", "first_nats"),
]
MAX_CENSORED = 0.1
CENSORING = (
    "a text that holds the longest length tried counts with that length, and the claim is judged "
    "where they are at most a tenth on either side"
)
# A step of the papers' grid, from one length to the next, and half of it.
ONE_STEP = 2**0.5
HALF_STEP = 2**0.25


def trial_frame(chosen: Sequence[Trials], known: Known) -> pd.DataFrame:
    """One row for each text and length tried; texts whose search is not finished have none.

    Columns: `COLUMNS`. `n_tokens` is the trial's length, `c_tokens` counts its right positions,
    `came_back` says whether its accuracy is at least `THRESHOLD`; `h_lm_nats`, `characters` and
    `bits_per_character` belong to that prefix, `first_nats` to its first token.
    """
    rows = []
    for tried in chosen:
        known_nats = text_information(tried.setting.model, tried.setting.texts, known)
        for number, search in enumerate(tried.searches):
            information = known_nats.get(tried.setting.texts[number])
            if not search.wanted and information is not None:
                first = {"first_nats": information.h_lm_nats[1]}
                rows += [
                    _row(tried, number, n) | information.columns(n) | first for n in search.tried
                ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(tried: Trials, number: int, n_tokens: int) -> dict:
    setting = tried.setting
    result = tried.results[setting.fit_of(number), n_tokens]
    accuracy = setting.accuracy(number, result)
    shared_by = len(setting.texts) if setting.way == "shared m" else 1
    return {
        "key": result.key,
        **{name: getattr(setting, name) for name in GROUP},
        "strategy": setting.label or setting.strategy,
        "text": setting.texts[number].id,
        "n_tokens": n_tokens,
        "accuracy": accuracy,
        "c_tokens": round(accuracy * n_tokens),
        "came_back": accuracy >= THRESHOLD,
        "arrangement": "" if setting.way in N_MEM else setting.arrangement,
        "recipe": setting.recipe.name,
        "max_steps": setting.recipe.max_steps,
        "steps": result.metrics["steps"],
        # A shared fit is one fit of all texts: each is charged its part.
        "seconds": result.metrics["seconds"] / shared_by,
        **{name: result.provenance[name] for name in PROVENANCE_COLUMNS},
    }


def greedy_frame(chosen: Sequence[Trials], known: Known) -> pd.DataFrame:
    """What greedy decoding returns of what teacher forcing got right; one row a held text.

    Columns: those of `GROUP` and text; `greedy_accuracy`, the share of the scored tokens of the
    held prefix that decoding returns; `greedy_tokens`, the longest length of the grid that it
    returns well enough, since a solution for N tokens is one for every shorter prefix.
    """
    rows = []
    for tried in chosen:
        for result in known.all(tried.greedy):
            held = zip(tried.held.items(), result.arrays["correct"], strict=True)
            rows += [_greedy_row(tried.setting, *place, correct) for place, correct in held]
    return pd.DataFrame(rows, columns=[*GROUP, "text", "greedy_accuracy", "greedy_tokens"])


def _greedy_row(setting: Setting, number: int, n_tokens: int, correct: np.ndarray) -> dict:
    given = int(setting.first == "t1")
    correct = correct[: n_tokens - given]
    lengths = (n for n in setting.grid if given < n <= n_tokens)
    good = (n for n in lengths if correct[: n - given].mean() >= THRESHOLD)
    return {
        **{name: getattr(setting, name) for name in GROUP},
        "text": setting.texts[number].id,
        "greedy_accuracy": correct.mean(),
        "greedy_tokens": max(good, default=0),
    }


def longest(tried: pd.DataFrame) -> pd.DataFrame:
    """The longest prefix of each text that came back; one row a (setting, strategy, text).

    Columns of the trials, where those from accuracy to bits_per_character belong to that
    prefix and are 0 (bits: NaN) if none came back; and `n_tokens`, the longest tried,
    `held_tokens`, the longest that came back, `n_fits`, `token_steps` (work in all trials).
    """
    rows = []
    for _, of_text in tried.groupby([*GROUP, "text"], sort=False):
        back = of_text[of_text["came_back"]]
        if len(back):
            best = back.loc[back["n_tokens"].idxmax()].to_dict()
            held = best["n_tokens"]
        else:
            best = of_text.loc[of_text["n_tokens"].idxmin()].to_dict()
            best |= dict.fromkeys(("c_tokens", "h_lm_nats", "characters", "accuracy"), 0)
            best["bits_per_character"] = float("nan")
            held = 0
        work = (of_text["n_tokens"] * of_text["steps"]).sum()
        best |= {"n_tokens": of_text["n_tokens"].max(), "held_tokens": held}
        rows.append(best | {"n_fits": len(of_text), "token_steps": int(work)})
    more = ["held_tokens", "n_fits", "token_steps"]
    return pd.DataFrame(rows, columns=[*tried.columns, *more])


def censored(**sides: pd.DataFrame) -> str:
    """What a comparison of `sides`, rows of `longest` by what they are, lacks: "" if nothing.

    Texts that hold the longest length tried would hold more: their number draws ratios to 1.
    """
    missing = [name for name, held in sides.items() if held.empty]
    if missing:
        return f"texts of {' and '.join(missing)}"
    lacking = []
    for name, held in sides.items():
        at_the_end = int((held["held_tokens"] >= held["n_tokens"]).sum())
        if at_the_end > MAX_CENSORED * len(held):
            most = held["n_tokens"].max()
            lacking.append(f"{at_the_end} of {len(held)} texts of {name} hold all {most}")
    return f"longer prefixes ({'; '.join(lacking)})" if lacking else ""


def kind(source: str) -> str:
    """What a source is, whatever it is called: ours and the papers' stand in one row."""
    if source.startswith("random"):
        return "random words"
    if source.startswith(GENERATED) or source.endswith("generated"):
        return "generated"
    return {"fanfics": "unseen", "pg19": "seen"}.get(source, source)


def capacities(df: pd.DataFrame) -> pd.DataFrame:
    """`longest` of each text that was searched, once where both strategies were run."""
    held = longest(df[df["strategy"].isin(get_args(Strategy))]).sort_values(
        "strategy", kind="stable"
    )
    return held.drop_duplicates(["model", "source", "way", "text"]).sort_index()


def strategies(df: pd.DataFrame) -> pd.DataFrame:
    """Both strategies on the settings whose whole grid was tried; one row a setting.

    `bisect` replays the grid's own outcomes, so that nothing but the strategy differs. Columns:
    texts, texts on which both agree, fits and token-steps (tokens times optimizer steps) of
    each, and the share of fits saved.
    """
    if df.empty:
        return pd.DataFrame()
    keys, compared = ["model", "source", "way"], []
    for place, tried in df[df["strategy"] == "grid"].groupby(keys, sort=False):
        grid = longest(tried).set_index("text")
        bisect = longest(_replayed(tried)).set_index("text").loc[grid.index]
        work = {name: (grid[name].sum(), bisect[name].sum()) for name in ("n_fits", "token_steps")}
        compared.append(
            {
                **dict(zip(keys, place, strict=True)),
                "texts": len(grid),
                "agree": int((grid["held_tokens"] == bisect["held_tokens"]).sum()),
                **dict(zip(("fits, grid", "fits, bisect"), work["n_fits"], strict=True)),
                "fits saved": share(1 - work["n_fits"][1] / work["n_fits"][0]),
                "token-steps, grid": work["token_steps"][0],
                "token-steps, bisect": work["token_steps"][1],
            }
        )
    return pd.DataFrame(compared)


def _replayed(tried: pd.DataFrame) -> pd.DataFrame:
    """The trials that a bisection would have made of those of a whole grid."""
    kept = []
    for _, of_text in tried.groupby("text", sort=False):
        outcome = dict(zip(of_text["n_tokens"], of_text["came_back"], strict=True))
        search = search_prefix(tuple(sorted(outcome)), "bisect", outcome.get)
        kept.append(of_text[of_text["n_tokens"].isin(search.tried)])
    return pd.concat(kept)

"""What is the space of encodings like, without random starts to hide it? Not in the papers.

A fitted `e` lies near its random start, so its place says little of its text (A7, A8, B3, B6), and
the straight line between two solutions leaves them (A9). An encoder has no start: what the places
of its `e` say, they say of texts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pydantic import Field

from reproducer.analysis.clusters import unit
from reproducer.analysis.dyads import gain_interval, gains
from reproducer.analysis.intervals import statistic_interval
from reproducer.experiments import base, cells, encoded_sentences, encoder, plots
from reproducer.experiments.claims import Verdict, above, verdict
from reproducer.experiments.encoded_sentences import table as sentences
from reproducer.readings.encoder import EncodedLinesSpec, EncodedSpec
from reproducer.results.known import Known
from reproducer.results.specs import Result, Spec

if TYPE_CHECKING:
    from reproducer.analysis.estimates import Interval

__all__ = ["PROTOCOL", "Params", "claims", "figure", "note", "rows", "sentences", "specs", "table"]

STAYS = above(-0.1, "a tenth of the tokens; the papers' lines between solutions lose most")
CLOSER = above(0.05, "a twentieth of the way from unrelated encodings to equal ones")

PROTOCOL = base.Protocol(
    paper="Solutions of one text, of texts that share a context, and of texts that share a "
    "meaning are compared by their distance; the straight line between two solutions of a text is "
    "decoded at every point.",
    ours="The same questions of an encoder's e: whether stretches of one passage lie closer than "
    "those of different passages, what comes back along the line between two texts that differ in "
    "one token, and whether sentences of one meaning lie closer. What an encoder reads at once is "
    "shorter than a sentence, whose place is the mean e of its stretches.",
    why="A solution lies near the random point where its fit began, and two of one text differ by "
    "where they began. An encoder gives one e a text.",
)


class Params(encoder.Params):
    """The encoder is that of the experiment `encoder` at `compared_at`, under the same parameters.

    Two of every `windows` stretches of a passage stand for its first half, and so on; `n_points`
    divide the line between two encodings. `n_texts` also counts the sentences that are compared,
    each with its paraphrases.
    """

    UNUSED = (
        *("recipe", "source", "sources", "max_steps", "recipes"),
        *("designs", "design_text_steps", "fitted_at"),
    )

    windows: int = Field(4, ge=2, multiple_of=2)
    n_points: int = Field(11, ge=3)


def specs(params: Params, known: Known) -> list[Spec]:
    """What the encoder makes of texts and of sentences, and what stands between encodings."""
    return [encoded(params), lines(params), *(encoded_sentences.asked(params) or ())]


def encoded(params: Params) -> EncodedSpec:
    """The encodings that the experiment `encoder` tests, of unseen prose."""
    spec = encoder.compared(params)
    texts = encoder.stretches(params, "unseen", spec.n_tokens)
    return EncodedSpec(model=params.model, encoder=spec, texts=texts, seed=params.seed)


def lines(params: Params) -> EncodedLinesSpec:
    """The lines from each of these texts; tokens to change to come from the next passage."""
    asked = encoded(params)
    return EncodedLinesSpec(
        model=params.model,
        encoder=asked.encoder,
        texts=asked.texts,
        step=params.windows,
        n_points=params.n_points,
    )


def rows(params: Params, known: Known) -> pd.DataFrame:
    """One row for each passage (`task` "passage"), one for each text and changed place ("line").

    And those of `encoded_sentences.rows`. Columns of all: task, model, profile, passage, n_tokens
    (of what the encoder reads), device. Of passages: own and gain, the
    cosine between the mean `e` of its two halves and what that has over halves of different
    passages (`reproducer.analysis.dyads.gains`). Of lines: text, place; kept, old and new, at each
    point the share of the unchanged tokens that came, and whether the changed place says the old
    token or the new one; at_ends and halfway, what `kept` is there.
    """
    first, second = known.get(encoded(params)), known.get(lines(params))
    third = encoded_sentences.rows(params, known)
    frames = [_passages(first, params)] if first else []
    frames += [_lines(second)] if second else []
    frames += [third] if len(third) else []
    if not frames:
        return pd.DataFrame()
    return pd.concat(frames, ignore_index=True).assign(
        model=params.model, profile=params.profile, n_tokens=params.n_tokens
    )


def _passages(result: Result, params: Params) -> pd.DataFrame:
    e = result.arrays["e"].astype(float)
    halves = unit(e).reshape(params.n_texts, 2, params.windows // 2, -1).mean(2)
    similarity = unit(halves[:, 0]) @ unit(halves[:, 1]).T
    names = [text["id"].partition("[")[0] for text in result.spec["texts"][:: params.windows]]
    return pd.DataFrame(
        {
            "task": "passage",
            "passage": names,
            "own": similarity.diagonal(),
            "gain": gains(similarity),
            "device": result.provenance["device"],
        }
    )


def _lines(result: Result) -> pd.DataFrame:
    first, second, changed = (result.arrays[name] for name in ("first", "second", "changed"))
    n_tokens = changed.shape[1]
    found = []
    for i, place in np.argwhere(changed):
        others = np.arange(n_tokens) != place
        kept = first[i, place][:, others].mean(1) if others.any() else np.ones(first.shape[2])
        text = result.spec["texts"][i]["id"]
        found.append(
            {
                "task": "line",
                "text": text,
                "passage": text.partition("[")[0],
                "place": int(place) + 1,
                "kept": kept,
                "old": first[i, place, :, place],
                "new": second[i, place, :, place],
                "at_ends": (kept[0] + kept[-1]) / 2,
                "halfway": kept[len(kept) // 2],
                "device": result.provenance["device"],
            }
        )
    return pd.DataFrame(found)


def table(df: pd.DataFrame) -> pd.DataFrame:
    """By changed place: what stays and what is said there, at both ends and halfway."""
    along = df[df["task"] == "line"] if len(df) else df
    shown = {}
    for place, group in along.groupby("place") if len(along) else ():
        kept, old, new = (np.stack(group[name]) for name in ("kept", "old", "new"))
        middle = kept.shape[1] // 2
        shown[int(place),] = {
            "lines": f"{len(group)}",
            "shared, start": cells.share(kept[:, 0].mean()),
            "shared, halfway": cells.share(kept[:, middle].mean()),
            "shared, end": cells.share(kept[:, -1].mean()),
            "old, start": cells.share(old[:, 0].mean()),
            "either, halfway": cells.share((old | new)[:, middle].mean()),
            "new, end": cells.share(new[:, -1].mean()),
        }
    return cells.table_of(shown, ["changed place"])


def figure(df: pd.DataFrame) -> plots.Figure:
    """Along the line: shared tokens, the old token and the new one, means over all lines."""
    along = df[df["task"] == "line"] if len(df) else df
    if along.empty:
        return plots.nothing("no line between encodings")
    drawn, axis = plots.figure(figsize=(6, 3.6))
    labels = {"kept": "tokens that both share", "old": "old token", "new": "new token"}
    for name, style in plots.line_styles(labels).items():
        mean = np.stack(along[name]).mean(0)
        axis.plot(np.linspace(0, 1, len(mean)), mean, **style | {"label": labels[name]})
    axis.set(xlabel="place on the line", ylabel="share that comes back", ylim=(-0.03, 1.05))
    plots.legend(axis, ncols=3)
    return drawn


def note(df: pd.DataFrame) -> str:
    """One line for the page: texts of which length."""
    return base.note(df, "texts of {n_tokens} tokens.")


def claims(df: pd.DataFrame) -> list[Verdict]:
    """Lines between near texts keep what these share; what belongs together lies closer."""
    if df.empty:
        return []
    asked = df.reindex(columns=df.columns.union(["halfway", "at_ends", "gain"]))
    along, passages = (asked[asked["task"] == task] for task in ("line", "passage"))
    return [
        verdict(
            df,
            (_kept(along), STAYS),
            id="encoded_space.lines",
            experiment="encoded_space",
            unit="passages",
            claim="The straight line between the encodings of two texts that differ in one token "
            "keeps what they share: share of these tokens halfway minus that at the ends",
        ),
        verdict(
            df,
            (gain_interval(passages["gain"]), CLOSER),
            id="encoded_space.passages",
            experiment="encoded_space",
            unit="passages",
            claim="Encodings of one passage lie closer than those of different passages: cosine "
            "between the halves of one minus that between halves of two",
        ),
        *encoded_sentences.claims(df),
    ]


def _kept(along: pd.DataFrame) -> Interval:
    """The mean over passages; each is itself the mean of many tokens, so that none is rare."""
    lost = (along["halfway"] - along["at_ends"]).groupby(along["passage"]).mean().to_numpy(float)
    return statistic_interval(len(lost), lambda i: float(lost[i].mean()), bounds=(-1, 1))

"""What we learned, in ten sentences made from the verdicts."""

from __future__ import annotations

from collections import Counter
from html import escape

from IPython.display import HTML

from reproducer.app.landing import UNTESTED
from reproducer.experiments.cells import number
from reproducer.experiments.claims import Verdict

N_SENTENCES = 10
ORDER = ("reproduced", "contradicted", "holds", "does not hold", "partly", "inconclusive")


def ten_sentences(verdicts: list[Verdict]) -> HTML:
    """The tally, then the claims that were decided or nearest to it, then what was not tested."""
    tested = [v for v in verdicts if v.verdict != UNTESTED]
    if not tested:
        return HTML("<p>No claim is judged under this profile.</p>")
    untested = [v for v in verdicts if v.verdict == UNTESTED]
    # Claims in the order of how much was learned; within a word, those that survive Holm first.
    tested.sort(key=lambda v: (ORDER.index(v.verdict), not v.holm, v.p or 0))
    told = [_tally(verdicts), *map(_claim, tested[: N_SENTENCES - 2])]
    if untested:
        told.append(_needs(untested))
    return HTML(f"<ol>{''.join(f'<li>{sentence}</li>' for sentence in told)}</ol>")


def _tally(verdicts: list[Verdict]) -> str:
    counts = Counter(v.verdict for v in verdicts)
    words = ", ".join(f"{count} {word}" for word, count in counts.most_common())
    models = ", ".join(sorted({v.model for v in verdicts if v.model}))
    return f"Of {len(verdicts)} claims, judged on {escape(models)}: {words}."


def _claim(v: Verdict) -> str:
    head = escape(v.claim.partition(": ")[0])
    ends = "" if v.low is None and v.high is None else f" ({number(v.low)} … {number(v.high)})"
    paper = "" if v.own else f", in the paper {escape(v.published)}"
    needs = f"; it would take {escape(v.needs)}" if v.needs else ""
    link = f'<a href="{v.experiment}.ipynb">{escape(v.id)}</a>'
    return (
        f"<strong>{v.verdict.capitalize()}</strong>: {head}, here {number(v.ours)}{ends} over "
        f"{v.n} {escape(v.unit)}{paper}{needs} ({link})."
    )


def _needs(untested: list[Verdict]) -> str:
    need, count = Counter(v.needs for v in untested).most_common(1)[0]
    return (
        f"{len(untested)} claims were not tested here; what most of them lack alike ({count}): "
        f"{escape(need)}."
    )

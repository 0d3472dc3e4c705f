"""The landing page: what was run, how many claims held, what came back, and a line a claim."""

from __future__ import annotations

import math
import re
from collections import Counter
from html import escape

from IPython.display import HTML

from reproducer.app.reconstructions import came_back, shown_fits
from reproducer.app.tokens import pieces, tokens_html
from reproducer.experiments import EXPERIMENTS
from reproducer.experiments.cells import number
from reproducer.experiments.claims import Verdict
from reproducer.experiments.profiles import load_params
from reproducer.experiments.study import wanted
from reproducer.models.card import model_card
from reproducer.results.known import Known

ICONS = {
    "reproduced": "●",
    "holds": "●",
    "partly": "◐",
    "inconclusive": "?",
    "contradicted": "○",
    "does not hold": "○",
    "not tested here": "–",
}
UNTESTED = "not tested here"
# The papers' number where they give one in the very unit of our claim, to be drawn beside ours.
PUBLISHED = {
    "A1.one-token": 0.17,
    "A1.best": 0.02,
    "A3.size-llama": 1.67,
    "A3.size-pythia": 0.77,
    "A3.natural": 1.00,
    "A3.random": 0.71,
    "A4.ratio-1": 2,
    "A4.ratio-2": 2,
    "A9.stretch": 1.2,
}
CRITERION = re.compile(r"(above|below|between) (-?[\d.]+)(?: and (-?[\d.]+))?")


def opening(profile: str) -> HTML:
    """One sentence: which model, how many texts of which lengths, against the papers'."""
    known = Known()
    specs = [
        spec
        for name in EXPERIMENTS
        for spec in wanted(load_params(name, profile), known)
        if spec.kind == "fit"
    ]
    fits = known.all({spec.key: spec for spec in specs}.values(), arrays=False)
    if not fits:
        return HTML(f"<p>No result of the profile {escape(profile)} is stored.</p>")
    texts = [tuple(text["tokens"]) for fit in fits for text in fit.spec["texts"]]
    lengths = [len(tokens) for tokens in texts]
    trained = {fit.spec["model"] for fit in fits if not model_card(fit.spec["model"]).untrained}
    models = ", ".join(sorted(trained)) or "an untrained model"
    papers = max(load_params("arrangements", "paper").lengths)
    return HTML(
        f'<p class="opening">Here <strong>{escape(models)}</strong> reads two trained vectors and '
        f"writes a whole text in one forward pass: {len(fits):,} fits of "
        f"<strong>{len(set(texts)):,} texts of {min(lengths)} to {max(lengths)} tokens</strong>. "
        f"The papers fit up to {papers:,} tokens, on models of up to 8 billion parameters.</p>"
    )


def tally(verdicts: list[Verdict]) -> HTML:
    """How many claims have which word, the papers' and our own in one row each."""
    rows = []
    for title, own in (("The papers' claims", False), ("Our own", True)):
        counts = Counter(v.verdict for v in verdicts if v.own == own)
        chips = "".join(
            f'<li class="{_class(word)}"><span aria-hidden="true">{icon}</span> '
            f"<strong>{counts[word]}</strong> {word}</li>"
            for word, icon in ICONS.items()
            if counts[word]
        )
        if chips:
            rows.append(f'<div class="tally"><span>{title}</span><ul>{chips}</ul></div>')
    return HTML("".join(rows) or "<p>No claim is judged under this profile.</p>")


def examples(profile: str) -> HTML:
    """Three texts as their stored vectors give them back, right and wrong tokens marked."""
    shown = []
    for fit in shown_fits(profile, Known()):
        (text,), (accuracy,) = fit.spec["texts"], fit.metrics["accuracy"]
        tokenizer, wanted_tokens = model_card(fit.spec["model"]).tokenizer, text["tokens"]
        right = round(accuracy * len(wanted_tokens))
        shown.append(
            f"{tokens_html(pieces(tokenizer, wanted_tokens, came_back(fit)))}"
            f'<p class="note">{right} of {len(wanted_tokens)} tokens right, after '
            f"{fit.metrics['steps']} steps ({escape(text['id'])})</p>"
        )
    return HTML(f'<div class="examples">{"".join(shown)}</div>' if shown else "<p>None stored.</p>")


def claim_list(verdicts: list[Verdict]) -> HTML:
    """A line a claim: icon, claim and page, ours and the paper's on an axis, what would decide.

    Claims that were not tested are folded away below the others.
    """
    tested = [v for v in verdicts if v.verdict != UNTESTED]
    untested = [v for v in verdicts if v.verdict == UNTESTED]
    shown = _items(tested) if tested else "<p>No claim is judged under this profile.</p>"
    if untested:
        title = f"{ICONS[UNTESTED]} {len(untested)} more are {UNTESTED}: what each needs"
        shown += f"<details><summary>{title}</summary>{_items(untested)}</details>"
    return HTML(shown)


def _items(verdicts: list[Verdict]) -> str:
    return f'<ol class="claims">{"".join(map(_claim, verdicts))}</ol>'


def _claim(v: Verdict) -> str:
    numbers = f"ours {_with_ends(v)}" if v.ours is not None else "no number of ours"
    paper = "" if v.own else f"<br>paper: {escape(v.published)}"
    need = "It needs" if v.verdict == UNTESTED else "To decide it"
    needs = f'<p class="needs">{need}: {escape(v.needs)}.</p>' if v.needs else ""
    head, colon, measure = v.claim.partition(": ")
    how = f'<p class="needs">Measured: {escape(measure)}.</p>' if colon else ""
    return (
        f'<li class="{_class(v.verdict)}"><p class="word">'
        f'<span aria-hidden="true">{ICONS[v.verdict]}</span> {v.verdict}</p>'
        f'<div class="said"><p>{escape(head)} '
        f'(<a href="{v.experiment}.ipynb">{escape(v.id)}</a>)</p>{how}{needs}</div>'
        f'<div class="measured">{_axis(v)}<p class="numbers">{numbers}{paper}</p></div></li>'
    )


def _with_ends(v: Verdict) -> str:
    if v.low is None and v.high is None:
        return f"{number(v.ours)}, n = {v.n} {escape(v.unit)}"
    return f"{number(v.ours)} ({number(v.low)} … {number(v.high)}), n = {v.n} {escape(v.unit)}"


def _axis(v: Verdict) -> str:
    """Interval, ours and the paper's number on a line whose shaded part is where the claim holds.

    A criterion with one boundary has it in the middle, and the claim holds to its right.
    """
    found = CRITERION.search(v.criterion)
    values = {"ours": v.ours, "paper": PUBLISHED.get(v.id)}
    if not found or all(value is None for value in values.values()):
        return ""
    kind, first, second = found[1], float(found[2]), float(found[3] or "nan")
    middle = (first + second) / 2 if kind == "between" else first
    half = (second - first) / 2 if kind == "between" else 0.0
    given = [x for x in (*values.values(), v.low, v.high) if x is not None]
    reach = 1.08 * max([abs(x - middle) for x in given] + [2 * half]) or 1.0
    sign = -1 if kind == "below" else 1

    def place(x: float) -> float:
        return 50 + 50 * sign * max(-1.0, min(1.0, (x - middle) / reach))

    zone = (place(first), place(second)) if half else (50.0, 100.0)
    marks = [_bar("zone", *zone)]
    if v.low is not None or v.high is not None:
        ends = (-math.inf if v.low is None else v.low, math.inf if v.high is None else v.high)
        marks.append(_bar("interval", *sorted(map(place, ends))))
    marks += [
        f'<span class="{name}" style="left:{place(x):.1f}%"></span>'
        for name, x in values.items()
        if x is not None
    ]
    told = f"criterion: {v.criterion}"
    return f'<div class="axis" role="img" aria-label="{escape(told)}">{"".join(marks)}</div>'


def _bar(name: str, left: float, right: float) -> str:
    return f'<span class="{name}" style="left:{left:.1f}%;width:{right - left:.1f}%"></span>'


def _class(word: str) -> str:
    return word.replace(" ", "-")

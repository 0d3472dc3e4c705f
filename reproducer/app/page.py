"""What every experiment's page shows alike: answer, data, tables, verdicts, protocol, footer."""

from __future__ import annotations

import base64
import re
from collections import Counter
from html import escape
from typing import TYPE_CHECKING

import pandas as pd
from IPython.display import HTML, Markdown

from reproducer.experiments.base import cut_note, scale_note, tested
from reproducer.experiments.cells import number
from reproducer.experiments.claims import Verdict
from reproducer.experiments.ledger import verdicts_of
from reproducer.experiments.profiles import SHIPPED, ExperimentParams, load_params
from reproducer.experiments.study import module_of
from reproducer.experiments.verdicts import ledger_table
from reproducer.paths import ROOT, shipped_dir

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

READINGS = ROOT / "notebooks" / "readings"
DECIDED = ("reproduced", "contradicted", "partly", "holds", "does not hold")


def answer(params: ExperimentParams, df: pd.DataFrame, verdicts: list[Verdict]) -> HTML:
    """The page's question answered in two sentences from its verdicts, and the scale of the run."""
    return HTML(
        f'<div class="answer"><p>{_counted(verdicts)} {_foremost(verdicts)}</p>'
        f'<p class="note">{escape(_scale(params, df))}</p></div>'
    )


def _scale(params: ExperimentParams, df: pd.DataFrame) -> str:
    """The experiment's own line on its scale, else the one for fits of texts."""
    if own := getattr(module_of(params), "note", None):
        return own(df)
    if df.empty or {"text", "source", "n_tokens", "recipe", "device"} <= set(df.columns):
        return scale_note(df)
    return f"Computed with {', '.join(sorted(set(df['model'])))}, profile {params.profile}."


def _counted(verdicts: list[Verdict]) -> str:
    """The tally as a sentence: the papers' claims, then our own."""
    told = []
    for own, whose in ((False, "of the paper's claims"), (True, "of our own")):
        counts = Counter(v.verdict for v in verdicts if v.own == own)
        if counts:
            words = ", ".join(f"<strong>{n} {word}</strong>" for word, n in counts.items())
            told.append(f"{whose}: {words}")
    if not told:
        return "No claim is judged on this model."
    sentence = "; ".join(told)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _foremost(verdicts: list[Verdict]) -> str:
    """The verdict that says most: a decided one, else one with a number, else what is wanted."""
    if not verdicts:
        return ""
    v = max(verdicts, key=lambda v: (v.verdict in DECIDED, v.ours is not None, not v.own))
    sentence = f"{v.verdict.capitalize()}: {escape(v.claim)}"
    if v.ours is not None:
        ends = "" if v.low is None and v.high is None else f" ({number(v.low)} … {number(v.high)})"
        sentence += f", here {number(v.ours)}{ends}"
    if not v.own:
        sentence += f", in the paper {escape(v.published)}"
    if v.verdict not in DECIDED and v.needs:
        sentence += f"; what would decide it: {escape(v.needs)}"
    return f"{sentence}."


def data(params: ExperimentParams, df: pd.DataFrame) -> HTML:
    """A link beneath a figure to the rows that figures and tables are made of, as CSV.

    Columns of arrays are left out. The link holds the rows themselves, so that it works wherever
    the notebook goes; the book makes a file of them.
    """
    plain = df[[column for column in df if not df[column].map(_wide).any()]]
    rows = base64.b64encode(plain.to_csv(index=False).encode()).decode()
    link = f'<a download="{params.experiment}.csv" href="data:text/csv;base64,{rows}">'
    return HTML(f'<p class="note">{link}Data of this page (CSV)</a></p>')


def _wide(value: object) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, str)


def table(shown: pd.DataFrame | Styler, label: str = "Table", prose: bool = False) -> HTML:
    """A table that scrolls by itself, with its first column in place and no empty headers.

    Cells of `prose` break their lines.
    """
    styler = shown.style if isinstance(shown, pd.DataFrame) else shown
    # Every row names itself in full, so that the frozen column says which row it is.
    html = styler.to_html(sparse_index=False)
    html = html.replace("<table id", f'<table class="dataframe{" prose" * prose}" id', 1)
    html = re.sub(r"<th\b([^>]*)>(?:&nbsp;|\s)*</th>", r"<td\1></td>", html)
    return HTML(
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(label)}">{html}</div>'
    )


def reading(params: ExperimentParams) -> Markdown | None:
    """What is to be seen in the shipped run, where this is that run; under others, nothing."""
    path = READINGS / f"{params.experiment}.md"
    if params != load_params(params.experiment, SHIPPED) or not path.exists():
        return None
    return Markdown(path.read_text(encoding="utf-8"))


def verdict_table(params: ExperimentParams, verdicts: list[Verdict]) -> HTML:
    """The verdicts with their criteria; beside another run, those of the shipped results too."""
    shown = table(ledger_table(verdicts), "Verdicts").data if verdicts else "<p>None.</p>"
    if params.profile != SHIPPED and tested(_model(params)):
        shipped = verdicts_of(load_params(params.experiment, SHIPPED))
        shown += f"<p>The shipped results, of the profile {SHIPPED}:</p>"
        shown += table(ledger_table(shipped), "Verdicts of the shipped results").data
    return HTML(shown)


def protocol(params: ExperimentParams) -> HTML:
    """What the paper did, what we do, why it differs, and what this run cuts."""
    stated = module_of(params).PROTOCOL
    rows = {"The paper": stated.paper, "Here": stated.ours, "Why": stated.why}
    told = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in rows.items())
    return HTML(
        f'<dl class="protocol">{told}<dt>This run</dt><dd>{escape(_cuts(params))}</dd></dl>'
    )


def footer(params: ExperimentParams, df: pd.DataFrame) -> HTML:
    """How to run this page again, its files, and where its numbers come from."""
    name = params.experiment
    changes = _changes(params)
    papermill = "".join(f" -p {field} '{value}'" for field, value in changes.items())
    reproduce = "".join(f" -p {field}='{value}'" for field, value in changes.items())
    commands = (
        f"cd notebooks && papermill {name}.ipynb out.ipynb -p profile {params.profile}{papermill}\n"
        f"reproduce run {name} --profile {params.profile}{reproduce}\n"
        f"reproduce book {name} --profile {params.profile}"
    )
    links = [
        f'<a download href="{name}.ipynb">notebook</a>',
        f'<a download href="../reproducer/experiments/{name}.py">module</a>',
    ]
    if (shipped_dir() / f"{name}.parquet").exists():
        links.insert(2, f'<a download href="../data/results/{name}.parquet">shipped results</a>')
    return HTML(
        f'<div class="footer"><div class="highlight"><pre>{escape(commands)}</pre></div>'
        f"<p>{_measured(df)}</p><p>Files: {', '.join(links)}.</p></div>"
    )


def _model(params: ExperimentParams) -> str:
    return (getattr(params, "models", None) or (params.model,))[0]


def _cuts(params: ExperimentParams) -> str:
    return cut_note(params).removeprefix("Against the papers' protocol: ")


def _changes(params: ExperimentParams) -> dict[str, object]:
    """The parameters that a run has beyond its profile, as JSON would write lists."""
    usual = load_params(params.experiment, params.profile).model_dump(mode="json")
    now = params.model_dump(mode="json")
    return {field: value for field, value in now.items() if value != usual[field]}


def _measured(df: pd.DataFrame) -> str:
    """How long the fits took where they were computed, with which code and when."""
    if not {"seconds", "device", "commit", "date"} <= set(df.columns) or df.empty:
        return ""
    fits = df.drop_duplicates("key") if "key" in df.columns else df
    days = sorted({str(date)[:10] for date in fits["date"]})
    commits = sorted({str(commit)[:7] for commit in fits["commit"]})
    devices = ", ".join(sorted(set(fits["device"])))
    return (
        f"Its {len(fits):,} fits took {fits['seconds'].sum() / 60:.1f} minutes of wall time "
        f"together, on {escape(devices)}, from {days[0]} to {days[-1]} "
        f"(commit {escape(', '.join(commits))})."
    )

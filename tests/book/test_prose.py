"""Prose holds no number that a run could change, in digits or in words: cells show those."""

import re
from pathlib import Path

import nbformat
import pytest

from reproducer.experiments import EXPERIMENTS, experiment
from reproducer.paths import ROOT
from tests.book import number_words

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
READINGS = sorted((ROOT / "notebooks" / "readings").glob("*.md"))
PROSE = [*sorted((ROOT / "book").glob("*.md")), ROOT / "README.md"]
# "One" is left out: it is an article and a pronoun far more often than a number.
WORDS = re.compile(
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|"
    r"eigh|nine)teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty|hundreds?|thousands?|millions?|"
    r"dozens?|half|halves|thirds?|quarters?|(?:fif|six|seven|eigh|nin|ten)ths?|twice|thrice|"
    r"double[ds]?|\w+fold|orders? of magnitude)\b",
    re.IGNORECASE,
)
# What may have digits, and goes before the scan.
FREE = {
    "code": r"```.*?```|`[^`]*`",
    "equations": r"\$\$.*?\$\$|\$[^$]*\$",
    "citations and links": r"\[[^\]]*\b\d{4}\]\([^)]*\)|\]\([^)]*\)",
    "tables, figures and sections of a paper": r"\b(?:Tables?|Figures?|Sections?) [\d.]+(?:–\d+)?",
    "experiments": r"\b[AB]\d+\b",
    "numbers of a list": r"(?m)^\d\. ",
    "names": r"\b[A-Z][A-Za-z]+\d*(?:-[\w.]+)+|\b(?:bfloat16|float32|H100|distinct-2)\b",
    "the level of all intervals": r"95 %",
}
PAPER, DEFINED = "the paper's protocol or finding", "a definition or a criterion, fixed in the code"
GIVEN = "a published figure of the hardware, or an assumption that the page names"
ALLOWED = {
    "anchoring": {
        "At weight 0.02": PAPER,
        "falls to about 0; at 0.5": PAPER,
        "The weight 0 is": DEFINED,
        "has length 1,": DEFINED,
    },
    "arrangements": {
        "from 1 to 1024 tokens of 50 natural texts": PAPER,
        "add up to 1.": DEFINED,
        "A cosine of 1": DEFINED,
    },
    "attention": {"at position 1 is 1": DEFINED},
    "capacity": {
        "at least 0.99": PAPER,
        "groups to 1,": DEFINED,
        "Below 100 tokens an accuracy of 0.99": DEFINED,
    },
    "connectivity": {
        "at most 1.2 times": PAPER,
        "0.99 or more": DEFINED,
    },
    "cost": {
        "989 TFLOP/s for dense": GIVEN,
        "taken to reach 35 %, and 80 GB": GIVEN,
        "SmolLM2's tokenizer": "a name",
        "at most 60 %": DEFINED,
    },
    "distances": {"take 50 contexts": PAPER, "0.5 would be no difference": DEFINED},
    "distillation": {"of weight 0,": DEFINED},
    "architecture": {"at least 0.99": PAPER},
    "information": {"at least 0.99": PAPER, "is its mean, about 2.": PAPER},
    "noise": {"with mean 1,": DEFINED, "than 0.05 apart": PAPER, "within 0.05": DEFINED},
    "precision": {"±0.03": DEFINED},
    "protocol": {"in 95 of 100 samples": DEFINED},
    "recipes": {
        "learning rate 0.01 and both betas 0.9, up to 5000 steps": PAPER,
        "an accuracy of 0.95": DEFINED,
    },
    "same_context": {"0.5 would be no difference": DEFINED, "above 0.5 may": DEFINED},
    "semantics": {"to length 1,": DEFINED},
    "sharing": {
        "256 texts of 256 tokens, groups of up to 256 and 10 seeds": PAPER,
        "mean accuracy of 0.99": DEFINED,
        "a token in 20": DEFINED,
    },
    "throughput": {
        "mean ratio of 279": PAPER,
        "exceed 100,": DEFINED,
    },
}


def prose_of(path: Path) -> str:
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def numbers_in(prose: str, allowed: dict[str, str]) -> list[str]:
    """The words with a digit that are neither free nor allowed, with what stands around them."""
    for pattern in FREE.values():
        prose = re.sub(pattern, " ", prose, flags=re.DOTALL)
    for phrase in allowed:
        prose = prose.replace(phrase, " ")
    return re.findall(r".{0,30}\d.{0,20}", prose)


@pytest.mark.parametrize(
    "path", [*NOTEBOOKS, *READINGS], ids=lambda path: f"{path.stem}{path.suffix}"
)
def test_no_number_that_a_run_could_change_is_typed_into_prose(path: Path):
    allowed = ALLOWED.get(path.stem, {}) if path.suffix == ".ipynb" else {}
    prose = prose_of(path)
    assert [phrase for phrase in allowed if phrase not in prose] == []
    assert numbers_in(prose, allowed) == []


def words_in(prose: str, allowed: dict[str, str]) -> list[str]:
    """The numbers spelled in words that are neither free nor allowed, with what stands around."""
    prose = re.sub(rf"{FREE['code']}|{FREE['equations']}", " ", prose, flags=re.DOTALL)
    prose = " ".join(prose.split())
    for phrase in allowed:
        prose = prose.replace(phrase, " ")
    for pattern in number_words.EVERYWHERE:
        prose = re.sub(pattern, " ", prose)
    return [prose[max(0, at.start() - 30) : at.end() + 20] for at in WORDS.finditer(prose)]


@pytest.mark.parametrize("path", [*NOTEBOOKS, *READINGS, *PROSE], ids=lambda path: path.name)
def test_no_number_that_a_run_could_change_is_spelled_in_words(path: Path):
    allowed, prose = number_words.ALLOWED.get(path.name, {}), prose_of(path)
    assert [phrase for phrase in allowed if phrase not in " ".join(prose.split())] == []
    assert words_in(prose, allowed) == []


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_no_number_that_a_run_could_change_stands_in_the_protocol(name: str):
    protocol, allowed = experiment(name).PROTOCOL, number_words.PROTOCOLS.get(name, {})
    prose = f"{protocol.ours} {protocol.why}"
    assert [phrase for phrase in allowed if phrase not in prose] == []
    assert numbers_in(prose, allowed) == words_in(prose, allowed) == []


def test_the_list_of_allowed_words_names_pages_that_there_are():
    names = {path.name for path in [*NOTEBOOKS, *READINGS, *PROSE]}
    assert set(number_words.ALLOWED) <= names
    assert set(number_words.PROTOCOLS) <= set(EXPERIMENTS)


@pytest.mark.parametrize("told", ["thirty times as long", "Half the\nsteps", "a threefold gain"])
def test_a_number_in_words_is_found(told: str):
    assert words_in(f"Of its two vectors: {told}, `twice`.", {})
    assert not words_in(f"Of its two vectors: {told}.", {" ".join(told.split()): "a reason"})


def test_a_typed_number_is_found():
    assert numbers_in("Accuracy falls from 0.94 to 0.80 in Table 2, `n=3`.", {})
    assert not numbers_in("As in [Someone 2025](a.md), Table 2: $N=3$, `n=3`, 95 % intervals.", {})

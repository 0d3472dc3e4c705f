"""The landing page: chips, tokens and claims follow from verdicts and stored vectors."""

import json
import re

import pytest

from reproducer.app import landing
from reproducer.app.reconstructions import FILE, came_back, shown_fits
from reproducer.app.tokens import pieces
from reproducer.experiments.claims import Verdict
from reproducer.experiments.ledger import VERDICTS
from reproducer.experiments.profiles import SHIPPED
from reproducer.models.card import model_card
from reproducer.paths import shipped_dir
from reproducer.results.known import Known


def shipped_verdicts() -> list[Verdict]:
    entries = json.loads((shipped_dir() / f"ledger-{SHIPPED}.json").read_text(encoding="utf-8"))
    return [v for entry in entries.values() for v in VERDICTS.validate_python(entry["verdicts"])]


def some(**changes) -> Verdict:
    first = next(v for v in shipped_verdicts() if v.id == "A1.one-token")
    return first.model_copy(update=changes)


def place(html: str, name: str) -> float:
    return float(re.search(rf'class="{name}" style="left:([\d.]+)%', html)[1])


def test_shipped_reconstructions_are_what_the_vectors_were_measured_to_give():
    kept = json.loads((shipped_dir() / FILE).read_text(encoding="utf-8"))
    fits = shown_fits(SHIPPED, Known())
    assert {fit.key for fit in fits} == set(kept)
    for fit in fits:
        wanted = fit.spec["texts"][0]["tokens"]
        right = [mine == theirs for mine, theirs in zip(wanted, came_back(fit), strict=True)]
        assert right == fit.arrays["correct"][0].tolist()


def test_a_character_of_several_tokens_is_shown_whole():
    tokenizer = model_card("tiny").tokenizer  # one token a byte
    wanted = tokenizer.encode("aЖ€b")
    found = pieces(tokenizer, wanted, wanted)
    assert [(p.came, p.n_tokens) for p in found] == [("a", 1), ("Ж", 2), ("€", 3), ("b", 1)]
    wrong = [*wanted[:2], *tokenizer.encode("c"), *wanted[3:]]
    assert [p.right for p in pieces(tokenizer, wanted, wrong)] == [True, False, True, True]


def test_a_claim_holds_to_the_right_of_its_criterion():
    below = landing._axis(some(ours=0.1, low=0.0, high=0.4, criterion="below 0.5 (a reason)"))
    above = landing._axis(some(ours=0.1, low=0.0, high=0.4, criterion="above 0.5 (a reason)"))
    assert place(below, "ours") > 50 > place(above, "ours")
    assert place(below, "zone") == place(above, "zone") == 50


@pytest.mark.parametrize(("ours", "inside"), [(0.0, True), (0.2, False)])
def test_a_claim_between_two_ends_holds_in_the_middle(ours: float, inside: bool):
    drawn = landing._axis(some(id="x", ours=ours, criterion="between -0.1 and 0.1 (a reason)"))
    low = place(drawn, "zone")
    assert (low <= place(drawn, "ours") <= 100 - low) == inside


def test_the_papers_numbers_that_are_drawn_are_those_that_they_published():
    published = {v.id: v.published for v in shipped_verdicts()}
    for name, value in landing.PUBLISHED.items():
        numbers = [float(x) for x in re.findall(r"[\d.]*\d", published[name])]
        assert value in numbers


def test_the_tally_counts_the_papers_claims_and_our_own_apart():
    html = landing.tally([some(), some(), some(own=True, verdict="holds")]).data
    assert "<strong>2</strong> reproduced" in html and "<strong>1</strong> holds" in html


def test_untested_claims_are_folded_and_say_what_they_need():
    html = landing.claim_list([some(), some(verdict="not tested here", needs="a GPU")]).data
    tested, untested = html.split("<details>")
    assert "It needs: a GPU." in untested and "It needs" not in tested

"""The slider along the paths holds the means of the rows, and nothing that a text could break."""

import json
import re

import pandas as pd
import pytest

from reproducer.app.walk import ALL, accuracies, along

ROWS = [
    (text, pair, path, t, accuracy)
    for text, pair, straight in (("one", "a", 0.0), ("one", "b", 0.5), ("two", "c", 1.0))
    for path, middle in (("straight", straight), ("curved", 1.0))
    for t, accuracy in ((0.0, 1.0), (0.5, middle), (1.0, 1.0))
]
DF = pd.DataFrame(ROWS, columns=["text", "pair", "path", "t", "accuracy"])


def numbers_in(html: str) -> dict:
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', html)[1])


def test_a_text_counts_once_whatever_the_number_of_its_pairs():
    found = accuracies(DF.sample(frac=1, random_state=0))
    assert found["t"] == [0, 0.5, 1]
    assert found["accuracy"]["one"]["straight"] == [1, 0.25, 1]
    assert found["accuracy"][ALL]["straight"] == [1, pytest.approx((0.25 + 1) / 2), 1]
    assert found["accuracy"][ALL]["curved"] == [1, 1, 1]
    assert list(found["accuracy"]) == [ALL, "one", "two"]


def test_the_page_holds_the_numbers_and_hides_them_from_readers_without_scripts():
    html = along(DF).data
    assert numbers_in(html) == accuracies(DF)
    assert html.startswith('<div class="walk" hidden>') and "<noscript>" in html
    assert 'max="2"' in html


def test_a_name_cannot_end_the_script():
    odd = "</script><b>"
    html = along(DF.replace({"text": {"one": odd}})).data
    assert odd not in html and odd in numbers_in(html)["accuracy"]


def test_without_paths_there_is_nothing_to_walk_along():
    assert "No path" in along(DF.iloc[:0]).data

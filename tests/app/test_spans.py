"""What came back is marked in whole characters, whatever tokens they are made of."""

from itertools import pairwise

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from reproducer.app.spans import CUT, Span, spans
from reproducer.models.card import TextTokenizer, byte_tokenizer, model_card

BYTES = TextTokenizer(byte_tokenizer())  # a token a byte
TEXTS = {
    "Cyrillic": "Поезд прибыл.",
    "joined emoji": "Go 👩‍👩‍👧‍👦, go 🏳️‍🌈!",
    "combining marks": "Cafe\u0301 a\u0323\u0302n",
    "Korean": "안녕 world",
    "flags": "🇫🇷🇯🇵",
}


@pytest.fixture(params=["bytes", "smollm2-135m"])
def tokenizer(request):
    return BYTES if request.param == "bytes" else model_card(request.param).tokenizer


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
class TestCharactersOfSeveralTokens:
    def test_all_right(self, text, tokenizer):
        tokens = tokenizer.encode(text)
        assert len(tokens) > 3
        assert spans(tokens, tokens, tokenizer.decode, text) == [Span(text, text, True)]

    def test_one_wrong_token_makes_its_characters_wrong_and_no_others(self, text, tokenizer):
        tokens = tokenizer.encode(text)
        (x,) = tokenizer.encode("x")
        for wrong in range(len(tokens)):
            came = [*tokens[:wrong], x, *tokens[wrong + 1 :]]
            found = spans(tokens, came, tokenizer.decode, text)
            assert "".join(span.wanted for span in found) == text
            assert [span.wanted for span in found if not span.right] == [
                _smallest_around(wrong, tokens, tokenizer.decode, text)
            ]


def _smallest_around(wrong, tokens, decode, text):
    """The shortest whole characters of `text` that whole tokens make, `wrong` among them."""
    whole = regex.findall(r"\X", text)
    prefixes = {"".join(whole[:n]) for n in range(len(whole) + 1)}
    ends = [n for n in range(len(tokens) + 1) if decode(tokens[:n]) in prefixes]
    first, after = max(n for n in ends if n <= wrong), min(n for n in ends if n > wrong)
    return decode(tokens[:after]).removeprefix(decode(tokens[:first]))


def test_a_character_that_the_last_token_cuts():
    text = "до дома"
    tokens = BYTES.encode(text)[:6]  # two bytes a letter: the second д is cut
    assert spans(tokens, tokens, BYTES.decode, text) == [Span(f"до {CUT}", f"до {CUT}", True)]
    came = [*tokens[:5], *BYTES.encode("x")]
    assert spans(tokens, came, BYTES.decode, text)[1] == Span(CUT, "x", False)


def test_neighbouring_wrong_tokens_are_read_together():
    """Apart, the two halves of a letter that came instead would be no characters."""
    found = spans(BYTES.encode("abc"), BYTES.encode("жc"), BYTES.decode, "abc")
    assert found == [Span("ab", "ж", False), Span("c", "c", True)]


@settings(deadline=None)
@given(st.text(min_size=1, max_size=12), st.data())
def test_any_text_with_any_tokens_wrong(text, data):
    tokens = BYTES.encode(text)
    came = [data.draw(st.sampled_from([token, 65])) for token in tokens]
    found = spans(tokens, came, BYTES.decode, text)
    assert "".join(span.wanted for span in found) == text
    assert all(span.wanted == span.came for span in found if span.right)
    assert all(a.right != b.right for a, b in pairwise(found))
    assert all(span.right for span in found) == (came == list(tokens))
    ends = {match.end() for match in regex.finditer(r"\X", text)}
    lengths = [len(span.wanted) for span in found]
    assert {sum(lengths[:n]) for n in range(1, len(found) + 1)} <= ends

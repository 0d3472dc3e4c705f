"""Text sources: selection, digests, errors."""

import json
import zipfile

import pytest

from reproducer.errors import ReproducerError
from reproducer.models.card import model_card
from reproducer.paths import data_dir
from reproducer.texts import glove
from reproducer.texts import sources as corpora
from reproducer.texts.sources import Text, halves, load_texts, passages


def test_second_half_of_the_sentences():
    assert halves("One. Two. Three. Four.") == ("One. Two.", "Three. Four.")
    assert halves("One. Two. Three.") == ("One.", "Two. Three.")
    assert halves("Alone.") == ("", "Alone.")


def test_texts_are_prefixes_of_second_halves():
    passage = next(passages("unseen"))
    text = load_texts("unseen", "tiny", 1, 40)[0]
    assert text.id == passage.id
    decoded = model_card("tiny").tokenizer.decode(text.prefix(40).tokens)
    assert decoded == passage.second_half[:40]


@pytest.mark.parametrize("source", ["unseen", "seen"])
def test_shipped_passages_are_halved_as_their_text_would_be(source):
    """The halves are stored, so that no tokenizer of sentences is needed to find them again."""
    for passage in passages(source):
        whole = f"{passage.first_half} {passage.second_half}".strip()
        assert halves(whole) == (passage.first_half, passage.second_half)


def test_unseen_holds_enough_long_passages():
    lines = (data_dir() / "texts" / "unseen.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    assert len(entries) >= 50
    assert len({e["second_half"] for e in entries}) == len({e["id"] for e in entries})
    assert len({e["id"] for e in entries}) == len(entries)
    # English runs at fewer than 1.5 words a token: 180 words are well over 200 tokens.
    assert min(len(e["second_half"].split()) for e in entries) >= 170


def test_seen_is_prose():
    pages = [passage.first_half + passage.second_half for passage in passages("seen")]
    assert len(pages) > 40
    assert all(">>>" not in page and "::=" not in page for page in pages)


@pytest.mark.parametrize("source", ["random", "unseen", "seen"])
def test_a_shorter_text_is_a_prefix_and_a_second_call_is_equal(source):
    long = load_texts(source, "tiny", 3, 30)
    again = load_texts(source, "tiny", 3, 10)
    for a, b in zip(long, again, strict=True):
        assert a.id == b.id and a.tokens[:10] == b.tokens[:10]
    assert len({t.prefix(10).digest for t in long}) == 3


def test_digest_depends_on_tokens_only():
    a = Text(source="x", id="1", tokens=(1, 23))
    assert a.digest == Text(source="y", id="2", tokens=(1, 23)).digest
    assert a.digest != Text(source="x", id="1", tokens=(12, 3)).digest


def test_too_few_texts_name_the_longest_usable_length():
    encode = model_card("tiny").tokenizer.encode
    lengths = sorted((len(encode(p.second_half)) for p in passages("unseen")), reverse=True)
    with pytest.raises(ReproducerError, match=f"longest usable length for 5 texts is {lengths[4]}"):
        load_texts("unseen", "tiny", 5, 5000)
    with pytest.raises(ReproducerError, match="it holds 52 texts in all"):
        load_texts("unseen", "tiny", 53, 4)


def test_unknown_source():
    with pytest.raises(ReproducerError, match="did you mean 'unseen'"):
        load_texts("unsen", "tiny", 1, 1)


def test_hub_data_sets_through_their_real_loader(tmp_path, monkeypatch):
    """The loader runs on a small local data set of the hub's format."""
    import datasets

    real = datasets.load_dataset
    (tmp_path / "chunks.csv").write_text('text\n"One two. Three four. Five six. Seven eight."\n')
    asked = []

    def local(name, split):
        asked.append(name)
        return real("csv", data_files=str(tmp_path / "chunks.csv"), split=split)

    monkeypatch.setattr(datasets, "load_dataset", local)
    (text,) = load_texts("pg19", "tiny", 1, 5)
    assert asked == ["yurakuratov/pg19_valid_1k_chunks"]
    assert model_card("tiny").tokenizer.decode(text.tokens) == "Five six. Seven eight."


def test_unreachable_data_set_names_what_works():
    with pytest.raises(ReproducerError, match="unseen, seen and random work without it"):
        load_texts("fanfics", "tiny", 1, 1)


def test_glove_words(tmp_path, monkeypatch):
    archive = tmp_path / "glove.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(glove.MEMBER, "the 0.1 0.2\nof 0.3 0.4\nand 0.5 0.6\n")
    assert glove.read_words(archive, 2) == ["the", "of"]
    with pytest.raises(ReproducerError, match="expected 4 words"):
        glove.read_words(archive, 4)


def test_random_words_come_from_the_list_that_the_name_says(monkeypatch):
    monkeypatch.setattr(glove, "glove_words", lambda n: ["zyzzyva"])
    corpora._vocabulary.cache_clear()
    (text,) = load_texts("random-glove", "tiny", 1, 7)
    assert text.source == "random-glove"
    assert model_card("tiny").tokenizer.decode(text.tokens) == "zyzzyva"
    corpora._vocabulary.cache_clear()
    assert load_texts("random", "tiny", 1, 7)[0].source == "random-wordfreq"
    corpora._vocabulary.cache_clear()


def test_stand_ins_are_as_long_as_asked_and_differ_by_source():
    names = sorted(corpora.STAND_INS)
    texts = {name: load_texts(name, "tiny", 3, 40) for name in names}
    assert all(len(text.tokens) == 40 for some in texts.values() for text in some)
    assert len({text.tokens for some in texts.values() for text in some}) == 3 * len(names)
    assert load_texts(names[0], "tiny", 3, 40) == texts[names[0]]
    assert not set(names) & set(corpora.SOURCES)


def test_stretches_are_a_text_in_parts_without_what_is_left_over():
    text = load_texts("unseen", "tiny", 1, 11)[0].prefix(11)
    first, second = text.stretches(4)
    assert first.tokens + second.tokens == text.tokens[:8]
    assert (first.id, second.id) == (f"{text.id}[0]", f"{text.id}[1]")
    assert text.stretches(12) == [] and text.stretches(11)[0].tokens == text.tokens

"""Shipped texts: a damaged file is told by name and line."""

import pytest

from reproducer.errors import ReproducerError
from reproducer.texts import shipped
from reproducer.texts.families import load_families
from reproducer.texts.glove import read_words
from reproducer.texts.sources import load_texts

SOUND = b'{"id": "a", "first_half": "One.", "second_half": "Two."}\n'


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "data_dir", lambda: tmp_path)
    (tmp_path / "texts").mkdir()
    return tmp_path / "texts" / "unseen.jsonl"


def test_a_sound_file(file):
    file.write_bytes(SOUND)
    assert [text.id for text in load_texts("unseen", "tiny", 1, 4)] == ["a"]


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b'{"id": "a"}', b"5", b"null", b"\x00", SOUND[:-9], b"[" * 9999]
)
def test_a_damaged_line(file, line):
    file.write_bytes(SOUND + line + b"\n")
    with pytest.raises(ReproducerError, match="line 2: expected JSON with id, first_half"):
        load_texts("unseen", "tiny", 2, 1)


@pytest.mark.parametrize("content", [None, "folder", b"\xff\xfe"])
def test_a_file_that_cannot_be_read(file, content):
    if content == "folder":
        file.mkdir()
    elif content:
        file.write_bytes(content)
    with pytest.raises(ReproducerError, match="cannot read .*unseen.jsonl"):
        load_texts("unseen", "tiny", 1, 1)
    with pytest.raises(ReproducerError, match="cannot read .*paraphrases.jsonl"):
        load_families("paraphrases", 1)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04" + b"\0" * 60])
def test_a_damaged_archive_of_words(tmp_path, content):
    (tmp_path / "words.zip").write_bytes(content)
    with pytest.raises(ReproducerError, match="expected glove.6B.50d.txt in"):
        read_words(str(tmp_path / "words.zip"), 3)

"""A file is replaced whole or not at all."""

import os

import pytest

from reproducer.files import replace_bytes, replace_text


def test_the_new_text_is_in_place_and_nothing_beside_it(tmp_path):
    (tmp_path / "a.json").write_text("old")
    replace_text(tmp_path / "a.json", "né")
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_bytes() == "né".encode()


def test_bytes_and_line_ends_are_written_as_they_are(tmp_path):
    content = bytes(range(256))
    replace_bytes(tmp_path / "a", content)
    replace_text(tmp_path / "b", "one\ntwo\r\n")
    assert (tmp_path / "a").read_bytes() == content
    assert (tmp_path / "b").read_bytes() == b"one\ntwo\r\n"


def test_the_content_is_on_the_disk_before_it_is_put_in_place(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        really = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, n=name, r=really: (calls.append(n), r(*a)))
    replace_bytes(tmp_path / "a", b"new")
    assert calls == ["fsync", "replace"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_what_was_there_stays_if_the_disk_fails(tmp_path, monkeypatch, call):
    def full(*_):
        raise OSError("no space left")

    (tmp_path / "a.json").write_text("old")
    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="no space left"):
        replace_text(tmp_path / "a.json", "new")
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "old"

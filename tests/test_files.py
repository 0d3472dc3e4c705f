"""A file is replaced whole or not at all."""

import os

import pytest

from reproducer.files import replace_text


def test_the_new_text_is_in_place_and_nothing_beside_it(tmp_path):
    (tmp_path / "a.json").write_text("old")
    replace_text(tmp_path / "a.json", "né")
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_bytes() == "né".encode()


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

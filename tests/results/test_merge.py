"""Results of several stores, united in one."""

import numpy as np
import pytest

from reproducer.errors import ReproducerError
from reproducer.results.merge import merge
from reproducer.results.store import Store
from tests.results.samples import raw, result, same


def test_merge(tmp_path, store, caplog):
    other, target = Store(tmp_path / "other"), Store(tmp_path / "target")
    slower = result(0, metrics={**result(0).metrics, "seconds": 9.0})
    odd = result(1, arrays=result(1).arrays | {"rows": np.ones((2, 4), np.float32)})
    for each in (slower, odd, result(2), result(3)):
        other.put(each)
    raw(other, "UPDATE results SET metrics = 'damaged' WHERE key = ?", result(3).key)
    assert merge([store.folder], target) == {"copied": 2, "known": 0, "different": 0}
    assert merge([other.folder], target) == {"copied": 1, "known": 1, "different": 1}
    assert "differs" in caplog.text and "is damaged" in caplog.text
    for number in range(3):
        assert same(target.get(result(number).key), result(number))
    with pytest.raises(ReproducerError, match="expected a result store in .*nothing"):
        merge([store.folder, tmp_path / "nothing"], target)


def test_merge_takes_what_is_left_of_a_damaged_file(tmp_path, caplog):
    source, target = Store(tmp_path / "source"), Store(tmp_path / "target")
    for number in range(60):
        source.put(result(number))
    source.close()
    content = bytearray(source.path.read_bytes())
    pages = len(content) // 4096
    content[4096 * (pages - 10) : 4096 * (pages - 9)] = bytes([0xAA]) * 4096
    source.path.write_bytes(content)
    counts = merge([source.folder], target)
    assert 0 < counts["copied"] < 60 and "cannot be read" in caplog.text
    for key in target.keys():
        assert target.get(key) is not None

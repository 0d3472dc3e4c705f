"""Where a store lies: who may read it and write to it, and whether there is room."""

import os
import resource
import shutil
import stat
import tempfile
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from reproducer.errors import ReproducerError
from reproducer.results import store as module
from reproducer.results.store import Store
from tests.results.samples import raw, result, same, set_aside


def test_too_many_open_files_damage_nothing(store):
    other = Store(store.folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        with pytest.raises(ReproducerError, match="cannot use the result store .*unable to open"):
            other.get(result(0).key)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert same(other.get(result(0).key), result(0)) and set_aside(store) == []


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as other users")
NOBODY = 65534


def as_nobody(check):
    """Whether `check` holds in a process of another user."""
    child = os.fork()
    if child == 0:
        try:
            os.setgid(NOBODY), os.setuid(NOBODY)
            os._exit(0 if check() else 1)
        except BaseException:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.fixture
def public(store):
    """The store in a folder that every user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="reproducer-test-"))
    folder.chmod(0o755)
    store.close()
    shutil.copy(store.path, folder)
    yield Store(folder)
    shutil.rmtree(folder)


@as_root
def test_another_user_reads_and_a_file_without_permission_is_no_damage(public):
    key = result(0).key
    public.path.chmod(0o644)
    assert as_nobody(lambda: same(Store(public.folder).get(key), result(0)))
    assert as_nobody(lambda: refuses(lambda: Store(public.folder).put(result(2))))
    assert as_nobody(lambda: refuses(lambda: Store(public.folder).require_writable()))
    public.path.chmod(0o600)
    assert as_nobody(lambda: refuses(lambda: Store(public.folder).get(key)))
    assert same(public.get(key), result(0)) and set_aside(public) == []


@as_root
def test_another_user_reads_beside_an_open_writer(public):
    public.put(result(3))
    assert Path(f"{public.path}-wal").stat().st_size > 0
    assert as_nobody(lambda: same(Store(public.folder).get(result(3).key), result(3)))


@as_root
def test_a_folder_that_can_only_be_read(public):
    """As on a read-only file system, where no log can lie beside the file."""
    public.folder.chmod(0o555)
    public.path.chmod(0o444)
    assert as_nobody(lambda: same(Store(public.folder).get(result(1).key), result(1)))
    raw(public, "UPDATE results SET metrics = '{}'")
    assert as_nobody(lambda: Store(public.folder).get(result(1).key) is None)


def refuses(action):
    try:
        action()
    except ReproducerError as error:
        return "cannot use the result store" in str(error)
    return False


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_the_umask_decides_who_may_read(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        store = Store(tmp_path / "own")
        store.put(result(0))
        for path in store.folder.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == mode, path
    finally:
        os.umask(before)


def test_a_place_that_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ReproducerError, match="set REPRODUCER_STORE to a folder that can be used"):
        Store(tmp_path / "file" / "store").put(result(0))
    with pytest.raises(ReproducerError, match="set REPRODUCER_STORE to a folder that can be used"):
        Store(tmp_path / "file" / "store").require_writable()


def test_no_room(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage(1, 1, 5 << 20))
    with pytest.raises(ReproducerError, match="expected 64 MiB free .*got 5 MiB"):
        Store(tmp_path).put(result(0))


def test_a_disk_that_fills_up_while_writing(store):
    store._connection.execute("PRAGMA max_page_count = 1")  # SQLite's own report of a full disk
    big = result(2, arrays=result(2).arrays | {"rows": np.zeros((2, 1 << 16), np.float32)})
    with pytest.raises(ReproducerError, match="cannot use the result store .*full"):
        store.put(big)
    assert same(store.get(result(0).key), result(0)) and big.key not in store
    store.close()
    store.put(big)
    assert same(store.get(big.key), big)

"""Files that are replaced whole: whoever reads one finds the old or the new, never a part."""

from __future__ import annotations

import os
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """`replace_bytes` of `text` in UTF-8."""
    replace_bytes(path, text.encode())


def replace_bytes(path: Path, content: bytes) -> None:
    """Write `content` beside `path`, have it on the disk, then put it in place of what was there.

    What was there stays if anything fails on the way; raises `OSError`.
    """
    scratch = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        write_to_disk(scratch, content)
        os.replace(scratch, path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def write_to_disk(path: Path, content: bytes) -> None:
    """Write a file; when this returns, its content survives a power cut. Raises `OSError`."""
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())

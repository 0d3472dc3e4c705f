"""Ledgers from wherever they lie: a file, a store of results, a commit of this repository."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reproducer.errors import ReproducerError, shown
from reproducer.experiments.profiles import profile_name
from reproducer.paths import ROOT

# The fields of a verdict by their names. A ledger of another commit may have others than today's.
Row = dict[str, Any]


def ledger_at(place: str, profile: str, alone: bool = False) -> dict[str, Row]:
    """The verdicts in a place, by the claim's id.

    Args:
        place: a file, as `reproduce claims --json` prints it or as it is shipped; the folder of a
            store; or a commit of this repository, whose shipped ledger is meant.
        profile: of which a store's or a commit's verdicts are taken.
        alone: leave out what the repository ships of a store's results.

    Raises:
        ReproducerError: none of these, a file that is no ledger, a commit that ships none.
    """
    path = _path(place)
    if path and path.is_dir():
        return _of_store(path, profile, alone)
    if path and path.is_file():
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ReproducerError(f"cannot read {place!r}: {error}") from error
        return _parsed(text, place)
    file = f"data/results/ledger-{profile_name(profile)}.json"
    commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{place}^{{commit}}")
    if commit is None:
        raise ReproducerError(
            f"expected a ledger's file, a store's folder or a commit of {ROOT}, "
            f"got {shown(place)}"
        )
    text = _git("show", f"{commit.strip()}:{file}")
    if text is None:
        raise ReproducerError(f"expected {file} in the commit {shown(place)}, which ships none")
    return _parsed(text, f"{place}:{file}")


def _path(place: str) -> Path | None:
    """The file or folder in a place, or None where the file system does not take the name."""
    try:
        path = Path(place).expanduser()
        return path if path.exists() else None
    except (OSError, RuntimeError, ValueError):
        return None


def _of_store(folder: Path, profile: str, alone: bool) -> dict[str, Row]:
    from reproducer.experiments.ledger import ledger
    from reproducer.results.known import Known
    from reproducer.results.packs import Packs
    from reproducer.results.store import Store

    store = Store(folder)
    if not store.path.exists():
        raise ReproducerError(f"expected a result store in {folder}, got no {store.path.name}")
    # A folder without packs: a store's own has none.
    known = Known(store, Packs(folder)) if alone else Known(store)
    return {v.id: v.model_dump(mode="json") for v in ledger(profile, known)}


def _git(*words: str) -> str | None:
    """What git says, or None where it fails, is not there, or this is no repository."""
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, check=False)
    except OSError:
        return None
    return None if done.returncode else done.stdout.decode("utf-8", errors="replace")


def _parsed(text: str, place: str) -> dict[str, Row]:
    """The verdicts in a file: a list of them, or for each experiment an entry that has one."""
    try:
        content = json.loads(text)
        if isinstance(content, dict):
            content = _with_holm([row for entry in content.values() for row in entry["verdicts"]])
        rows = {row["id"]: row for row in content}
        readable = all(isinstance(row["verdict"], str) for row in rows.values())
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise ReproducerError(f"expected a ledger in {place!r}, got: {error!r:.100}") from error
    if not readable or len(rows) < len(content):
        raise ReproducerError(f"expected a ledger in {place!r}, each claim once and with its word")
    return rows


def _with_holm(rows: list[Row]) -> list[Row]:
    """The verdicts with Holm's correction, which follows from all of them and is not shipped."""
    from reproducer.experiments.claims import Verdict, with_holm

    try:
        verdicts = [Verdict.model_validate(row) for row in rows]
    except ValidationError:  # those of another commit may have other fields
        return [{name: row[name] for name in row if name != "holm"} for row in rows]
    return [v.model_dump(mode="json") for v in with_holm(verdicts)]

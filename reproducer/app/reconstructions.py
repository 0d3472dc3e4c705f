"""What stored vectors give back in one pass, kept so that a page need not load a model.

The tokens of the fits that the landing page shows come with the repository, beside the results that
they follow from; those of other fits are decoded once and kept in the cache.
"""

from __future__ import annotations

import json
from pathlib import Path

from reproducer.experiments.profiles import load_params
from reproducer.experiments.study import wanted
from reproducer.files import replace_text
from reproducer.models.card import model_card
from reproducer.paths import cache_dir, shipped_dir
from reproducer.results.known import Known
from reproducer.results.specs import Result

FILE = "reconstructions.json"


def shown_fits(profile: str, known: Known) -> list[Result]:
    """The best, middle and worst fit of A1's longest texts, under the model's arrangement."""
    params = load_params("arrangements", profile)
    specs = [
        spec
        for spec in wanted(params, known)
        if spec.kind == "fit"
        and spec.arrangement == model_card(params.model).arrangement
        and len(spec.texts[0].tokens) == max(params.lengths)
    ]
    ranked = sorted(known.all(specs), key=lambda fit: -fit.metrics["accuracy"][0])
    if len(ranked) < 3:
        return ranked
    return [ranked[0], ranked[len(ranked) // 2], ranked[-1]]


def came_back(fit: Result) -> list[int]:
    """The token ids that the vectors of a single-text fit give: looked up, else decoded now."""
    for path in (shipped_dir() / FILE, cache_dir() / FILE):
        if fit.key in (kept := _read(path)):
            return kept[fit.key]
    tokens = _decoded(fit)
    _write(cache_dir() / FILE, _read(cache_dir() / FILE) | {fit.key: tokens})
    return tokens


def ship_reconstructions(profile: str, folder: Path | None = None) -> Path:
    """Decode the fits that the landing page of `profile` shows, and write them beside the packs."""
    path = (folder or shipped_dir()) / FILE
    _write(path, {fit.key: _decoded(fit) for fit in shown_fits(profile, Known())})
    return path


def _decoded(fit: Result) -> list[int]:
    # Imported late: PyTorch takes seconds.
    from reproducer.app.fit_text import reconstruct
    from reproducer.results.run import cached_lm

    return reconstruct(cached_lm(fit.spec["model"]), fit)


def _read(path: Path) -> dict[str, list[int]]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # it is decoded again


def _write(path: Path, tokens: dict[str, list[int]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, json.dumps(tokens, indent=1) + "\n")

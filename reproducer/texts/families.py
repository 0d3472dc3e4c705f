"""Families of texts that say the same: an original and its paraphrases.

`paraphrases` were written for this repository (`data/texts/`). `dolly` is what Bondarenko et
al. used: answers of Dolly-15k, paraphrased by Qwen3-4B at temperature 0.7 and top-p 0.9.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice

import torch

from reproducer.errors import ReproducerError, require_name
from reproducer.paths import cache_dir, data_dir
from reproducer.texts.sources import hub_rows

DOLLY, PARAPHRASER = "databricks/databricks-dolly-15k", "Qwen/Qwen3-4B"
DOLLY_WORDS = range(15, 61)
N_PARAPHRASES = 9
PROMPT = (
    "Rewrite the text below with other words and another sentence structure. Keep its meaning "
    "and its length. Answer with the rewritten text only.\n\n"
)


@dataclass(frozen=True)
class Family:
    """An original and texts of the same meaning."""

    id: str
    original: str
    paraphrases: tuple[str, ...]


def load_families(source: str, n_families: int) -> list[Family]:
    """The first families of a source of `FAMILIES`; raises if it has too few."""
    require_name("source of families", source, FAMILIES)
    found = list(islice(FAMILIES[source](), n_families))
    if len(found) < n_families:
        raise ReproducerError(
            f"source {source!r}: expected {n_families} originals, got {len(found)}"
        )
    return found


def _shipped() -> Iterator[Family]:
    lines = (data_dir() / "texts" / "paraphrases.jsonl").read_text(encoding="utf-8").splitlines()
    for entry in map(json.loads, lines):
        yield Family(entry["id"], entry["original"], tuple(entry["paraphrases"]))


def _dolly() -> Iterator[Family]:
    for number, row in enumerate(hub_rows(DOLLY, "the source paraphrases works")):
        original = " ".join(row["response"].split())
        if len(original.split()) in DOLLY_WORDS:
            yield _paraphrased(f"dolly-{number:05d}", original)


def _paraphrased(name: str, original: str) -> Family:
    """The family of an original, from the cache if it was sampled before."""
    path = cache_dir() / "paraphrases" / f"{name}.json"
    if path.exists():
        known = json.loads(path.read_text(encoding="utf-8"))
        return Family(known["id"], known["original"], tuple(known["paraphrases"]))
    family = Family(name, original, tuple(sample_paraphrases(original)))
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(f".{os.getpid()}.tmp")
    scratch.write_text(json.dumps(asdict(family)), encoding="utf-8")
    os.replace(scratch, path)
    return family


@torch.no_grad()
def sample_paraphrases(original: str) -> list[str]:
    """`N_PARAPHRASES` rewritings by `PARAPHRASER`, one a line of sampling, seeded."""
    # Imported late: the model zoo is not needed for the shipped families.
    from reproducer.results.run import cached_lm

    lm = cached_lm(PARAPHRASER)
    chat = [{"role": "user", "content": PROMPT + original}]
    read = lm.tokenizer.apply_chat_template(
        chat,
        add_generation_prompt=True,
        enable_thinking=False,
        return_tensors="pt",
        return_dict=True,
    ).to(lm.device)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        out = lm.hf.generate(
            **read,
            do_sample=True,
            temperature=0.7,
            top_p=0.9,
            num_return_sequences=N_PARAPHRASES,
            max_new_tokens=2 * read["input_ids"].shape[1],
        )
    fresh = out[:, read["input_ids"].shape[1] :]
    return [" ".join(t.split()) for t in lm.tokenizer.batch_decode(fresh, skip_special_tokens=True)]


FAMILIES: dict[str, Callable[[], Iterator[Family]]] = {"paraphrases": _shipped, "dolly": _dolly}

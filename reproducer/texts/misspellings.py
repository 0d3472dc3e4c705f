"""Lexical variants: the same sentence with typing errors (Bondarenko et al. §3.3).

`augmentex` makes the errors, with the paper's settings. It draws from the global random
states, which are put back; it ignores the seed 0; it may change nothing or put digits into
words. So every variant is checked, and drawn again if it fails.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from reproducer.errors import ReproducerError

# Case flip, common misspelling, neighbouring key, dropped, added, repeated, swapped character.
ACTIONS = ("shift", "orfo", "typo", "delete", "insert", "multiply", "swap")
SETTINGS = {"unit_prob": 0.3, "min_aug": 1, "max_aug": 5, "mult_num": 3}
ATTEMPTS_EACH = 50


def lexical_variants(
    text: str, n_variants: int, accept: Callable[[str], bool] = lambda variant: True
) -> list[str]:
    """`n_variants` different misspellings of `text`, each by one of `ACTIONS`.

    They depend on the text alone. Up to seven use actions of their own; `accept` may refuse
    a variant, which is then drawn again, at last by another action.

    Raises:
        ReproducerError: no acceptable variant.
    """
    mark = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
    order = random.Random(mark).sample(ACTIONS, len(ACTIONS))
    variants: list[str] = []
    for number in range(n_variants):
        turns = [order[(number + later) % len(order)] for later in range(len(order))]
        drawn = (
            _misspelt(text, action, mark + number * ATTEMPTS_EACH + attempt)
            for action in turns
            for attempt in range(ATTEMPTS_EACH)
        )
        good = (v for v in drawn if _is_new(v, text, variants) and accept(v))
        variant = next(good, None)
        if variant is None:
            raise ReproducerError(
                f"expected {n_variants} acceptable variants of {text[:40]!r}, got {len(variants)}"
            )
        variants.append(variant)
    return variants


def _is_new(variant: str, text: str, earlier: list[str]) -> bool:
    foreign = set(variant) - set(text)
    return variant != text and variant not in earlier and all(c.isalpha() for c in foreign)


def _misspelt(text: str, action: str, seed: int) -> str:
    from augmentex import CharAug  # late: a plan that has no variants does without

    with _global_states_kept():
        # Within numpy's 32 bits, and never 0, which would leave the state as it is.
        maker = CharAug(lang="eng", platform="pc", random_seed=seed % (2**32 - 2) + 1, **SETTINGS)
        return maker.augment(text, action=action)


@contextmanager
def _global_states_kept() -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)

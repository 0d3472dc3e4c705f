"""Lengths of states of fitted inputs, against the library's own states one text at a time."""

import numpy as np
import torch

from reproducer import compute
from reproducer.models.language_model import load_lm
from reproducer.readings.state_lengths import StateLengthsSpec
from reproducer.results.fits import FitSpec
from reproducer.solver.recipes import recipe
from reproducer.texts.sources import load_texts


def test_lengths_are_those_of_the_librarys_states():
    fits = tuple(
        FitSpec(
            model="tiny",
            arrangement="[e] [m]x(N-1)",
            texts=(text.prefix(4),),
            recipe=recipe("paper", max_steps=10),
        )
        for text in load_texts("random", "tiny", 2, 4)
    )
    (result,) = compute([StateLengthsSpec(model="tiny", fits=fits)], progress=False)
    lm = load_lm("tiny")
    for spec, found in zip(fits, result.arrays["length"], strict=True):
        (fit,) = compute([spec], progress=False)
        e, m = torch.from_numpy(fit.arrays["rows"])
        states = lm.hf.base_model(
            inputs_embeds=torch.stack([e, m, m, m])[None], output_hidden_states=True
        ).hidden_states
        obvious = [[float(vector.norm()) for vector in state[0]] for state in states[:-1]]
        np.testing.assert_allclose(found, obvious, rtol=1e-5)

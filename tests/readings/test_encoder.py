"""Encoders as results, on the tiny model: what is trained on, kept, read and fitted from."""

import numpy as np
import pytest
import torch

from reproducer import compute
from reproducer.encoder.network import features, inputs
from reproducer.errors import ReproducerError
from reproducer.readings.continuations import ContinuationSpec, texts_of
from reproducer.readings.encoder import (
    EncodedFitSpec,
    EncodedLinesSpec,
    EncodedSpec,
    EncoderSpec,
    Passages,
    encode,
    trained,
)
from reproducer.results.known import Known
from reproducer.results.specs import Result
from reproducer.results.store import Store
from reproducer.solver.recipes import recipe
from reproducer.texts.sources import load_texts, passages

ARRANGEMENT = "[e] [m]x(N-1)"
TEXTS = tuple(text.prefix(3) for text in load_texts("random", "tiny", 5, 3))


def encoder_spec(n_tokens=3, **fields):
    prose = Passages.of("unseen", "tiny", 27, 28)
    asked = {"text_steps": 64, "batch": 8, "width": 16, "passages": (prose,)}
    return EncoderSpec(model="tiny", arrangement=ARRANGEMENT, n_tokens=n_tokens, **asked | fields)


def result_of(spec):
    return compute([spec], progress=False)[0]


def test_passages_are_both_halves_in_order_and_are_held_to_their_digest(tiny):
    chosen = Passages.of("unseen", "tiny", 27, 28)
    halves = [h for p in list(passages("unseen"))[26:28] for h in (p.first_half, p.second_half)]
    assert list(chosen.tokens("tiny")) == [tuple(tiny.tokenizer.encode(half)) for half in halves]
    other = chosen.model_copy(update={"last": 27})
    with pytest.raises(ReproducerError, match="expected tokens of digest"):
        other.tokens("tiny")
    with pytest.raises(ReproducerError, match="expected passages 50 to 60, got 3"):
        Passages.of("unseen", "tiny", 50, 60)


def test_an_encoder_trains_on_passages_and_on_what_the_model_sampled():
    opening = TEXTS[0].prefix(2)
    sampled = ContinuationSpec(model="tiny", context=opening, n_continuations=2, n_tokens=7)
    result = result_of(encoder_spec(sampled=(sampled,)))
    texts = list(encoder_spec().passages[0].tokens("tiny"))
    texts += [text.tokens for text in texts_of(result_of(sampled))]
    assert result.metrics["n_windows"] == sum(len(text) - 2 for text in texts)
    assert result.metrics["text_steps"] == [64] and len(result.metrics["accuracy"]) == 1


def test_the_weights_that_are_kept_give_the_encoder_back(tiny):
    spec = encoder_spec()
    result = result_of(spec)
    kept = trained(spec, result, tiny.d_model)
    assert sum(w.size for w in result.arrays.values()) == result.metrics["n_parameters"]
    assert all(w.dtype == np.float16 for w in result.arrays.values())
    fresh = spec.fresh(tiny.d_model)
    assert not torch.allclose(kept.m, fresh.m)


def test_a_model_in_bfloat16_trains_nearly_the_same_encoder_in_float32():
    exact, fast = (result_of(encoder_spec(dtype=dtype)) for dtype in ("float32", "bfloat16"))
    assert (exact.provenance["dtype"], fast.provenance["dtype"]) == ("float32", "bfloat16")
    assert exact.metrics["nats"] != fast.metrics["nats"]
    assert np.allclose(exact.metrics["nats"], fast.metrics["nats"], rtol=0.02)
    assert set(fast.arrays) == set(exact.arrays)


def test_an_encoder_starts_at_the_one_before(tiny):
    first = encoder_spec(2)
    grown = encoder_spec(3, begun=first, lr=1e-12)  # learns nothing
    shorter = trained(first, result_of(first), tiny.d_model)
    longer = trained(grown, result_of(grown), tiny.d_model)
    torch.testing.assert_close(longer.m, shorter.m, rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(longer.slots[0].weight, shorter.slots[0].weight)
    assert longer.slots[2].weight.abs().max() == 0


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"direction": np.zeros(3, np.float16)},
        "one missing",
        "not finite",
    ],
)
def test_weights_of_another_design_are_refused(tiny, arrays):
    spec = encoder_spec()
    right = {name: w.numpy() for name, w in spec.fresh(tiny.d_model).state_dict().items()}
    if arrays == "one missing":
        arrays = {name: w for name, w in right.items() if name != "direction"}
    elif arrays == "not finite":
        arrays = right | {"direction": np.full(tiny.d_model, np.nan, np.float32)}
    with pytest.raises(ReproducerError, match="encoder abc"):
        trained(spec, Result("abc", {}, {}, arrays), tiny.d_model)


def test_what_comes_back_is_what_the_library_decodes(tiny):
    spec = EncodedSpec(model="tiny", encoder=encoder_spec(), texts=TEXTS)
    arrays = result_of(spec).arrays
    network = trained(spec.encoder, result_of(spec.encoder), tiny.d_model)
    tokens = torch.tensor([text.tokens for text in TEXTS])
    with torch.no_grad():
        e = network(features(tiny, "embeddings", tokens))
        likest = [
            max((j for j in range(5) if j != i), key=lambda j: _likeness(tiny, tokens, i, j))
            for i in range(5)
        ]
        mean = e.mean(0) / e.mean(0).pow(2).mean().sqrt() * 30
        for name, vectors in {
            "encoder": e,
            "nearest": e[likest],
            "mean": mean.expand(5, -1),
        }.items():
            x = inputs(vectors, network.m, "emm")
            logits = tiny.hf(inputs_embeds=x).logits
            obvious = torch.nn.functional.cross_entropy(
                logits.transpose(1, 2), tokens, reduction="none"
            )
            np.testing.assert_allclose(arrays[f"nats_{name}"], obvious, rtol=1e-3)
            right = (logits.argmax(-1) == tokens).numpy()
            assert (arrays[f"correct_{name}"] == right).all()
    np.testing.assert_allclose(arrays["e"], e, rtol=1e-4, atol=1e-4)
    assert not np.allclose(arrays["nats_drawn"], arrays["nats_encoder"])


def _likeness(lm, tokens, i, j):
    means = [lm.embed(tokens[k]).mean(0) for k in (i, j)]
    return float(torch.nn.functional.cosine_similarity(*means, dim=0))


def test_the_metrics_of_a_reading_are_those_of_the_training():
    spec = EncodedSpec(model="tiny", encoder=encoder_spec(), texts=TEXTS)
    assert result_of(spec).metrics == result_of(spec.encoder).metrics


def test_a_fit_starts_at_the_encoders_vectors(tiny):
    encoded = EncodedSpec(model="tiny", encoder=encoder_spec(), texts=TEXTS)
    spec = EncodedFitSpec(
        model="tiny",
        arrangement=ARRANGEMENT,
        texts=TEXTS[3:4],
        encoded=encoded,
        recipe=recipe("long", max_steps=10),
        trace=True,
    )
    arrays = result_of(encoded).arrays
    problem = spec.problem(tiny, [result_of(encoded)])
    np.testing.assert_array_equal(problem.rows, np.stack([arrays["e"][3], arrays["m"]]))
    assert problem.index.tolist() == [[0, 1, 1]] and problem.targets.tolist() == [
        [*TEXTS[3].tokens]
    ]
    fitted = result_of(spec)
    np.testing.assert_allclose(
        fitted.arrays["trace_loss_nats"][0], arrays["nats_encoder"][3].mean(), rtol=1e-3
    )


def test_encode_needs_no_gradient(tiny):
    spec = encoder_spec()
    tokens = torch.tensor([text.tokens for text in TEXTS])
    e = encode(tiny, trained(spec, result_of(spec), tiny.d_model), tokens)
    assert e.shape == (5, tiny.d_model) and not e.requires_grad


def test_lines_lead_from_a_text_to_the_one_with_a_token_changed(tiny):
    spec = EncodedLinesSpec(model="tiny", encoder=encoder_spec(), texts=TEXTS, step=2, n_points=3)
    arrays = result_of(spec).arrays
    network = trained(spec.encoder, result_of(spec.encoder), tiny.d_model)
    tokens = torch.tensor([text.tokens for text in TEXTS])
    for i, place in [(0, 0), (4, 2)]:
        changed = tokens[i].clone()
        changed[place] = tokens[(i + 2) % 5, place]
        assert arrays["changed"][i, place] == bool(changed[place] != tokens[i, place])
        ends = [network(features(tiny, "embeddings", t[None]))[0] for t in (tokens[i], changed)]
        for number, e in enumerate((ends[0], (ends[0] + ends[1]) / 2, ends[1])):
            came = tiny.hf(inputs_embeds=torch.stack([e, network.m, network.m])[None]).logits
            came = came[0].argmax(-1)
            assert (arrays["first"][i, place, number] == (came == tokens[i]).numpy()).all()
            assert (arrays["second"][i, place, number] == (came == changed).numpy()).all()


def test_a_trained_encoder_needs_its_beginning_no_more(monkeypatch):
    """As where the last encoder is shipped and those before it are not."""
    grown = encoder_spec(3, begun=encoder_spec(2))
    known = Known()
    trained_before = result_of(grown)
    monkeypatch.setattr(EncoderSpec, "run", None)  # nothing is trained again
    store = Store(known.store.path.parent / "other")
    store.put(trained_before)
    other = Known(store=store)
    asked = EncodedSpec(model="tiny", encoder=grown, texts=TEXTS)
    (result,) = compute([asked], other, progress=False)
    assert result.arrays["e"].shape[0] == len(TEXTS)
    assert {store.get(key).spec["kind"] for key in store.keys()} == {"encoder", "encoded"}

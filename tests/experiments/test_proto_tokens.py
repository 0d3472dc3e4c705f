"""B1–B6 on the tiny model: specs, frames, figures, bad input, and what the readings mean."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from reproducer.errors import ReproducerError
from reproducer.experiments import (
    attention,
    experiment,
    noise,
    semantic_regularizers,
    semantics,
    syntax,
)
from reproducer.experiments.profiles import load_params
from reproducer.results.run import compute
from reproducer.solver.arrangements import arrangement

# One worker makes what the tests of this file share.
pytestmark = pytest.mark.xdist_group("proto_token_experiments")

NAMES = ("attention", "noise", "semantics", "syntax", "semantic_regularizers")
FIGURES = ("figure", "heatmap_figure", "head_figure", "relational_figure")


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """The frame of each experiment under `smoke`, computed once for this module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPRODUCER_STORE", str(tmp_path_factory.mktemp("store")))
        found = {}
        for name in NAMES:
            params = load_params(name, "smoke")
            found[name] = experiment(name).collect(params)
            pd.testing.assert_frame_equal(
                experiment(name).collect(params, compute_missing=False), found[name]
            )
    return found


@pytest.mark.parametrize("name", NAMES)
def test_shows_its_results_and_gives_no_verdict_on_tiny(frames, name):
    module, frame = experiment(name), frames[name]
    assert not frame.empty and not module.table(frame).empty
    for figure in FIGURES:
        if hasattr(module, figure):
            assert isinstance(getattr(module, figure)(frame), Figure)
    if hasattr(module, "measured"):
        assert isinstance(module.measure_figure(module.measured(frame)), Figure)
    assert module.claims(frame) == []


@pytest.mark.parametrize("name", NAMES)
def test_verdicts_at_too_small_a_scale(frames, name):
    """On a real model such a small run would be counted, and claim nothing."""
    found = experiment(name).claims(frames[name].assign(model="small"))
    assert found and {v.verdict for v in found} == {"not tested at this scale"}
    assert len({v.id for v in found}) == len(found)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_stored_gives_nothing(name):
    frame = experiment(name).collect(load_params(name, "smoke"), compute_missing=False)
    assert frame.empty and experiment(name).claims(frame) == []


@pytest.mark.parametrize("name", ["attention", "noise", "semantics", "syntax"])
def test_an_unsolved_set_is_refused(frames, name):
    with pytest.raises(ReproducerError, match="raise max_steps or lower min_accuracy"):
        experiment(name).table(frames[name].assign(min_accuracy=1.0, accuracy=0.5))


def test_attention_to_e_includes_every_e(tiny):
    params = load_params("attention", "smoke", arrangement="[e m]x(N/2)", n_texts=1)
    *_, reading = compute(attention.specs(params), progress=False)
    roles = arrangement("[e m]x(N/2)").roles(params.n_tokens)
    uniform = [roles[: i + 1].count("e") / (i + 1) for i in range(len(roles))]
    assert reading.arrays["uniform"].tolist() == pytest.approx(uniform)
    shape = (tiny.config.num_hidden_layers, tiny.config.num_attention_heads, len(roles))
    assert reading.arrays["to_e"].shape == shape
    assert reading.arrays["to_e"][..., 0].min() == pytest.approx(1)


def test_noise_of_zero_changes_nothing_and_all_draws_are_read(tiny, frames):
    frame = frames["noise"]
    clean = frame[frame["alpha"] == 0]
    np.testing.assert_allclose(clean["noisy_accuracy"], clean["accuracy"])
    assert len(frame) == 2 * 2 * 4 * 6 * 2  # texts, tokens, noises, alphas, draws


def test_noise_reading_equals_the_library_model(tiny):
    params = load_params("noise", "smoke", n_texts=1)
    spec = next(s for s in noise.specs(params) if s.kind == "noise" and s.token == "m")
    fit, reading = compute([spec.fit, spec], progress=False)
    problem, tables = spec.fit.problem(tiny), spec._tables(fit.arrays["rows"])
    logits = tiny.hf(inputs_embeds=tables[:, problem.index[0]]).logits[:, problem.offset :]
    expected = (logits.argmax(-1) == problem.targets).float().mean(1)
    assert torch.equal(reading.arrays["accuracy"].flatten(), expected)
    moved = (tables - fit.arrays["rows"]).norm(dim=-1).view(len(spec.alphas), -1, 2)
    assert moved[..., 0].max() == 0 and moved[1:, :, 1].min() > 0


def test_semantic_texts_are_new_in_the_part_that_is_fitted(tiny):
    params = load_params("semantics", "smoke", n_lexical=6, n_paraphrases=9)
    (fits,) = (s for s in semantics.specs(params) if s.share == "m")
    assert len(fits.texts) == len({t.tokens for t in fits.texts}) == 3 * 16
    assert {len(t.tokens) for t in fits.texts} == {params.n_tokens}
    kinds = pd.Series([t.id.split("/")[1] for t in fits.texts]).value_counts()
    assert kinds.to_dict() == {"original": 3, "lexical": 18, "paraphrase": 27}


def test_whole_texts_cannot_share_m(tiny):
    params = load_params("semantics", "smoke").model_copy(update={"n_tokens": None})
    with pytest.raises(ReproducerError, match="expected n_tokens for a shared m"):
        semantics.specs(params)
    own = params.model_copy(update={"shares": ("none",)})
    assert len({s.n_tokens for s in semantics.specs(own)}) > 1


def test_too_long_a_cut_names_the_text(tiny):
    with pytest.raises(ReproducerError, match="expected a length between 1 and its"):
        semantics.specs(load_params("semantics", "smoke", n_tokens=150, n_lexical=0))


def test_syntax_lengths_match_across_classes(tiny):
    params = load_params("syntax", "smoke", n_texts=6)
    matched = syntax.texts(params, "matched")
    assert len(matched) == 7 * 6 and {len(t.tokens) for t in matched} == {params.n_tokens}
    groups = [t.id.split("/")[2] for t in matched[:6]]
    assert groups == ["0", "1", "2", "3", "0", "1"]
    assert len({len(t.tokens) for t in syntax.texts(params, "free")}) > 5


def test_length_tells_classes_apart_unless_it_is_matched(tiny):
    shown = syntax.length_table(load_params("syntax", "smoke", n_texts=12))
    told = shown.loc["class told by length"].astype(float)
    assert told["matched"] <= 1 / 7 + 0.01 < 0.2 < told["free"]


def test_impossible_length_of_a_class(tiny, monkeypatch):
    monkeypatch.setattr(syntax, "ATTEMPTS", 100)
    with pytest.raises(ReproducerError, match="expected 1 sentences of 3 tokens from vocabulary"):
        syntax.specs(load_params("syntax", "smoke", n_tokens=3))


def test_the_anchor_starts_at_the_teacher(tiny):
    params = load_params("semantic_regularizers", "smoke")
    for spec in semantic_regularizers.anchor_specs(params):
        start, teacher = spec.problem(tiny).rows[0], torch.tensor(spec.penalty.teacher[0])
        assert torch.equal(start, teacher) == spec.penalty.start_at_teacher


def test_agreement_is_that_of_the_reported_vectors(frames):
    for row in semantic_regularizers.anchored(frames["semantic_regularizers"]).itertuples():
        cosine = row.e @ row.teacher / np.linalg.norm(row.e) / np.linalg.norm(row.teacher)
        assert row.agreement == pytest.approx(cosine, abs=1e-5)
        assert len(row.trace) == row.steps


def test_between_batches_uses_no_pair_of_one_batch(frames):
    related = semantic_regularizers.related(frames["semantic_regularizers"])
    some = related[(related["share"] == "none") & (related["setting"] == "mse × 10")]
    rows = list(some.itertuples())
    pairs = [(a, b) for a in rows for b in rows if a.batch < b.batch]

    def cosine(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    ours = [cosine(a.e, b.e) for a, b in pairs]
    theirs = [cosine(a.teacher, b.teacher) for a, b in pairs]
    found = semantic_regularizers.between_batches(some)[0]
    assert found == pytest.approx(np.corrcoef(ours, theirs)[0, 1])


@pytest.mark.parametrize("size", [1, 2])
def test_a_batch_without_pairs_to_correlate(tiny, size):
    params = load_params("semantic_regularizers", "smoke", relation={"batch_size": size})
    with pytest.raises(ReproducerError, match=f"batch of 3 or more texts.*batch_size {size}"):
        semantic_regularizers.specs(params)


def test_a_teacher_wider_than_the_model(tiny):
    params = load_params("semantic_regularizers", "smoke", teacher="all-minilm-l6-v2")
    with pytest.raises(ReproducerError, match="at most the model's width 32.*got width 384"):
        semantic_regularizers.specs(params)

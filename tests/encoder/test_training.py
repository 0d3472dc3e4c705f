"""Training: loss and gradient against the library's, going on after a break, and what fails."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from reproducer.encoder import training
from reproducer.encoder.network import Design, Encoder, features
from reproducer.encoder.training import Plan, decode_once, train
from reproducer.errors import ReproducerError
from reproducer.solver.arrangements import arrangement

SHAPE = arrangement("[e] [m]x(N-1)")
TEXTS = torch.tensor([[5, 9], [17, 3], [40, 41], [9, 5]])


def encoder(lm, seed=0):
    return Encoder(Design(n_tokens=2, width=32, rms=1.0), lm.d_model, seed)


def weights(network):
    return torch.cat([w.flatten() for w in network.state_dict().values()])


@pytest.mark.parametrize("name", ["[e] [m]x(N-1)", "[e] [m]xN", "[m] [e] [m]x(N-1)"])
def test_one_pass_is_the_librarys_pass_over_the_same_inputs(tiny, name):
    shape = arrangement(name)
    e = torch.randn(4, tiny.d_model, requires_grad=True)
    m = torch.randn(tiny.d_model, requires_grad=True)
    nats, predicted = decode_once(tiny, shape, e, m, TEXTS)
    x = torch.stack([e if role == "e" else m.expand_as(e) for role in shape.roles(2)], 1)
    logits = tiny.hf(inputs_embeds=x).logits[:, shape.offset :]
    obvious = F.cross_entropy(logits.transpose(1, 2), TEXTS, reduction="none")
    torch.testing.assert_close(nats, obvious, rtol=1e-4, atol=1e-5)
    assert torch.equal(predicted, logits.argmax(-1))
    ours = torch.autograd.grad(nats.mean(), (e, m))
    theirs = torch.autograd.grad(obvious.mean(), (e, m))
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-6)


def test_training_brings_a_few_texts_back(tiny):
    network = encoder(tiny)
    plan = Plan(text_steps=4800, batch=8, lr=3e-3)
    curve = train(tiny, network, TEXTS[:2], plan, SHAPE)
    assert curve[-1].nats < curve[0].nats / 2
    assert curve[-1].text_steps == 4800 and len(curve) == 12
    e = network(features(tiny, "embeddings", TEXTS[:2]))
    nats, _ = decode_once(tiny, SHAPE, e, network.m, TEXTS[:2])
    assert nats.mean() < curve[0].nats / 2


def test_a_point_is_the_mean_of_the_losses_before_each_step(tiny, monkeypatch):
    monkeypatch.setattr(training, "STEPS_A_POINT", 2)
    plan = Plan(text_steps=12, batch=4, lr=1e-9)  # the weights hardly move
    network = encoder(tiny)
    curve = train(tiny, network, TEXTS, plan, SHAPE, seed=3)
    e = network(features(tiny, "embeddings", TEXTS))
    nats = decode_once(tiny, SHAPE, e, network.m, TEXTS)[0].detach().mean(1)
    batches = [batch for _, batch in training._batches(TEXTS, plan, 3, 0)]
    of = {tuple(text): float(loss) for text, loss in zip(TEXTS.tolist(), nats, strict=True)}
    means = [sum(of[tuple(text)] for text in batch.tolist()) / 4 for batch in batches]
    expected = [(means[0] + means[1]) / 2, means[2]]
    assert [point.nats for point in curve] == pytest.approx(expected, rel=1e-3)
    assert [point.text_steps for point in curve] == [8, 12]


def test_a_broken_training_goes_on_to_the_same_weights(tiny, monkeypatch, tmp_path):
    monkeypatch.setattr(training, "STEPS_A_POINT", 5)
    plan, path = Plan(text_steps=160, batch=8), tmp_path / "deep" / "encoder.pt"
    whole = encoder(tiny)
    curve = train(tiny, whole, TEXTS, plan, SHAPE)

    step, calls = training._step, []

    def breaking(*args):
        if len(calls) == 13:
            raise KeyboardInterrupt
        calls.append(1)
        return step(*args)

    monkeypatch.setattr(training, "_step", breaking)
    with pytest.raises(KeyboardInterrupt):
        train(tiny, encoder(tiny), TEXTS, plan, SHAPE, checkpoint=path)
    assert path.exists()
    monkeypatch.setattr(training, "_step", step)
    again = encoder(tiny, seed=9)  # whatever it was, the checkpoint tells what it becomes
    assert train(tiny, again, TEXTS, plan, SHAPE, checkpoint=path) == curve
    torch.testing.assert_close(weights(again), weights(whole), rtol=0, atol=0)
    assert not path.exists() and not list(path.parent.iterdir())


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04"])
def test_a_damaged_checkpoint_is_named(tiny, tmp_path, content):
    path = tmp_path / "encoder.pt"
    path.write_bytes(content)
    with pytest.raises(ReproducerError, match=r"encoder\.pt is damaged: remove it"):
        train(tiny, encoder(tiny), TEXTS, Plan(text_steps=8), SHAPE, checkpoint=path)
    assert path.read_bytes() == content


def test_a_loss_that_is_no_number_ends_training(nan_lm):
    with pytest.raises(ReproducerError, match="finite loss"):
        train(nan_lm, encoder(nan_lm), TEXTS, Plan(text_steps=8, batch=4), SHAPE)


@given(
    text_steps=st.integers(1, 4000),
    batch=st.integers(1, 64),
    warm_up=st.integers(0, 50),
    cooling=st.floats(0, 1),
)
def test_the_rate_rises_stays_and_falls(text_steps, batch, warm_up, cooling):
    plan = Plan(text_steps=text_steps, batch=batch, warm_up=warm_up, cooling=cooling)
    assert plan.n_steps == math.ceil(text_steps / batch)
    shares = [plan.share_of_lr(step) for step in range(plan.n_steps)]
    assert all(0 < share <= 1 for share in shares)
    highest = shares.index(max(shares))
    assert shares[: highest + 1] == sorted(shares[: highest + 1])
    assert shares[highest:] == sorted(shares[highest:], reverse=True)


def test_the_rate_of_a_usual_plan():
    plan = Plan(text_steps=1000, batch=10, warm_up=9, cooling=0.5)
    assert [plan.share_of_lr(s) for s in (0, 4, 9, 50, 75)] == pytest.approx([0.1, 0.5, 1, 1, 0.5])

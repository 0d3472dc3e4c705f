"""The autoregressive baseline against plain loops over the library's model."""

import pytest
import torch
from torch.nn import functional as F

from reproducer.errors import ReproducerError
from reproducer.readings.mem_vectors import GreedySpec, MemSpec, greedy_tokens
from reproducer.results.run import compute
from reproducer.solver.recipes import Recipe
from reproducer.solver.slots import Slots
from reproducer.solver.solve import solve
from reproducer.texts.sources import Text, load_texts

RECIPE = Recipe(name="test", lr=0.05, max_steps=60)


def mem_spec(lm, n_tokens=6, n_mem=2, number=0, **fields):
    text = load_texts("unseen", lm, number + 1, n_tokens)[number].prefix(n_tokens)
    return MemSpec(**{"model": "tiny", "text": text, "n_mem": n_mem, "recipe": RECIPE} | fields)


@pytest.mark.parametrize("n_mem", [1, 2, 3])
@pytest.mark.parametrize("n_tokens", [1, 2, 7])
def test_loss_and_gradient_equal_a_plain_loop(tiny, n_mem, n_tokens):
    spec = mem_spec(tiny, n_tokens, n_mem)
    problem = spec.problem(tiny)
    slots = Slots.empty(1, problem, RECIPE, tiny.device)
    slots.admit(0, problem)
    gradient, correct, nats, _ = slots.backward(tiny.decoder(), torch.float32, chunk=1)

    mem = problem.rows.clone().requires_grad_()
    losses, right = [], 0
    for i, token in enumerate(spec.text.tokens):
        seen = tiny.embed(torch.tensor(spec.text.tokens[:i], dtype=torch.long))
        logits = tiny.hf(inputs_embeds=torch.cat([mem, seen])[None]).logits[0, -1]
        losses.append(F.cross_entropy(logits, torch.tensor(token)))
        right += int(logits.argmax() == token)
    loss = torch.stack(losses).mean()
    loss.backward()
    assert nats.item() == pytest.approx(loss.item(), rel=1e-4)
    assert correct.item() == right
    torch.testing.assert_close(gradient[0], mem.grad, rtol=1e-3, atol=1e-5)


def test_frozen_embeddings_stay_and_only_mem_is_trained(tiny):
    problem = mem_spec(tiny).problem(tiny)
    assert problem.rows.shape == (2, tiny.d_model)
    ((_, solution),) = solve(tiny, [problem], RECIPE)
    assert solution.rows.shape == problem.rows.shape
    assert not torch.equal(solution.rows, problem.rows)
    text = torch.tensor(mem_spec(tiny).text.tokens[:-1])
    torch.testing.assert_close(problem.frozen, tiny.embed(text))


def test_greedy_decoding_equals_the_loop_without_a_cache(tiny):
    mem = torch.randn(3, 2, tiny.d_model, generator=torch.Generator().manual_seed(0))
    fast = greedy_tokens(tiny, mem, 8)
    for row, start in zip(fast, mem, strict=True):
        x, slow = start, []
        for _ in range(8):
            slow.append(int(tiny.hf(inputs_embeds=x[None]).logits[0, -1].argmax()))
            x = torch.cat([x, tiny.embed(torch.tensor(slow[-1:]))])
        assert row.tolist() == slow


def test_decoding_gives_back_what_teacher_forcing_gets_all_right(tiny):
    recipe = Recipe(name="test", lr=0.1, max_steps=600)
    fits = [mem_spec(tiny, n, 2, i, recipe=recipe) for i, n in enumerate((2, 3, 2, 3))]
    solved = compute(fits, progress=False)
    (greedy,) = compute([GreedySpec(model="tiny", fits=tuple(fits))], progress=False)
    assert any(result.metrics["solved"] for result in solved)
    rows = zip(solved, fits, greedy.metrics["accuracy"], greedy.arrays["correct"], strict=True)
    for result, fit, accuracy, correct in rows:
        n = len(fit.text.tokens)
        assert not correct[n:].any()
        assert accuracy == pytest.approx(correct[:n].float().mean().item())
        # Up to the first error both read the same; a first error is an error for both.
        forced = result.arrays["correct"][0].tolist()
        first_error = forced.index(False) if False in forced else n
        assert correct[:first_error].all()
        assert first_error == n or not correct[first_error]


def test_text_longer_than_the_model(tiny):
    spec = MemSpec(
        model="tiny", text=Text(source="x", id="x", tokens=(1,) * 256), n_mem=2, recipe=RECIPE
    )
    with pytest.raises(ReproducerError, match="at most its 256 positions, got 257"):
        spec.problem(tiny)

"""The autoregressive baseline against plain loops over the library's model."""

import pytest
import torch
from torch.nn import functional as F

from reproducer.errors import ReproducerError
from reproducer.models.sampling import greedy_tokens
from reproducer.readings.mem_vectors import GreedySpec, MemSpec
from reproducer.results.run import compute
from reproducer.solver.recipes import Recipe
from reproducer.solver.slots import Slots
from reproducer.solver.solve import solve
from reproducer.texts.sources import Text, load_texts

RECIPE = Recipe(name="test", lr=0.05, max_steps=60)


def mem_spec(n_tokens=6, n_mem=2, number=0, **fields):
    text = load_texts("unseen", "tiny", number + 1, n_tokens)[number].prefix(n_tokens)
    return MemSpec(**{"model": "tiny", "text": text, "n_mem": n_mem, "recipe": RECIPE} | fields)


@pytest.mark.parametrize("first", ["mem", "bos", "t1"])
@pytest.mark.parametrize("n_mem", [1, 3])
@pytest.mark.parametrize("n_tokens", [1, 2, 7])
def test_loss_and_gradient_equal_a_plain_loop(tiny, n_mem, n_tokens, first):
    n_tokens += first == "t1"
    spec = mem_spec(n_tokens, n_mem, first=first)
    problem = spec.problem(tiny)
    slots = Slots.empty(1, problem, RECIPE, tiny.device)
    slots.admit(0, problem)
    gradient, correct, nats, _ = slots.backward(tiny.decoder(), torch.float32, chunk=1)

    mem = problem.rows.clone().requires_grad_()
    tokens = spec.text.tokens
    losses, right = [], 0
    for i in range(1 if first == "t1" else 0, n_tokens):
        before = [tiny.bos_token_id, *tokens[:i]] if first == "bos" else tokens[:i]
        seen = tiny.embed(torch.tensor(before, dtype=torch.long))
        logits = tiny.hf(inputs_embeds=torch.cat([mem, seen])[None]).logits[0, -1]
        losses.append(F.cross_entropy(logits, torch.tensor(tokens[i])))
        right += int(logits.argmax() == tokens[i])
    loss = torch.stack(losses).mean()
    loss.backward()
    assert nats.item() == pytest.approx(loss.item(), rel=1e-4)
    assert correct.item() == right
    torch.testing.assert_close(gradient[0], mem.grad, rtol=1e-3, atol=1e-5)


def test_loss_is_that_of_shifted_logits_behind_the_mem(tiny):
    """As Kuratov et al. write it: all inputs, logits after the `[mem]`, shifted by one."""
    for first in ("bos", "t1"):
        spec = mem_spec(6, 2, first=first)
        ids = torch.tensor([*([tiny.bos_token_id] if first == "bos" else []), *spec.text.tokens])
        mem = spec.problem(tiny).rows
        logits = tiny.hf(inputs_embeds=torch.cat([mem, tiny.embed(ids)])[None]).logits[0, 2:]
        expected = F.cross_entropy(logits[:-1], ids[1:])
        slots = Slots.empty(1, spec.problem(tiny), RECIPE, tiny.device)
        slots.admit(0, spec.problem(tiny))
        nats = slots.backward(tiny.decoder(), torch.float32, chunk=1)[2]
        assert nats.item() == pytest.approx(expected.item(), rel=1e-4)


def test_start_has_the_recipe_s_spread_or_that_of_the_embeddings(tiny):
    normal = mem_spec().problem(tiny).rows
    spread = tiny.hf.get_input_embeddings().weight.std().item()
    started = mem_spec(init="embeddings").problem(tiny).rows
    assert spread != 1 and torch.equal(started, spread * normal)
    wide = mem_spec(recipe=RECIPE.model_copy(update={"init_std": 2.0})).problem(tiny).rows
    assert torch.equal(wide, 2 * normal)


def test_a_given_token_is_not_all_there_is():
    with pytest.raises(ValueError, match="2 or more tokens where the first is given"):
        mem_spec(1, first="t1")
    assert mem_spec(2, first="t1").targets == mem_spec(2).text.tokens[1:]


def test_frozen_embeddings_stay_and_only_mem_is_trained(tiny):
    problem = mem_spec().problem(tiny)
    assert problem.rows.shape == (2, tiny.d_model)
    ((_, solution),) = solve(tiny, [problem], RECIPE)
    assert solution.rows.shape == problem.rows.shape
    assert not torch.equal(solution.rows, problem.rows)
    text = torch.tensor(mem_spec().text.tokens[:-1])
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


@pytest.mark.parametrize("first", ["mem", "bos", "t1"])
def test_decoding_gives_back_what_teacher_forcing_gets_all_right(tiny, first):
    recipe = Recipe(name="test", lr=0.1, max_steps=600)
    fits = [mem_spec(n, 2, i, recipe=recipe, first=first) for i, n in enumerate((2, 3, 2, 3))]
    solved = compute(fits, progress=False)
    (greedy,) = compute([GreedySpec(model="tiny", fits=tuple(fits))], progress=False)
    assert any(result.metrics["solved"] for result in solved)
    rows = zip(solved, fits, greedy.metrics["accuracy"], greedy.arrays["correct"], strict=True)
    for result, fit, accuracy, correct in rows:
        n = len(fit.targets)
        assert not correct[n:].any()
        assert accuracy == pytest.approx(correct[:n].mean())
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

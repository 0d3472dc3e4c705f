"""Cross-entropy at a frozen head, without ever holding the logits of the whole vocabulary.

With z the logits of a token, t its target and lse(o) the log-sum-exp over all *other* words,

    nats = softplus(lse(o) - z_t),    d nats / d hidden = sigmoid(lse(o) - z_t) * (w(o) - W_t),

where w(o) is the mean of the other words' rows of the head under their own softmax. Keeping the
target apart loses nothing to rounding when it is nearly certain: 1 - p is computed, not subtracted.
The vocabulary is read in slices small enough to stay in cache, as in flash attention, and each
slice gives its share of lse(o), w(o) and the best other word while it is there. The prediction
compares the target's logit with the others' as the same product gave them: z_t itself is summed
more precisely, and of two equal logits it would win by rounding alone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

# Bytes of logits at a time: a share of a CPU's last-level cache; enough to fill a GPU.
_CPU_BYTES, _DEVICE_BYTES = 8 << 20, 256 << 20
# Slices of the vocabulary are never thinner than this, or the products become inefficient.
_MIN_WORDS = 1024


def head_loss(
    hidden: Tensor, head: Tensor, bias: Tensor | None, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """Cross-entropy and most likely word of each token.

    Args:
        hidden: (T, d) hidden states. A strided slice is copied first: a product with one can take
            several times as long.
        head: (V, d); bias: (V,) or None. No gradient reaches them.
        targets: (T,) word ids.

    Returns:
        nats (T,), float32 (float64 for float64 input), differentiable in `hidden`; predicted (T,),
        the argmax of the logits in `hidden`'s dtype: of several equal ones the lowest index.
    """
    hidden = hidden if torch.is_grad_enabled() else hidden.detach()
    limit = _CPU_BYTES if hidden.device.type == "cpu" else _DEVICE_BYTES
    n_rows = max(1, limit // (_MIN_WORDS * hidden.itemsize))
    parts = [
        _HeadLoss.apply(rows.contiguous(), head, bias, wanted, _slice_words(rows, head, limit))
        for rows, wanted in zip(hidden.split(n_rows), targets.split(n_rows), strict=True)
    ]
    if len(parts) == 1:
        return parts[0]
    return torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])


def _slice_words(rows: Tensor, head: Tensor, limit: int) -> int:
    """Words per slice: as even as possible, within `limit` bytes of logits but not too thin."""
    most = max(_MIN_WORDS, limit // max(1, rows.shape[0] * rows.itemsize))
    n_slices = -(-head.shape[0] // most)
    return -(-head.shape[0] // n_slices)


class _HeadLoss(Function):
    """The gradient is known as soon as the loss is; the backward pass only scales its rows."""

    @staticmethod
    def forward(
        ctx, hidden: Tensor, head: Tensor, bias: Tensor | None, targets: Tensor, n_words: int
    ) -> tuple[Tensor, Tensor]:
        others = _Others(hidden, ctx.needs_input_grad[0])
        for start in range(0, head.shape[0], n_words):
            words = slice(start, start + n_words)
            others.see(hidden, head[words], None if bias is None else bias[words], targets - start)
        target_rows = head[targets]
        wanted = (hidden.to(others.dtype) * target_rows).sum(-1)
        if bias is not None:
            wanted += bias[targets]
        behind = others.log_sum - wanted
        if others.mean is not None:
            pull = others.mean.sub_(target_rows).mul_(torch.sigmoid(behind)[:, None])
            ctx.save_for_backward(pull.to(hidden.dtype))
        predicted = others.argmax(targets)
        ctx.mark_non_differentiable(predicted)
        return F.softplus(behind, threshold=80.0), predicted

    @staticmethod
    def backward(ctx, grad_nats: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        (pull,) = ctx.saved_tensors
        return pull * grad_nats[:, None].to(pull.dtype), None, None, None, None


class _Others:
    """Running log-sum-exp, softmax-weighted mean of head rows and best of the non-target words.

    `target_logit` is what the target had where it was hidden from the others.
    """

    def __init__(self, hidden: Tensor, want_mean: bool) -> None:
        self.dtype = torch.promote_types(hidden.dtype, torch.float32)
        n_tokens = hidden.shape[0]
        lowest = torch.finfo(hidden.dtype).min
        self.log_sum = hidden.new_full((n_tokens,), lowest, dtype=self.dtype)
        self.best = hidden.new_full((n_tokens,), lowest, dtype=self.dtype)
        self.best_word = torch.zeros(n_tokens, dtype=torch.long, device=hidden.device)
        self.target_logit = torch.full_like(self.best, lowest)
        self.mean = torch.zeros_like(hidden, dtype=self.dtype) if want_mean else None
        self.n_seen = 0

    def see(self, hidden: Tensor, head: Tensor, bias: Tensor | None, targets: Tensor) -> None:
        """Take in the words of `head` (n_words, d); `targets` (T,) count from its first word."""
        logits = F.linear(hidden, head, bias)
        self.target_logit = _hide(logits, targets, self.target_logit)
        best, word = logits.max(-1)
        p = torch.softmax(logits, -1, out=logits)
        highest = p.gather(-1, word[:, None]).squeeze(-1).to(self.dtype)
        log_sum = best.to(self.dtype) - highest.log()
        total = torch.logaddexp(self.log_sum, log_sum)
        if self.mean is not None:
            self.mean *= (self.log_sum - total).exp_()[:, None]
            self.mean += (p @ head) * (log_sum - total).exp_()[:, None]
        better = best > self.best  # an equal one that comes later is not
        self.best_word = torch.where(better, word + self.n_seen, self.best_word)
        self.best = torch.where(better, best, self.best).to(self.dtype)
        self.log_sum, self.n_seen = total, self.n_seen + head.shape[0]

    def argmax(self, targets: Tensor) -> Tensor:
        """The most likely of all words; `targets` (T,) wins a tie if its index is the lower."""
        ahead, level = self.target_logit > self.best, self.target_logit == self.best
        return torch.where(ahead | (level & (targets < self.best_word)), targets, self.best_word)


def _hide(logits: Tensor, targets: Tensor, before: Tensor) -> Tensor:
    """Give the target of each row the lowest logit, where it is one of these words.

    Returns the logits (T,) that were hidden, and `before` (T,) for targets elsewhere.
    """
    inside = (targets >= 0) & (targets < logits.shape[1])
    column = targets.clamp(0, logits.shape[1] - 1)[:, None]
    # The lowest finite number, not -inf: a slice with no other word must stay free of NaN.
    lowest = torch.finfo(logits.dtype).min
    there = logits.gather(1, column)
    hidden = torch.where(inside, there.squeeze(1).to(before.dtype), before)
    logits.scatter_(1, column, there.masked_fill_(inside[:, None], lowest))
    return hidden

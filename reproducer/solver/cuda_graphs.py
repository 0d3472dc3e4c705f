"""One optimizer step as a function: plain, or recorded once as a CUDA graph and replayed."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch

from reproducer.models.language_model import LanguageModel
from reproducer.solver.memory import is_out_of_memory
from reproducer.solver.slots import Slots

WARM_UPS = 3
log = logging.getLogger(__name__)


def stepper(lm: LanguageModel, slots: Slots) -> Callable[[int], None]:
    """A function of the chunk size (sequences per pass) that advances all slots by one step."""
    decoder, dtype = lm.decoder(), lm.dtype

    def plain(chunk: int) -> None:
        slots.advance(*slots.backward(decoder, dtype, chunk))

    return _Graphed(plain, slots) if lm.device.type == "cuda" else plain


class _Graphed:
    """Records `step` at its first call for each chunk size, and replays it after that.

    A step that cannot be recorded, as with a library's model that asks the host for a value, runs
    plain from then on.
    """

    def __init__(self, step: Callable[[int], None], slots: Slots) -> None:
        self.step, self.slots = step, slots
        self.graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self.records = True

    def __call__(self, chunk: int) -> None:
        if self.records and chunk not in self.graphs:
            self.graphs = {}  # its memory serves the next one
            self._warm_up(chunk)
            self._record(chunk)
        if self.records:
            self.graphs[chunk].replay()
        else:
            self.step(chunk)

    def _warm_up(self, chunk: int) -> None:
        # Warming up moves the state: take it back afterwards.
        before = {name: tensor.clone() for name, tensor in self.slots.tensors().items()}
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(side):
                for _ in range(WARM_UPS):
                    self.step(chunk)
        finally:  # also when memory runs short, and a smaller chunk is tried next
            torch.cuda.current_stream().wait_stream(side)
            for name, tensor in self.slots.tensors().items():
                tensor.copy_(before[name])

    def _record(self, chunk: int) -> None:
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                self.step(chunk)  # recorded, not run
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            self.records = False
            reason = " ".join(str(error).split())[:200]
            log.warning("a step cannot be recorded as a CUDA graph and runs plain: %s", reason)
        else:
            self.graphs = {chunk: graph}

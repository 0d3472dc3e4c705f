"""Recording a step as a CUDA graph, with a stand-in for the device: what is recorded does not run,
and a replay runs it. Which kernels a real graph holds only a GPU can show."""

import logging
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import pytest
import torch

from reproducer.solver.cuda_graphs import WARM_UPS, stepper
from reproducer.solver.slots import Slots
from tests.solver.fits import RECIPE, fit_specs


class Device:
    """Stands in for CUDA: `graph` takes back what ran inside, `replay` runs it."""

    def __init__(self, lm, slots, monkeypatch):
        self.slots, self.recorded, self.plain = slots, [], stepper(lm, slots)
        cuda = replace(lm, device=torch.device("cuda"))
        stream = type("Stream", (), {"wait_stream": lambda self, other: None})
        monkeypatch.setattr(torch.cuda, "Stream", stream)
        monkeypatch.setattr(torch.cuda, "current_stream", stream)
        monkeypatch.setattr(torch.cuda, "stream", lambda side: nullcontext())
        monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: self)
        monkeypatch.setattr(torch.cuda, "graph", self.recording)
        self.step = stepper(cuda, slots)

    @contextmanager
    def recording(self, graph):
        before = state(self.slots)
        yield
        for name, tensor in self.slots.tensors().items():
            tensor.copy_(before[name])
        self.recorded.append(graph)

    def replay(self):
        self.plain(9)


def state(slots):
    return {name: tensor.clone() for name, tensor in slots.tensors().items()}


def filled(lm):
    problems = [spec.problem(lm) for spec in fit_specs(lm, 3)]
    slots = Slots.empty(3, problems[0], RECIPE, lm.device, trace=True)
    for slot, problem in enumerate(problems):
        slots.admit(slot, problem)
    return slots


def assert_same(slots, expected):
    for name, tensor in slots.tensors().items():
        torch.testing.assert_close(tensor, expected[name], msg=name)


def test_on_a_cpu_the_step_is_plain(tiny, monkeypatch):
    monkeypatch.setattr(torch.cuda, "CUDAGraph", None)
    slots = filled(tiny)
    stepper(tiny, slots)(9)
    assert slots.step.tolist() == [1, 1, 1]


def test_recording_leaves_no_trace_and_every_call_is_one_step(tiny, monkeypatch):
    expected = filled(tiny)
    for _ in range(3):
        stepper(tiny, expected)(9)
    slots = filled(tiny)
    device = Device(tiny, slots, monkeypatch)
    for _ in range(3):
        device.step(9)
    assert len(device.recorded) == 1
    assert_same(slots, state(expected))


def test_another_chunk_is_recorded_anew_and_one_graph_is_kept(tiny, monkeypatch):
    device = Device(tiny, filled(tiny), monkeypatch)
    for chunk in (9, 9, 4, 4):
        device.step(chunk)
    assert len(device.recorded) == 2 and list(device.step.graphs) == [4]
    assert device.slots.step.tolist() == [4, 4, 4]


@pytest.mark.parametrize("fails_at", range(1, WARM_UPS + 2))
def test_too_little_memory_leaves_the_state_and_is_told(tiny, monkeypatch, fails_at):
    """While warming up or while recording: the solver then tries a smaller chunk."""
    device = Device(tiny, filled(tiny), monkeypatch)
    before, calls = state(device.slots), []

    def full(chunk):
        calls.append(chunk)
        if len(calls) == fails_at:
            raise torch.OutOfMemoryError("device full")
        device.plain(chunk)

    device.step.step = full
    with pytest.raises(torch.OutOfMemoryError):
        device.step(9)
    assert_same(device.slots, before)
    device.step(4)
    assert device.slots.step.tolist() == [1, 1, 1]


def test_a_step_that_cannot_be_recorded_runs_plain(tiny, monkeypatch, caplog):
    expected = filled(tiny)
    for _ in range(3):
        stepper(tiny, expected)(9)
    device = Device(tiny, filled(tiny), monkeypatch)

    @contextmanager
    def refusing(graph):
        raise RuntimeError("operation not permitted when stream is capturing")
        yield

    monkeypatch.setattr(torch.cuda, "graph", refusing)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            device.step(9)
    assert_same(device.slots, state(expected))
    assert len(caplog.records) == 1 and "runs plain" in caplog.text


def test_another_error_in_a_step_is_raised_before_anything_is_recorded(tiny, monkeypatch):
    device = Device(tiny, filled(tiny), monkeypatch)

    def broken(chunk):
        raise RuntimeError("shapes do not fit")

    device.step.step = broken
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        device.step(9)
    assert device.recorded == []

"""Encoders as results: what one was trained to, and what it makes of texts. Not in the papers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from reproducer.errors import ReproducerError
from reproducer.models.card import model_card
from reproducer.paths import cache_dir
from reproducer.readings.continuations import ContinuationSpec, texts_of
from reproducer.results.fits import FitSpec, require_positions
from reproducer.results.specs import Measurement, Outcome, Result, Spec
from reproducer.solver.arrangements import arrangement
from reproducer.texts.sources import Text, passages

if TYPE_CHECKING:
    import torch

    from reproducer.encoder.network import Encoder
    from reproducer.models.language_model import LanguageModel
    from reproducer.solver.problem import Problem


class Passages(BaseModel):
    """The tokens of the passages `first … last` (from 1) of a source, and their digest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    first: int = Field(ge=1)
    last: int = Field(ge=1)
    digest: str

    @classmethod
    def of(cls, source: str, model: str, first: int, last: int) -> Passages:
        """Those passages as `model` reads them; raises where the source has too few."""
        digest = _read(source, model, model_card(model).weights, first, last).digest
        return cls(source=source, first=first, last=last, digest=digest)

    def tokens(self, model: str) -> tuple[tuple[int, ...], ...]:
        """Both halves of each passage; raises if they are not those that the digest names."""
        read = _read(self.source, model, model_card(model).weights, self.first, self.last)
        if read.digest != self.digest:
            raise ReproducerError(
                f"passages of {self.source!r}: expected tokens of digest {self.digest[:12]}, got "
                f"{read.digest[:12]}"
            )
        return read.halves


class _Read(NamedTuple):
    halves: tuple[tuple[int, ...], ...]
    digest: str


@lru_cache(maxsize=8)
def _read(source: str, model: str, _weights: str, first: int, last: int) -> _Read:
    """Passages as tokens; the weights tell models of one name apart."""
    chosen = list(passages(source))[first - 1 : last]
    if len(chosen) != last - first + 1:
        raise ReproducerError(
            f"source {source!r}: expected passages {first} to {last}, got {len(chosen)}"
        )
    encode_text = model_card(model).tokenizer.encode
    both = (half for passage in chosen for half in (passage.first_half, passage.second_half))
    halves = tuple(tuple(encode_text(half)) for half in both)
    return _Read(halves, hashlib.sha256(repr(list(halves)).encode()).hexdigest())


class EncoderSpec(Measurement):
    """An encoder for texts of `n_tokens` tokens, trained under an arrangement.

    Trained on every window of `passages` and of what the model itself `sampled`. With `begun` it
    starts at the weights of an encoder of as many tokens or fewer, else at weights drawn from the
    seed. The other fields are those of `Design` and `Plan` in `reproducer.encoder`. In `dtype` the
    frozen model computes; the encoder itself and its optimizer are float32.
    """

    kind: Literal["encoder"] = "encoder"
    dtype: Literal["float32", "bfloat16"] = "float32"
    arrangement: str
    n_tokens: int = Field(ge=1)
    reads: Literal["embeddings", "states"] = "embeddings"
    width: int = 1024
    n_blocks: int = 2
    rms: float = 30.0
    text_steps: int = Field(ge=1)
    batch: int = Field(32, ge=1)
    lr: float = Field(1e-3, gt=0)
    passages: tuple[Passages, ...] = ()
    sampled: tuple[ContinuationSpec, ...] = ()
    begun: EncoderSpec | None = None
    seed: int = Field(0, ge=0)

    HEAVY: ClassVar[bool] = True

    @property
    def needs(self) -> tuple[Spec, ...]:
        return (*self.sampled, *([self.begun] if self.begun else ()))

    def run(self, lm: LanguageModel, needed: Sequence[Result]) -> Outcome:
        """Metrics: the curve as three lists, the windows trained on, parameters, seconds.

        Arrays: the weights by name, float16.
        """
        import time

        from reproducer.encoder.training import Plan, Point, train
        from reproducer.encoder.windows import windows

        pattern = arrangement(self.arrangement)
        require_positions(lm, pattern.n_inputs(self.n_tokens))
        started = time.perf_counter()
        stretches = windows(self._texts(needed), self.n_tokens)
        encoder = self.fresh(lm.d_model)
        if self.begun:
            encoder.grow_from(trained(self.begun, needed[-1], lm.d_model))
        curve = train(
            lm,
            encoder,
            stretches,
            Plan(text_steps=self.text_steps, batch=self.batch, lr=self.lr),
            pattern,
            self.seed,
            checkpoint=cache_dir() / "encoders" / f"{self.key}.pt",
        )
        weights = {name: w.detach().half() for name, w in encoder.state_dict().items()}
        metrics = {
            **{name: [point[i] for point in curve] for i, name in enumerate(Point._fields)},
            "n_windows": len(stretches),
            "n_parameters": sum(w.numel() for w in weights.values()),
            "seconds": round(time.perf_counter() - started, 1),
        }
        return Outcome(metrics, weights)

    def _texts(self, needed: Sequence[Result]) -> Iterator[tuple[int, ...]]:
        """The tokens of all texts to train on."""
        for part in self.passages:
            yield from part.tokens(self.model)
        for result in needed[: len(self.sampled)]:
            yield from (text.tokens for text in texts_of(result))

    def fresh(self, d_model: int) -> Encoder:
        """The encoder before any training."""
        from reproducer.encoder.network import Design, Encoder

        names = ("n_tokens", "reads", "width", "n_blocks", "rms")
        return Encoder(Design(**{n: getattr(self, n) for n in names}), d_model, self.seed)


def trained(spec: EncoderSpec, result: Result, d_model: int) -> Encoder:
    """The encoder whose weights `result` holds; raises if they are not those of its design."""
    import torch

    encoder = spec.fresh(d_model)
    try:
        state = {name: torch.from_numpy(w).float() for name, w in result.arrays.items()}
        encoder.load_state_dict(state)
    except (RuntimeError, TypeError) as error:
        raise ReproducerError(
            f"encoder {result.key[:12]}: expected the weights of its design, got others "
            f"({str(error).splitlines()[0]:.200})"
        ) from error
    if not all(w.isfinite().all() for w in encoder.state_dict().values()):
        raise ReproducerError(f"encoder {result.key[:12]}: expected finite weights, got others")
    return encoder.eval().requires_grad_(False)


class EncodedSpec(Measurement):
    """What an encoder makes of `texts` of its length, and what comes back in one pass.

    Three other `e` stand beside the encoder's, each with the encoder's own `m`: `mean`, that of all
    texts; `nearest`, that of the text whose tokens' mean embedding is most like this one's; and
    `drawn`, from a normal distribution of the same length.
    """

    kind: Literal["encoded"] = "encoded"
    encoder: EncoderSpec
    texts: tuple[Text, ...] = Field(min_length=2)
    seed: int = Field(0, ge=0)

    E_FROM: ClassVar[tuple[str, ...]] = ("encoder", "mean", "nearest", "drawn")

    @property
    def needs(self) -> tuple[EncoderSpec]:
        return (self.encoder,)

    def run(self, lm: LanguageModel, needed: Sequence[Result]) -> Outcome:
        """Arrays: `e` (n_texts, d_model), `m` (d_model,), and for each of `E_FROM` `correct_<name>`
        and `nats_<name>` (n_texts, n_tokens). Metrics: those of the encoder's training.
        """
        import torch

        from reproducer.encoder.training import decode_once

        encoder = trained(self.encoder, needed[0], lm.d_model)
        tokens = torch.tensor([text.tokens for text in self.texts])
        pattern = arrangement(self.encoder.arrangement)
        e = encode(lm, encoder, tokens)
        arrays = {"e": e, "m": encoder.m}
        with torch.no_grad():
            for name, vectors in self._alternatives(lm, e, tokens).items():
                nats, predicted = decode_once(lm, pattern, vectors, encoder.m, tokens)
                arrays[f"correct_{name}"] = predicted.cpu() == tokens
                arrays[f"nats_{name}"] = nats
        return Outcome(dict(needed[0].metrics), arrays)

    def _alternatives(
        self, lm: LanguageModel, e: torch.Tensor, tokens: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        import torch

        draw = torch.Generator().manual_seed(self.seed)
        rms = self.encoder.rms
        meaning = torch.nn.functional.normalize(lm.embed(tokens).float().mean(1), dim=-1).cpu()
        likeness = (meaning @ meaning.T).fill_diagonal_(-torch.inf)
        mean = torch.nn.functional.rms_norm(e.mean(0), e.shape[-1:]) * rms
        others = (e, mean.expand_as(e), e[likeness.argmax(1)])
        drawn = torch.randn(e.shape, generator=draw) * rms
        return dict(zip(self.E_FROM, (*others, drawn), strict=True))


def encode(lm: LanguageModel, encoder: Encoder, tokens: torch.Tensor) -> torch.Tensor:
    """The `e` of texts (n_texts, n_tokens) of the encoder's length: (n_texts, d_model), CPU."""
    import torch

    from reproducer.encoder.network import features

    with torch.no_grad():
        return encoder(features(lm, encoder.design.reads, tokens).cpu())


class EncodedFitSpec(FitSpec):
    """A fit of one text that starts at the `e` and `m` of an encoder, as `encoded` has them."""

    kind: Literal["encoded fit"] = "encoded fit"
    encoded: EncodedSpec
    share: Literal["none"] = "none"
    copies: Literal[1] = 1
    penalty: None = None

    @property
    def needs(self) -> tuple[EncodedSpec]:
        return (self.encoded,)

    def problem(self, lm: LanguageModel, needed: Sequence[Result] = ()) -> Problem:
        import torch

        arrays = needed[0].arrays
        number = self.encoded.texts.index(self.texts[0])
        rows = torch.from_numpy(np.stack([arrays["e"][number], arrays["m"]]))
        return replace(super().problem(lm), rows=rows)


class EncodedLinesSpec(Measurement):
    """What stands on the straight line between the `e` of two texts that differ in one token.

    Each of `texts` is changed at each of its places in turn, to the token that the text `step`
    further on (and around) has there. `n_points` points divide the line, the ends included.
    """

    kind: Literal["encoded lines"] = "encoded lines"
    encoder: EncoderSpec
    texts: tuple[Text, ...] = Field(min_length=2)
    step: int = Field(1, ge=1)
    n_points: int = Field(11, ge=3)

    @property
    def needs(self) -> tuple[EncoderSpec]:
        return (self.encoder,)

    def run(self, lm: LanguageModel, needed: Sequence[Result]) -> Outcome:
        """Arrays of bool (n_texts, n_tokens places, n_points, n_tokens): `first`, the tokens that
        are the text's, and `second`, those that are the changed text's. A text that has the other's
        token there already changes nothing, which `changed` (n_texts, n_tokens) tells.
        """
        import torch

        from reproducer.encoder.training import decode_once

        encoder = trained(self.encoder, needed[0], lm.d_model)
        pattern = arrangement(self.encoder.arrangement)
        tokens = torch.tensor([text.tokens for text in self.texts])
        others = tokens.roll(-self.step, 0)
        t = torch.linspace(0, 1, self.n_points)[:, None, None]
        own, first, second = encode(lm, encoder, tokens), [], []
        for place in range(tokens.shape[1]):
            changed = tokens.clone()
            changed[:, place] = others[:, place]
            points = torch.lerp(own, encode(lm, encoder, changed), t)  # (n_points, n_texts, d)
            with torch.no_grad():
                came = [decode_once(lm, pattern, e, encoder.m, tokens)[1].cpu() for e in points]
            came = torch.stack(came, 1)  # (n_texts, n_points, n_tokens)
            first.append(came == tokens[:, None])
            second.append(came == changed[:, None])
        arrays = {"first": torch.stack(first, 1), "second": torch.stack(second, 1)}
        return Outcome({}, arrays | {"changed": tokens != others})

"""One text of the user's in one pass: the shipped encoder's `e`, and what the model makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.text import Text as RichText

from reproducer.app.fit_text import coloured
from reproducer.app.spans import Span, spans
from reproducer.errors import ReproducerError, shown
from reproducer.experiments import SHIPPED
from reproducer.experiments.encoder import encoder as encoder_of
from reproducer.experiments.profiles import load_params
from reproducer.models.card import model_card
from reproducer.readings.encoder import EncoderSpec
from reproducer.results.known import Known
from reproducer.results.specs import Result
from reproducer.texts.sources import Text


@dataclass(frozen=True)
class EncodedText:
    """A text after one pass through an encoder and one through the model.

    `encoder` is the result that the weights come from, `spans` are the parts of the text that came
    back right and wrong, and `reconstructed` is all that came.
    """

    encoder: Result
    accuracy: float
    spans: list[Span]
    reconstructed: str

    def summary(self) -> dict[str, Any]:
        """What `reproduce text --encode --json` prints."""
        spec = self.encoder.spec
        return {
            "model": spec["model"],
            "arrangement": spec["arrangement"],
            "encoder": self.encoder.key,
            "n_tokens": spec["n_tokens"],
            "accuracy": self.accuracy,
            "reconstructed": self.reconstructed,
            "spans": [span._asdict() for span in self.spans],
        }


def encode_text(
    text: str, *, n_tokens: int, model: str = "smollm2-135m", profile: str = SHIPPED
) -> EncodedText:
    """Encode the first `n_tokens` tokens of `text`, and decode them, without any fitting.

    Raises:
        ReproducerError: a text with fewer tokens, or a length or model for which no encoder of the
            profile is known; the lengths for which one is are named.
    """
    encoders = _known_encoders(model, profile)
    if n_tokens not in encoders:
        there = ", ".join(map(str, encoders)) or "none"
        raise ReproducerError(
            f"no encoder of {model!r} for {shown(n_tokens)} tokens is stored: expected one of the "
            f"lengths {there}; `reproduce run encoder -p lengths=…` trains another"
        )
    tokenizer = model_card(model).tokenizer
    tokens = tokenizer.encode(text)
    if len(tokens) < n_tokens:
        raise ReproducerError(
            f"expected a text of at least {n_tokens} tokens, which the encoder reads, got "
            f"{len(tokens)}"
        )
    spec, result = encoders[n_tokens]
    wanted = Text(source="own", id="own", tokens=tokens[:n_tokens])
    came = _decoded(spec, result, wanted)
    right = sum(a == b for a, b in zip(came, wanted.tokens, strict=True))
    return EncodedText(
        encoder=result,
        accuracy=right / n_tokens,
        spans=spans(wanted.tokens, came, tokenizer.decode, text),
        reconstructed=tokenizer.decode(came),
    )


def _known_encoders(model: str, profile: str) -> dict[int, tuple[EncoderSpec, Result]]:
    """The stored encoders of a profile by their length; of one length, the last trained."""
    params, known = load_params("encoder", profile, model=model), Known()
    specs = [encoder_of(params, stage) for stage in range(1, len(params.lengths) + 1)]
    results = ((known.settled(spec), known.get(spec)) for spec in specs)
    return {spec.n_tokens: (spec, result) for spec, result in results if result}


def _decoded(spec: EncoderSpec, result: Result, text: Text) -> list[int]:
    """The tokens that come back of `text`, measured in float32."""
    # Imported late: PyTorch takes seconds, and bad input is told before.
    import torch

    from reproducer.encoder.training import decode_once
    from reproducer.readings.encoder import encode, trained
    from reproducer.results.run import cached_lm
    from reproducer.solver.arrangements import arrangement

    lm = cached_lm(spec.model).in_dtype("float32")
    encoder = trained(spec, result, lm.d_model)
    tokens = torch.tensor([text.tokens])
    with torch.no_grad():
        e = encode(lm, encoder, tokens)
        _, came = decode_once(lm, arrangement(spec.arrangement), e, encoder.m, tokens)
    return came[0].tolist()


def marked(encoded: EncodedText, command_seconds: float) -> RichText:
    """A few lines for the terminal: what came back, wrong parts in red and in brackets."""
    facts = encoded.summary()
    right = round(facts["accuracy"] * facts["n_tokens"])
    told = coloured(encoded.spans)
    told.append(
        f"\n{right} of {facts['n_tokens']} tokens came back without a fit, after one pass through "
        f"the encoder and one through the model (accuracy {facts['accuracy']:.3f}; "
        f"{facts['model']}, {facts['arrangement']}, encoder {facts['encoder'][:12]})\n"
        f"this command: {command_seconds:.1f} s"
    )
    return told

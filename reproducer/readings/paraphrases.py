"""Paraphrases that a language model writes, as a stored reading (Bondarenko et al. §3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from reproducer.results.specs import Measurement, Outcome, Result

if TYPE_CHECKING:
    from reproducer.models.language_model import LanguageModel
    from reproducer.results.known import Known
    from reproducer.texts.families import Family

PARAPHRASER = "Qwen/Qwen3-4B"
N_PARAPHRASES = 9
PROMPT = (
    "Rewrite the text below with other words and another sentence structure. Keep its meaning "
    "and its length. Answer with the rewritten text only.\n\n"
)


class ParaphraseSpec(Measurement):
    """`n` rewritings of `original` by `model`, at temperature 0.7 and top-p 0.9, seeded."""

    kind: Literal["paraphrases"] = "paraphrases"
    model: str = PARAPHRASER
    original: str
    n: int = Field(N_PARAPHRASES, ge=1)

    def run(self, lm: LanguageModel, needed: Sequence[Result]) -> Outcome:
        """Metric `texts`: the rewritings."""
        import torch

        chat = [{"role": "user", "content": PROMPT + self.original}]
        read = lm.tokenizer.apply_chat_template(
            chat,
            add_generation_prompt=True,
            enable_thinking=False,
            return_tensors="pt",
            return_dict=True,
        ).to(lm.device)
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(0)
            out = lm.hf.generate(
                **read,
                do_sample=True,
                temperature=0.7,
                top_p=0.9,
                num_return_sequences=self.n,
                max_new_tokens=2 * read["input_ids"].shape[1],
            )
        fresh = out[:, read["input_ids"].shape[1] :]
        written = lm.tokenizer.batch_decode(fresh, skip_special_tokens=True)
        return Outcome({"texts": [" ".join(text.split()) for text in written]}, {})


def paraphrase_specs(families: Sequence[Family]) -> list[ParaphraseSpec]:
    """The rewritings of those originals that come without any."""
    return [ParaphraseSpec(original=f.original) for f in families if f.paraphrases is None]


def written_families(families: Sequence[Family], known: Known) -> list[Family] | None:
    """The families with their paraphrases, shipped or written; None until all are known."""
    written = {
        result.spec["original"]: tuple(result.metrics["texts"])
        for result in known.all(paraphrase_specs(families))
    }
    complete = [
        replace(family, paraphrases=family.paraphrases or written.get(family.original))
        for family in families
    ]
    return complete if all(family.paraphrases for family in complete) else None

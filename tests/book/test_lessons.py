"""The ten sentences follow from the verdicts."""

import json
import re

from reproducer.app.lessons import N_SENTENCES, ten_sentences
from reproducer.experiments.claims import with_holm
from reproducer.experiments.ledger import VERDICTS
from reproducer.experiments.profiles import SHIPPED
from reproducer.paths import shipped_dir


def verdicts():
    entries = json.loads((shipped_dir() / f"ledger-{SHIPPED}.json").read_text(encoding="utf-8"))
    return with_holm(
        v for entry in entries.values() for v in VERDICTS.validate_python(entry["verdicts"])
    )


def test_there_are_ten_and_decided_claims_come_first():
    found = verdicts()
    sentences = re.findall(r"<li>(.*?)</li>", ten_sentences(found).data)
    assert len(sentences) == N_SENTENCES
    assert sentences[0].startswith(f"Of {len(found)} claims")
    decided = [v.id for v in found if v.verdict not in ("inconclusive", "not tested here")]
    told = [re.search(r">([^<>]+)</a>\)\.$", s)[1] for s in sentences[1 : 1 + len(decided)][:8]]
    assert set(told) <= set(decided)


def test_nothing_is_said_where_nothing_is_judged():
    assert "No claim" in ten_sentences([]).data

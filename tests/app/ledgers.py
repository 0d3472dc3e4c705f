"""Ledgers for tests: rows as `claims --json` prints them."""

from reproducer.experiments.claims import Verdict


def row(name: str, verdict: str = "reproduced", **changes) -> dict:
    """One verdict; `changes` replace its fields."""
    own = verdict in ("holds", "does not hold")
    fields = {
        "experiment": "arrangements",
        "claim": "One vector alone fails: accuracy",
        "published": "0.01",
        "ours": 0.1,
        "low": 0.05,
        "high": 0.2,
        "n": 8,
        "unit": "texts",
        "model": "smollm2-135m",
        "profile": "smollm2",
        "criterion": "below 0.5 (fewer than half of the tokens)",
        "own": own,
        "smallest_effect": None,
        "p": 0.01,
    }
    verdict = Verdict(id=name, verdict=verdict, **fields | changes)
    return verdict.model_dump(mode="json")


def rows(*verdicts: dict) -> dict[str, dict]:
    """The rows by their ids."""
    return {verdict["id"]: verdict for verdict in verdicts}

"""Bad input by the thousand: a documented error or a right answer, no traceback, no long work.

Nothing may be computed here, and the solver is taken away: what gets as far as a fit is told that
computing is forbidden. `REPRODUCER_FUZZ=40` tries 40 times as many cases; with `-s` the counts of
each surface are printed (benchmarks/RELIABILITY.md has those of the last large run).
"""

from __future__ import annotations

import os
import time
from collections import Counter

import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import reproducer
from reproducer.app import bench, book
from reproducer.errors import ReproducerError
from reproducer.experiments import EXPERIMENTS, experiment
from reproducer.experiments.check import check
from reproducer.models.card import model_card
from reproducer.paths import ROOT
from reproducer.results import run
from reproducer.results.packs import packs
from tests.app.calls import called

TIMES = int(os.environ.get("REPRODUCER_FUZZ", "1"))
CPU_SECONDS = 10  # of one case; most take milliseconds
counts: dict[str, Counter] = {}

# Numbers that are wrong for most fields, and a few that are right for some.
NUMBERS = [-1, 0, 1, 2, 3, 257, 8193, 10**6 + 1, 10**23 - 1, 2**64, -(10**30), 10**400]
REALS = [0.5, -0.0, 1e-320, 1e38, 1e308, float("inf"), float("-inf"), float("nan")]
YAML = ["[1", "*x", "&a [1, *a]", "@", "{a: b", "!!python/name:os.system", "[1, 3]", "[3, 3]"]
YAML += ["[]", "[[1]]", "null", "~", "true", "1e400", "0x" + "f" * 9000, "[" * 3000, "? x", "a: b"]
YAML += ["2020-13-45", "!!int ''", "!!float x", "!!binary x", "-.inf", ".nan", "'", "\t-", "%x"]
WORDS = ["", " ", "unseen", "unseen:x", "generated:unseen", "generated:", "paper", "[e]", "..", "/"]
WORDS += ["x" * 5000, "a/b", "a/b/c", "random:", "random:tiny", "tiny", "\0", "\ud800", "none"]
WORDS += ["\u202eabc", "👩\u200d👩\u200d👧", "smoke", "arrangements", "-", "--", "-1", "%s", "{}"]
texts = st.one_of(st.sampled_from(WORDS), st.sampled_from(YAML), st.text(max_size=20))
numbers = st.one_of(st.sampled_from(NUMBERS), st.integers(-9, 9))
scalars = st.one_of(texts, numbers, st.sampled_from(REALS), st.floats(), st.booleans())
values = st.one_of(scalars, st.lists(scalars, max_size=4), st.lists(numbers, max_size=4))


ROW = {"n_tokens": 1, "n_texts": 1, "obvious_peak_bytes": None, "solver_peak_bytes": None}
ROW |= dict.fromkeys(("obvious_text_steps_per_s", "solver_text_steps_per_s", "peak_share"), 1.0)
ROW |= dict.fromkeys(("ratio", "ratio_low", "ratio_high"), 1.0)


class Forbidden(Exception):
    """Work was begun."""


def forbidden(*arguments, **named):
    raise Forbidden


@pytest.fixture(scope="module", autouse=True)
def nothing_computes(tmp_path_factory):
    """One experiment for commands that walk over all, empty folders, no solver, no notebooks."""
    place = tmp_path_factory.mktemp("fuzz")
    (place / "book").mkdir()
    (place / "book" / "_toc.yml").write_bytes((ROOT / "book" / "_toc.yml").read_bytes())
    build = book.build_book
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPRODUCER_COMPUTE", "never")
        patch.setenv("REPRODUCER_SHIPPED", str(place / "packs"))
        (place / "packs").mkdir()
        patch.setattr(run, "solve", forbidden)
        patch.setattr(bench, "matmul_peak_flops", lambda *rest: 1.0)
        patch.setattr(bench, "_row", lambda *rest: ROW)
        patch.setattr(book, "build_book", lambda *chosen: build(*chosen, book=place / "book"))
        for name in ("_run_notebooks", "_copy_mathjax", "_build_pages"):
            patch.setattr(book, name, lambda *arguments: None)
        for module in ("experiments.ledger", "app.status"):
            patch.setattr(f"reproducer.{module}.EXPERIMENTS", ("arrangements",))
        packs.cache_clear()
        yield
    packs.cache_clear()
    for surface, outcomes in counts.items():
        print(f"\n{surface}: {sum(outcomes.values())} cases, {dict(outcomes)}", end="")


def few(n: int):
    """So many cases, times what the environment asks for."""
    return settings(
        max_examples=n * TIMES,
        deadline=None,
        derandomize=TIMES == 1,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def tried(surface, call, documented=ReproducerError):
    """Call; a documented error is fine, if ours then of one short line; any other is not."""
    begin, outcome = time.process_time(), "answers"
    try:
        return call()
    except documented as error:
        if isinstance(error, ReproducerError):
            assert len(str(error)) < 1000 and len(str(error).splitlines()) == 1
        outcome = _outcome(str(error))
    finally:
        counts.setdefault(surface, Counter())[outcome] += 1
        assert time.process_time() - begin < CPU_SECONDS
    return None


def _outcome(told):
    """What was sound came as far as the work, which is forbidden here."""
    return "as far as computing" if "REPRODUCER_COMPUTE=never" in told else "errors"


OPTIONS = {
    "run": ["--profile", "-p", "--param"],
    "book": ["--profile"],
    "status": ["--profile", "--json"],
    "claims": ["--profile", "--json", "--wide", "--csv"],
    "diff": ["--profile", "--json"],
    "confirm": ["--json"],
    "pack": ["--profile"],
    "merge": [],
    "verify": ["--sample", "--json"],
    "warm-start": [],
    "text": ["--tokens", "--model", "--arrangement", "--recipe", "--steps", "--seeds", "--json"],
    "bench": ["--model", "--tokens", "--repeats", "--json"],
}
FLAGS = ("--json", "--wide", "--csv")
FIELDS = sorted({name for e in EXPERIMENTS for name in experiment(e).Params.model_fields})


@st.composite
def command_lines(draw):
    command = draw(st.sampled_from([*OPTIONS, "no-such-command"]))
    places = ["x" * 5000, "~nobody", "/dev/null", "/", ".", "README.md", "a/" * 2000, "p.yaml"]
    known = ["arrangements", "distances", "tiny", "HEAD"]
    word = st.one_of(scalars.map(str), st.sampled_from(places), st.sampled_from(known))
    words = draw(st.lists(word, max_size=2))
    for option in draw(st.lists(st.sampled_from(OPTIONS.get(command) or ["--x"]), max_size=3)):
        if option in ("-p", "--param"):
            pair = st.builds("{}={}".format, st.sampled_from(FIELDS), values)
            words += [option, draw(st.one_of(pair, word))]
        else:
            words += [option] if option in FLAGS else [option, draw(word)]
    if "--model" in OPTIONS.get(command, ()) and "--model" not in words:
        words += ["--model", "tiny"]
    if "--profile" in OPTIONS.get(command, ()) and "--profile" not in words:
        words += ["--profile", "smoke"]
    # No operating system hands over a null character in an argument.
    return [command, *(w.replace("\0", "") for w in words)]


def require_documented(surface, status, err):
    counts.setdefault(surface, Counter())[_outcome(err) if status else "answers"] += 1
    assert status in (0, 2) and "Traceback" not in err
    if status == 2 and "Usage:" not in err:
        assert err.splitlines()[-1].startswith("error: ")


@given(command_lines(), st.binary(max_size=40))
@few(40)
def test_commands(words, typed):
    begin = time.process_time()
    status, _, err = called(words, typed)
    assert time.process_time() - begin < CPU_SECONDS
    require_documented("commands", status, err)


@given(st.one_of(st.binary(max_size=99), st.text(max_size=99).map(lambda t: t.encode())), numbers)
@few(40)
def test_what_the_command_text_reads(typed, n_tokens):
    words = ["text", "-", "--model", "tiny", "--tokens", str(n_tokens)]
    require_documented("text on standard input", *called(words, typed)[::2])


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_parameters(name):
    fields = sorted(experiment(name).Params.model_fields)

    @given(st.sampled_from(fields), values)
    @few(12)
    def one(field, value):
        def plan():
            params = reproducer.load_params(name, "smoke", **{field: value})
            if name in ("syntax", "semantics"):  # whose plans take a second
                check(params)
            else:
                reproducer.study(params, known=KNOWN)

        tried(f"parameters of {name}", plan)

    one()


KNOWN = reproducer.Known()
spec_fields = {
    "model": texts,
    "dtype": texts,
    "arrangement": st.one_of(st.sampled_from(list(reproducer.ARRANGEMENTS)), texts),
    "texts": st.lists(
        st.builds(dict, source=texts, id=texts, tokens=st.lists(numbers, max_size=3)), max_size=2
    ),
    "seed": scalars,
    "copies": st.one_of(st.just(1), st.sampled_from([0, -1, "x", 2])),
    "share": texts,
    "recipe": st.one_of(
        st.just(reproducer.RECIPES["paper"]),
        st.dictionaries(st.sampled_from(["lr", "eps"]), values),
    ),
}
SOUND = {
    "model": "tiny",
    "arrangement": "[e] [m]xN",
    "texts": [{"source": "own", "id": "a", "tokens": [1, 2]}],
    "recipe": reproducer.RECIPES["paper"],
}
recipe_fields = st.dictionaries(st.sampled_from(list(reproducer.Recipe.model_fields)), values)
DOCUMENTED = (ReproducerError, pydantic.ValidationError)


def some_fields(of):
    return st.lists(st.sampled_from(sorted(of)), max_size=3, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: of[name] for name in names})
    )


@given(some_fields(spec_fields))
@few(30)
def test_specs(fields):
    def make():
        spec = reproducer.FitSpec(**SOUND | fields)
        reproducer.compute([spec], KNOWN, progress=False)

    tried("FitSpec, Text, Recipe, compute", make, (*DOCUMENTED,))


@given(recipe_fields)
@few(20)
def test_recipes(fields):
    tried("Recipe", lambda: reproducer.Recipe(**{"name": "x"} | fields), DOCUMENTED)


@given(st.dictionaries(st.sampled_from(["term", "weight", "teacher", "start_at_teacher"]), values))
@few(10)
def test_regularizers(fields):
    tried("Regularizer", lambda: reproducer.Regularizer(**fields), DOCUMENTED)


@given(st.dictionaries(st.sampled_from(list(reproducer.Verdict.model_fields)), values))
@few(10)
def test_verdicts(fields):
    tried("Verdict", lambda: reproducer.Verdict(**fields), DOCUMENTED)


@given(texts, texts, values)
@few(20)
def test_load_params(name, profile, value):
    tried("load_params", lambda: reproducer.load_params(name, profile, n_texts=value))


@given(texts, st.one_of(st.just("cpu"), texts), st.one_of(st.just("auto"), texts))
@few(10)
def test_load_lm(name, device, dtype):
    model_card.cache_clear()
    tried("load_lm", lambda: reproducer.load_lm(name, device, dtype))


@given(texts, texts, numbers, numbers)
@few(20)
def test_load_texts(source, model, n_texts, n_tokens):
    tried("load_texts", lambda: reproducer.load_texts(source, model, n_texts, n_tokens))


@given(st.sampled_from(["unseen", "seen", "random"]), numbers, numbers)
@few(10)
def test_load_texts_of_known_names(source, n_texts, n_tokens):
    tried("load_texts", lambda: reproducer.load_texts(source, "tiny", n_texts, n_tokens))


@given(st.sampled_from(list(reproducer.ARRANGEMENTS)), st.integers(-9, 999))
@few(10)
def test_arrangements(name, n_tokens):
    tried("Arrangement.roles", lambda: reproducer.ARRANGEMENTS[name].roles(n_tokens))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    made = reproducer.Store(tmp_path_factory.mktemp("store"))
    made.require_writable()
    yield made
    made.close()


@given(key=texts)
@few(10)
def test_stores(store, key):
    tried("Store", lambda: (key in store, store.get(key), store.digest(key)))

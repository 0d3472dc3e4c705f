"""Two trained vectors that make a frozen language model emit a whole text in one pass.

A reproduction of Mezentsev & Oseledets (arXiv 2505.21189) and Bondarenko, Palkin & Tikunov
(arXiv 2602.18301). This is the public list; notebooks import nothing private. A name is loaded
when it is first used, since PyTorch takes seconds and tables and verdicts do without it.
"""

import os

import lazy_loader

# Threads that wait for each other by spinning take the cores from another process that computes
# here. On two cores, of two `reproduce plan capacity --profile evidence` at once each told 66 hours
# where one alone told 2; with this each tells 4. PyTorch reads it when it is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "errors": ["ReproducerError"],
        "experiments.claims": ["Verdict"],
        "experiments.profiles": ["load_params"],
        "experiments.study": ["study"],
        "models.language_model": ["LanguageModel", "load_lm"],
        "results.fits": ["FitSpec", "Regularizer"],
        "results.known": ["Known"],
        "results.run": ["compute"],
        "results.specs": ["Result", "SolveSpec", "Spec"],
        "results.store": ["Store"],
        "solver.arrangements": ["ARRANGEMENTS", "Arrangement"],
        "solver.problem": ["Penalty", "Problem"],
        "solver.recipes": ["RECIPES", "Recipe"],
        "solver.solve": ["Solution", "solve"],
        "texts.sources": ["Text", "load_texts"],
    },
)

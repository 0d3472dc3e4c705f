"""Two trained vectors that make a frozen language model emit a whole text in one pass.

A reproduction of Mezentsev & Oseledets (arXiv 2505.21189) and Bondarenko, Palkin & Tikunov
(arXiv 2602.18301). This is the public list; notebooks import nothing private.
"""

from reproducer.errors import ReproducerError
from reproducer.experiments.profiles import load_params
from reproducer.experiments.verdicts import Verdict
from reproducer.models.language_model import LanguageModel, load_lm
from reproducer.results.run import compute
from reproducer.results.specs import FitSpec, SolveSpec, Spec
from reproducer.results.store import Result, Store
from reproducer.solver.arrangements import ARRANGEMENTS, Arrangement
from reproducer.solver.problem import Penalty, Problem
from reproducer.solver.recipes import RECIPES, Recipe
from reproducer.solver.solve import Solution, solve
from reproducer.texts.sources import Text, load_texts

__all__ = [
    "ARRANGEMENTS",
    "RECIPES",
    "Arrangement",
    "FitSpec",
    "LanguageModel",
    "Penalty",
    "Problem",
    "Recipe",
    "ReproducerError",
    "Result",
    "Solution",
    "SolveSpec",
    "Spec",
    "Store",
    "Text",
    "Verdict",
    "compute",
    "load_lm",
    "load_params",
    "load_texts",
    "solve",
]
__version__ = "0.1.0"

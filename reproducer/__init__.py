"""Two trained vectors that make a frozen language model emit a whole text in one pass.

A reproduction of Mezentsev & Oseledets (arXiv 2505.21189) and Bondarenko, Palkin & Tikunov
(arXiv 2602.18301). This is the public list; notebooks import nothing private.
"""

from reproducer.arrangements import ARRANGEMENTS, Arrangement
from reproducer.compute import compute
from reproducer.corpora import Text, load_texts
from reproducer.errors import ReproducerError
from reproducer.models import LanguageModel, load_lm
from reproducer.problems import Penalty, Problem
from reproducer.profiles import load_params
from reproducer.recipes import RECIPES, Recipe
from reproducer.solver import Solution, solve
from reproducer.specs import FitSpec, SolveSpec, Spec
from reproducer.store import Result, Store
from reproducer.verdicts import Verdict

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

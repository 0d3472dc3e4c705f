"""Numbers spelled in words that pages may have, each with the reason why no run can change it."""

PAPER = "the papers' protocol or finding"
DESIGN = "the design of the experiment or of the method, fixed in the code"
CRITERION = "a criterion, a margin or a limit, fixed in the code"
SHARE = "a part that the page defines, whatever the numbers"
GIVEN = "what was made or shipped once, or a published fact of a model"
MACHINE = "the machine of the shipped results, or an example of machines"
TEXT = "counts what stands on the page itself"
LOGIC = "follows from the words before it: a pair has two members"

# Wherever it stands: the vectors, the papers, and pairs, which have two members by name.
EVERYWHERE = {
    r"\b[Tt]wo (?:trained )?(?:vectors|proto-tokens)\b": DESIGN,
    r"\btwo papers\b": GIVEN,
    r"\btwo published versions\b": GIVEN,
    r"\btwo (?:solutions|fits|ledgers|commits)\b": LOGIC,
    r"\btwo CPU cores\b": MACHINE,
    r"\bmiddle half\b": SHARE,
    r"\bTwo tokens in\b": "the title of the book",
}
# By experiment, the phrases of what its page says of the protocol.
PROTOCOLS = {
    "arrangements": {"vectors thirty times as long": DESIGN, "Two cores": MACHINE},
    "second_position": {"Three arrangements": DESIGN},
    "sharing": {"to 0.99": CRITERION, "a token in 20": CRITERION},
    "capacity": {"draws ratios to 1": LOGIC},
    "information": {"With t_1 given": DESIGN},
    "throughput": {"a ratio of 100": CRITERION, "Six ratios": PAPER},
    "attention": {"the first quarter": DESIGN},
    "noise": {"three quarters, half and a quarter": DESIGN},
    "syntax": {"seven grammars": DESIGN, "four groups": DESIGN, "three groups": DESIGN},
    "distillation": {"A batch of six has fifteen cosines": LOGIC, "thousands of numbers": GIVEN},
    "recipes": {"an accuracy of 0.95": CRITERION},
    "encoder": {"Three other e": DESIGN},
    "encoded_space": {"two texts that differ": DESIGN, "two of one text": LOGIC},
}
# By page, the phrases as they stand there.
ALLOWED = {
    "add_experiment.md": {"in its two code cells": TEXT},
    "arrangements.ipynb": {
        "compare five on": PAPER,
        "We add a sixth": DESIGN,
        "the first half, whose": DESIGN,
        "in the third verdict": DESIGN,
    },
    "arrangements.md": {
        "arrangement of two halves, whose first half": DESIGN,
        "what these two lose": LOGIC,
    },
    "attention.ipynb": {
        "Two things make": TEXT,
        "two quarters of the positions": DESIGN,
        "the first quarter of": DESIGN,
        "The first quarter of": DESIGN,
        "the last quarter": DESIGN,
    },
    "anchoring.md": {"the two weights": LOGIC},
    "capacity.ipynb": {
        "six models and four sources": PAPER,
        "two groups to 1": LOGIC,
        "at most a tenth": CRITERION,
        "Two ways to search": DESIGN,
        "halves the grid": DESIGN,
    },
    "cluster.md": {
        "starts four processes": TEXT,
        "a quarter of the work": TEXT,
        "those of two dtypes": LOGIC,
        "twice at once, or two commands": LOGIC,
    },
    "cost.ipynb": {"half a minute of timing": CRITERION, "three forms of the model": DESIGN},
    "distances.ipynb": {
        "write ten continuations": PAPER,
        "nine of them and ten to the last": PAPER,
        "two random vectors": LOGIC,
        "Three groups of pairs": DESIGN,
    },
    "distillation.ipynb": {
        "batches of six": PAPER,
        "correlation of the two": LOGIC,
        "A batch of six has fifteen cosines": LOGIC,
        "thousands of numbers": GIVEN,
        "its five neighbours": LOGIC,
    },
    "encoded_space.ipynb": {
        "encodings of two texts": DESIGN,
        "chance: one half": LOGIC,
    },
    "encoded_space.md": {
        "the line between two texts": DESIGN,
        "the line between two of them": LOGIC,
    },
    "execute.md": {
        "papers' six models": PAPER,
        "at most half a minute": CRITERION,
        "two larger profiles": GIVEN,
        "first eight tokens": TEXT,
    },
    "first_position.ipynb": {"Four things follow": DESIGN, "The first two state": DESIGN},
    "information.ipynb": {
        "for each text, and two": DESIGN,
        "about twice as much, between once and five times": PAPER,
    },
    "learned.ipynb": {"in ten sentences": DESIGN},
    "method.md": {
        "Five are compared": PAPER,
        "the last two rows": TEXT,
        "that twelve other texts": GIVEN,
        "Three points decide": TEXT,
        "a tenth of the size": GIVEN,
    },
    "noise.ipynb": {
        "the four kinds": PAPER,
        "more than half of the clean accuracy between two": CRITERION,
        "three quarters, half and a quarter": CRITERION,
        "that halves accuracy": DESIGN,
        "stays above half": DESIGN,
        "more than half within": CRITERION,
    },
    "noise.md": {"The four kinds": PAPER},
    "not_run.md": {
        "two orders of magnitude": PAPER,
        "six models of the hub, two data sets": PAPER,
        "about twice the information": PAPER,
        "seven classes": PAPER,
        "Two things can go wrong": TEXT,
        "the three forms": DESIGN,
    },
    "protocol.ipynb": {"bootstrap of five texts": TEXT},
    "readout.ipynb": {"Two controls": DESIGN},
    "README.md": {
        "about twice the information": PAPER,
        "two orders of magnitude": PAPER,
        "alike for four kinds": PAPER,
        "Two commands": TEXT,
        "has ten packages": GIVEN,
        "compares the two": LOGIC,
    },
    "recipes.ipynb": {"the two recipes": LOGIC},
    "second_position.ipynb": {"Two things change": DESIGN, "compare two arrangements": DESIGN},
    "second_position.md": {"The three arrangements": DESIGN, "which of the two": LOGIC},
    "semantics.ipynb": {
        "than to the third": DESIGN,
        "half of the cases": LOGIC,
        "Two references": DESIGN,
        "Two designs": DESIGN,
    },
    "sharing.ipynb": {
        "report two means": PAPER,
        "at the ten that it tried": PAPER,
        "two texts of a group": LOGIC,
    },
    "sharing.md": {"three questions": DESIGN, "Three things differ": TEXT},
    "syntax.ipynb": {
        "seven syntactic classes": PAPER,
        "seven grammars": DESIGN,
        "four groups of disjoint vocabulary": DESIGN,
        "on three groups": DESIGN,
        "two baselines": DESIGN,
    },
    "throughput.ipynb": {
        "their six models": PAPER,
        "We time two pairs": DESIGN,
        "Six models are": PAPER,
    },
    "throughput.md": {"the two ways": DESIGN, "hundreds of tokens": PAPER},
}

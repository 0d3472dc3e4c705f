"""Encoders: one pass from a text to its `e`, in place of a fit. Not in the papers.

Both papers name this as the next step. An encoder is a small network beside the frozen model; what
it gives is fed as `e`, with one `m` for all texts, and the model's own loss trains both.
"""

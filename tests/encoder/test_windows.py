"""Windows against a loop over the texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproducer.encoder.windows import windows
from reproducer.errors import ReproducerError


@given(
    st.lists(st.lists(st.integers(0, 99), max_size=6), min_size=1, max_size=4), st.integers(1, 4)
)
def test_windows_are_all_runs_of_their_length(texts, n_tokens):
    runs = [t[i : i + n_tokens] for t in texts for i in range(len(t) - n_tokens + 1)]
    if runs:
        assert windows(texts, n_tokens).tolist() == runs
    else:
        with pytest.raises(ReproducerError, match=f"a text of {n_tokens} or more tokens"):
            windows(texts, n_tokens)

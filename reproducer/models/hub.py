"""The Hugging Face hub: asked once a process whether it answers, so that nobody waits in vain.

Its libraries try an unreachable hub six times a file, for 24 seconds. Told that there is no network
they look in their cache alone, and say at once what is not there.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from functools import cache

SECONDS = 5


@cache
def settle_hub() -> None:
    """Tell the hub's libraries that there is no network if the hub does not answer in time.

    Where `HF_HUB_OFFLINE` is set already, nothing is asked.
    """
    from huggingface_hub import constants

    if not constants.HF_HUB_OFFLINE and not _answers(constants.ENDPOINT):
        constants.HF_HUB_OFFLINE = True
        os.environ["HF_HUB_OFFLINE"] = "1"  # for libraries that are imported later
        if "datasets" in sys.modules:
            sys.modules["datasets"].config.HF_HUB_OFFLINE = True


def _answers(endpoint: str) -> bool:
    """Whether anything at all comes back from `endpoint` in time."""
    import huggingface_hub

    answers = []

    def ask() -> None:
        # Whatever hinders it: there is no hub.
        with contextlib.suppress(Exception):
            answers.append(huggingface_hub.get_session().head(endpoint, timeout=SECONDS))

    # On a thread, since looking up a name has no time-out of its own.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(SECONDS)
    return bool(len(answers))

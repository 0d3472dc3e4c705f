"""The conversion of the embedded model shows no bars of the library."""

import transformers
from transformers import modeling_gguf_pytorch_utils as reader

from reproducer.models.smollm2 import _without_bars


def test_no_bars_while_converting(capsys):
    transformers.utils.logging.enable_progress_bar()
    list(reader.tqdm(range(3), desc="Converting"))
    assert "Converting" in capsys.readouterr().err
    bar = reader.tqdm
    with _without_bars():
        list(reader.tqdm(range(3), desc="Converting"))
        list(transformers.utils.logging.tqdm(range(3), desc="Writing"))
    assert capsys.readouterr().err == ""
    assert reader.tqdm is bar

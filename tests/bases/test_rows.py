from __future__ import annotations

import torch

from hf_equi.bases.rows import repeat_rows


def test_what_has_one_entry_a_sample_gets_one_a_row():
    batch = torch.tensor([0, 0, 2])
    values = {
        "ids": torch.arange(6).view(3, 2),
        "scale": torch.tensor(3.0),
        "names": ["a", "b", "c"],
        "two": torch.ones(2),
    }
    repeated = repeat_rows(values, batch, 3)
    assert repeated["ids"].tolist() == [[0, 1], [0, 1], [4, 5]]
    for name in ("scale", "names", "two"):
        assert repeated[name] is values[name]

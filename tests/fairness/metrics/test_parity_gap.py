"""The gap, its test and its control: by hand, under a strong effect, and under none."""

from __future__ import annotations

import numpy as np
import pytest

from hf_equi.errors import ConfigurationError
from hf_equi.fairness.metrics import ParityGap
from hf_equi.fairness.metrics.parity_gap import control_parity_gap, parity_gap
from hf_equi.fairness.resampling import Blocks, Resampling


def columns(labels: list[str], names: tuple[str, ...] = ("man", "woman")) -> dict[str, list]:
    """One template; each word of `labels` is a block, each letter the label of one demographic."""
    return {
        "demographic": [name for _ in labels for name in names],
        "template": ["a"] * len(labels) * len(names),
        "sample": [i for i in range(len(labels)) for _ in names],
        "label": [letter for block in labels for letter in block],
    }


def test_the_largest_distance_by_hand() -> None:
    # man: PPNN, woman: PNNN, person: NNNU. Halves of 1/4 + 1/4, of 1/2 + 1/4 + 1/4, and of 1/4 + 1/4.
    result = ParityGap().compute(**columns(["PPN", "PNN", "NNN", "NNU"], ("man", "woman", "person")))
    assert result["parity_gap"] == 0.5
    assert result["parity_gap_pair"] == ["man", "person"]


def test_the_interval_by_hand() -> None:
    # Drawn are both blocks with weight 1/2, and each of them twice with 1/4: gaps 1/2, 1 and 0.
    data = columns(["PN", "PP"])
    assert ParityGap().compute(**data)["parity_gap_interval"] == [0, 1]
    assert ParityGap().compute(**data, confidence=0.4)["parity_gap_interval"] == [0.5, 0.5]


def test_the_p_value_by_hand() -> None:
    # Two of the eight ways to exchange demographics within three blocks leave the labels apart.
    result = ParityGap().compute(**columns(["PN", "PN", "PN"]), resamples=4000)
    assert result["parity_gap"] == 1
    assert result["parity_gap_p_value"] == pytest.approx(0.25, abs=0.03)


def test_the_control_by_hand() -> None:
    # Of the six halves of PPNN two are alike within, at distance 1; the other four are PN and PN. NNNN has distance 0.
    result = ParityGap().compute(**columns(["PN", "PN", "NN", "NN"]), resamples=4000)
    assert result["control_parity_gap"] == pytest.approx((1 / 3 + 0) / 2, abs=0.02)
    assert result["control_parity_gap_interval"] == [0, 1]


def test_equal_texts_have_no_gap() -> None:
    result = ParityGap().compute(**columns(["PP", "NN", "UU", "PP"]))
    assert (result["parity_gap"], result["parity_gap_interval"], result["parity_gap_p_value"]) == (0, [0, 0], 1)
    assert result["control_parity_gap"] > 0


def test_by_its_path(load) -> None:
    data = columns(["PN", "PP", "UN", "NN"])
    assert load("parity_gap").compute(**data) == ParityGap().compute(**data)


def test_a_strong_effect_is_found() -> None:
    rng = np.random.default_rng(0)
    labels = ["".join(rng.choice(list("PUN"), p=p) for p in ([0.7, 0.2, 0.1], [0.1, 0.2, 0.7])) for _ in range(100)]
    result = ParityGap().compute(**columns(labels))
    assert result["parity_gap_p_value"] == 1 / 1001
    assert result["control_parity_gap_interval"][1] < result["parity_gap_interval"][0] < 0.6
    assert result["parity_gap_interval"][1] > 0.6


@pytest.mark.parametrize("tied", [0.0, 0.6])
def test_p_values_are_uniform_without_an_effect(tied: float) -> None:
    """Also for coupled texts, which have the same label with probability `tied` whatever else happens."""
    rng, p_values = np.random.default_rng(1), []
    data = columns(["PP"] * 120)
    blocks = Blocks.read(data["template"], data["sample"])
    for seed in range(200):
        labels = rng.choice(3, (120, 2), p=[0.5, 0.3, 0.2])
        labels[:, 1] = np.where(rng.random(120) < tied, labels[:, 0], labels[:, 1])
        plan = Resampling(resamples=99, seed=seed)
        found = parity_gap(data["demographic"], labels.ravel().tolist(), blocks, plan)
        p_values.append(found["parity_gap_p_value"])
    places = np.arange(1, 201) / 200
    # The critical distance of Kolmogorov and Smirnov at 1 % for 200 draws is 0.115.
    assert np.abs(np.sort(p_values) - places).max() < 0.115


def test_the_control_is_near_the_gap_that_chance_makes() -> None:
    rng = np.random.default_rng(2)
    data = columns(["PP"] * 100)
    blocks = Blocks.read(data["template"], data["sample"])
    gaps, controls = [], []
    for _ in range(100):
        labels = rng.choice(3, 200).tolist()
        plan = Resampling(resamples=50)
        gaps.append(parity_gap(data["demographic"], labels, blocks, plan)["parity_gap"])
        controls.append(control_parity_gap(data["demographic"], labels, blocks, plan)["control_parity_gap"])
    # Halves have half as many texts, so the distance between them is larger by the root of 2.
    assert np.mean(controls) / np.mean(gaps) == pytest.approx(2**0.5, abs=0.15)


def test_one_demographic_has_a_control_and_no_gap() -> None:
    result = ParityGap().compute(**columns(["P", "N", "P", "N"], ("man",)))
    assert result["parity_gap"] is result["parity_gap_interval"] is result["parity_gap_p_value"] is None
    assert result["parity_gap_pair"] is None
    assert 0 < result["control_parity_gap"] < 1


def test_one_block_has_a_gap_and_no_interval() -> None:
    result = ParityGap().compute(**columns(["PN"]))
    assert (result["parity_gap"], result["parity_gap_interval"]) == (1, None)
    assert (result["control_parity_gap"], result["control_parity_gap_interval"]) == (None, None)


def test_demographics_are_compared_on_equal_samples() -> None:
    data = {name: column[:-1] for name, column in columns(["PN", "PN"]).items()}
    with pytest.raises(ConfigurationError, match="Sample 1 of the template 'a' has no sample of 'woman'"):
        ParityGap().compute(**data)


def test_columns_of_different_lengths_are_refused() -> None:
    blocks = Blocks.read(["a"], [0])
    with pytest.raises(ConfigurationError, match="1 samples, 1 demographics and 2 labels"):
        parity_gap(["man"], ["P", "N"], blocks, Resampling())

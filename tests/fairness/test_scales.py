"""Names of columns and figures, and the way back from columns."""

from __future__ import annotations

from hf_equi.fairness.auditing.samples import COLUMNS, sample_columns
from hf_equi.fairness.scales import REGARD, Scale, demographics, prefixes, read_scales
from hf_equi.generation.scorers import LABELS

ODD = Scale("P(a) b", ("label", "not label"))
SECOND = Scale("second", LABELS)


def test_regard_has_the_names_that_it_always_had() -> None:
    assert list(REGARD.columns()) == [
        *("negative", "neutral", "positive", "label"),
        *("masked_negative", "masked_neutral", "masked_positive", "masked_label"),
    ]
    assert (REGARD.key("parity_gap", masked=True), REGARD.mean, REGARD.shares) == (
        "masked_parity_gap",
        "mean_regard",
        "regard",
    )


def test_scales_are_read_from_columns_whatever_their_names_hold() -> None:
    scales = (REGARD, SECOND, ODD)
    assert read_scales(sample_columns(scales)) == scales
    assert read_scales(COLUMNS) == (REGARD,)
    assert read_scales(sample_columns([ODD])) == (ODD,)
    assert read_scales(["model"]) == ()


def test_the_value_of_a_row_is_what_the_mean_is_of() -> None:
    row = dict.fromkeys(sample_columns([REGARD, ODD]), 0.25)
    row |= {"positive": 0.75, "P(a) b:masked_P(label)": 0.5}
    assert (REGARD.value(row), REGARD.value(row, masked=True)) == (0.5, 0.0)
    assert (ODD.value(row), ODD.value(row, masked=True)) == (0.25, 0.5)
    assert (SECOND.said, ODD.said) == ("P(positive) − P(negative)", "P(label)")


def test_figures_say_which_scorers_there_were() -> None:
    model = {"toxic:masked_parity_gap": 0.1, "toxic:parity_gap": 0.2, "toxic:masked_shares": {"a": {}}}
    assert prefixes(model) == ["toxic:"]
    assert demographics(model) == []
    assert demographics({"regard": {"a": {}, "b": {}}}) == ["a", "b"]

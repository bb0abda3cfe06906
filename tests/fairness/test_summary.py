"""The table of an audit, by hand, and what JSON may see of it."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from hf_equi.errors import ConfigurationError
from hf_equi.fairness.metrics import Consistency, Distinct, GroupGaps, ParityGap, Perplexity, RegardDistribution
from hf_equi.fairness.summary import COLUMNS, summarise

LABELS = ("negative", "neutral", "positive")
KEYS_OF_LABELS = [
    "parity_gap",
    "parity_gap_interval",
    "parity_gap_p_value",
    "parity_gap_pair",
    "control_parity_gap",
    "control_parity_gap_interval",
    "mean_regard",
    "mean_regard_interval",
    "regard",
    "regard_interval",
]
KEYS = [
    *("model", "samples", "group_gap", "group_gap_interval", "group_gap_mean", "group_gap_mean_interval"),
    *("consistency", "consistency_interval"),
    *KEYS_OF_LABELS,
    *("masked_" + key for key in KEYS_OF_LABELS),
    *("perplexity", "perplexity_interval", "distinct_1", "distinct_1_interval", "distinct_2", "distinct_2_interval"),
    "verdict",
]


def rows(
    model: str = "base", demographics: tuple[str, ...] = ("man", "woman"), samples: int = 4
) -> list[dict[str, Any]]:
    """Samples of two templates, in the order of an audit, with columns that the summary does not read."""
    rng = np.random.default_rng(len(model))
    made = []
    for template in ("The {demographic} was", "The {demographic} had"):
        for demographic in demographics:
            for sample in range(samples):
                plain, masked = (rng.dirichlet([1, 1, 1]).tolist() for _ in range(2))
                prompt = template.format(demographic=demographic)
                words = " ".join(rng.choice(["a", "cook", "and", "nurse"], 5))
                made.append(
                    {
                        **{"model": model, "demographic": demographic, "template": template, "sample": sample},
                        **{"prompt": prompt, "text": f"{prompt} {words}", "tokens": [1, 2, 3], "prompt_tokens": 2},
                        **dict(zip(LABELS, plain, strict=True)),
                        **{f"masked_{label}": p for label, p in zip(LABELS, masked, strict=True)},
                        **{"label": LABELS[np.argmax(plain)], "masked_label": LABELS[np.argmax(masked)]},
                        **{"nll": float(rng.uniform(5, 9)), "scored_tokens": 5},
                        **{"gap": float(rng.uniform()), "consistent": bool(sample % 2)},
                    }
                )
    return made


def changed(**values: Any) -> list[dict[str, Any]]:
    """The rows with other values in all of them."""
    return [{**row, **values} for row in rows()]


def summary(made: list[dict[str, Any]], **settings: Any) -> list[dict[str, Any]]:
    return summarise(Dataset.from_list(made), **{"resamples": 100, **settings})


def test_figures_by_hand() -> None:
    common = {"template": "t", "prompt": "The x", "model": "base", "nll": 2.0, "scored_tokens": 2}
    plain = [("positive", 0.0, 1.0), ("negative", 0.5, 0.25), ("positive", 0.25, 0.5), ("neutral", 0.25, 0.25)]
    made = [
        {
            **common,
            **{"demographic": ("man", "woman")[i % 2], "sample": i // 2, "text": f"The x {text}"},
            **{"label": label, "negative": negative, "positive": positive},
            **{"masked_label": "neutral", "masked_negative": 0.25, "masked_positive": 0.5},
            **{"gap": 0.5 * i, "consistent": i < 2},
        }
        for i, ((label, negative, positive), text) in enumerate(zip(plain, ["a b", "a b", "a", "c"], strict=True))
    ]
    [found] = summary(made)
    figures = {
        **{"samples": 4, "group_gap": 1.5, "group_gap_mean": 0.75, "consistency": 0.5},
        **{"parity_gap": 1.0, "parity_gap_pair": ["man", "woman"], "mean_regard": 0.25},
        **{"masked_parity_gap": 0.0, "masked_parity_gap_p_value": 1.0, "masked_mean_regard": 0.25},
        **{
            "perplexity": pytest.approx(math.e),
            "distinct_1": pytest.approx(5 / 6),
            "distinct_2": pytest.approx(1 / 3),
        },
        "regard": {
            "man": {"negative": 0.0, "neutral": 0.0, "positive": 1.0},
            "woman": {"negative": 0.5, "neutral": 0.5, "positive": 0.0},
        },
        "masked_regard": {name: {"negative": 0.0, "neutral": 1.0, "positive": 0.0} for name in ("man", "woman")},
    }
    assert {key: found[key] for key in figures} == figures


def test_the_keys_and_models_come_in_order_and_json_keeps_all() -> None:
    found = summary(rows("zeta") + rows("alpha"))
    assert [model["model"] for model in found] == ["zeta", "alpha"]
    assert [list(model) for model in found] == [KEYS, KEYS]
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_figures_are_those_of_the_metrics() -> None:
    data, settings = Dataset.from_list(rows()), {"resamples": 50, "confidence": 0.9, "seed": 5}
    [found] = summarise(data, **settings)
    for metric in (GroupGaps(), Consistency(), ParityGap(), RegardDistribution(), Perplexity(), Distinct()):
        figures = metric.compute(**{name: data[name][:] for name in metric.columns}, **settings)
        assert {key: found[key] for key in figures} == figures
    masked = {name.removeprefix("masked_"): data[name][:] for name in COLUMNS if name.startswith("masked_")}
    for metric in (ParityGap(), RegardDistribution()):
        columns = {name: masked.get(name) or data[name][:] for name in metric.columns}
        figures = metric.compute(**columns, **settings)
        assert {key: found["masked_" + key] for key in figures} == figures


def test_a_model_is_summarised_as_if_it_were_alone() -> None:
    assert summary(rows("base") + rows("EquiLM"))[1] == summary(rows("EquiLM"))[0]


def test_the_order_of_rows_does_not_matter() -> None:
    made = rows()
    [before], [after] = summary(made), summary([made[0], *made[:0:-1]])
    for key, value in before.items():
        if isinstance(value, float | list) and key not in ("parity_gap_pair", "masked_parity_gap_pair"):
            assert after[key] == pytest.approx(value), key
        else:
            assert json.dumps(after[key], sort_keys=True) == json.dumps(value, sort_keys=True), key


def test_the_seed_decides_the_intervals_alone() -> None:
    [first], [again], [other] = (summary(rows(), seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first["mean_regard"] == other["mean_regard"]
    assert first["mean_regard_interval"] != other["mean_regard_interval"]


def test_the_format_of_the_dataset_does_not_matter() -> None:
    data = Dataset.from_list(rows())
    assert summarise(data.with_format("torch"), resamples=20) == summarise(data, resamples=20)


def test_without_a_likelihood_there_is_no_group_gap() -> None:
    first, second = summary(rows("base") + [{**row, "model": "EquizeroLM", "gap": None} for row in rows()])
    assert first["group_gap"] > 0
    assert {second[key] for key in KEYS if key.startswith("group_gap")} == {None}
    assert second["consistency"] == 0.5


def test_a_column_of_nulls_alone_is_no_error() -> None:
    [found] = summary(changed(gap=None, consistent=None))
    assert found["group_gap"] is found["consistency"] is found["consistency_interval"] is None


def test_one_demographic_has_no_parity_gap() -> None:
    [found] = summary(rows(demographics=("man",)))
    for key in KEYS_OF_LABELS[:4]:
        assert found[key] is found["masked_" + key] is None
    assert found["control_parity_gap"] > 0


def test_prompts_without_a_demographic_have_regard_and_no_parity_gap() -> None:
    [found] = summary(rows(demographics=("",)))
    for key in KEYS_OF_LABELS[:6]:
        assert found[key] is found["masked_" + key] is None
    assert set(found["regard"]) == {""}
    neutral = [{**row, "template": "The doctor said"} for row in rows("neutral", demographics=("",))[:4]]
    [both], [named] = summary(rows() + [{**row, "model": "base"} for row in neutral]), summary(rows())
    assert {key: both[key] for key in KEYS_OF_LABELS[:6]} == {key: named[key] for key in KEYS_OF_LABELS[:6]}
    assert both["samples"] == named["samples"] + 4


def test_one_sample_of_one_template_has_figures_without_intervals() -> None:
    [found] = summary([row for row in rows(samples=1) if row["template"] == "The {demographic} had"])
    intervals = {key: value for key, value in found.items() if key.endswith("_interval") and "regard_" not in key}
    assert set(intervals.values()) == {None}
    assert found["parity_gap"] is not None


def test_a_text_that_the_base_rules_out_leaves_no_perplexity() -> None:
    [found] = summary(changed(nll=math.inf))
    assert found["perplexity"] is found["perplexity_interval"] is None


def test_missing_columns_are_named() -> None:
    data = Dataset.from_list(rows()).remove_columns(["nll", "masked_label"])
    with pytest.raises(ConfigurationError, match="lack the columns masked_label, nll"):
        summarise(data)


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no samples to summarise"):
        summarise(Dataset.from_list(rows()).select([]))


@pytest.mark.parametrize(
    ("column", "value"), [("nll", math.nan), ("nll", -math.inf), ("gap", math.inf), ("masked_positive", math.nan)]
)
def test_what_is_no_number_is_named(column: str, value: float) -> None:
    made = rows()
    made[3][column] = value
    with pytest.raises(ConfigurationError, match=f"^{column} is {value} in row 3"):
        summary(made)


def test_a_missing_value_is_named() -> None:
    made = rows()
    made[2]["label"] = None
    with pytest.raises(ConfigurationError, match="Row 2 of the samples has no label"):
        summary(made)


def test_incomplete_samples_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"Sample 3 of the template .* has no sample of 'woman'"):
        summary(rows()[:-1])


def of_toxicity() -> list[dict[str, Any]]:
    """The same rows, scored by another classifier that gives the probabilities of `negative`."""
    made = rows()
    for row in made:
        for way in ("", "masked_"):
            row[f"toxic:{way}P(toxic)"] = row[f"{way}negative"]
            row[f"toxic:{way}P(not toxic)"] = 1 - row[f"{way}negative"]
            row[f"toxic:{way}label"] = "toxic" if row[f"{way}label"] == "negative" else "not toxic"
    return made


def test_each_scorer_adds_figures_under_its_own_name() -> None:
    (alone,), (both,) = summary(rows()), summary(of_toxicity())
    own = [key for key in both if key.startswith("toxic:")]
    assert {key: both[key] for key in both if key not in own and key != "verdict"} == {
        key: alone[key] for key in alone if key != "verdict"
    }
    assert len(own) == 2 * len(KEYS_OF_LABELS)
    for way in ("", "masked_"):
        assert both[f"toxic:{way}mean_score"] == pytest.approx(np.mean([row[f"{way}negative"] for row in rows()]))
        for name, shares in both[f"toxic:{way}shares"].items():
            assert shares == {
                "toxic": pytest.approx(alone[f"{way}regard"][name]["negative"]),
                "not toxic": pytest.approx(1 - shares["toxic"]),
            }
        difference = [shares["toxic"] for shares in both[f"toxic:{way}shares"].values()]
        assert both[f"toxic:{way}parity_gap"] == pytest.approx(abs(difference[0] - difference[1]))
        assert 0 < both[f"toxic:{way}parity_gap_p_value"] <= 1
    assert both["verdict"]["sentences"][-1] == "Each of the 2 scorers is held to p < 0.025."


def test_without_regard_there_are_no_figures_of_it() -> None:
    regard = {way + name for way in ("", "masked_") for name in (*LABELS, "label")}
    left = [{key: row[key] for key in row if key not in regard} for row in of_toxicity()]
    (found,) = summary(left)
    assert not [key for key in found if "regard" in key or key == "parity_gap"]
    assert found["toxic:parity_gap"] == summary(of_toxicity())[0]["toxic:parity_gap"]


def test_more_scorers_need_more_resamples() -> None:
    with pytest.raises(ConfigurationError, match=r"resamples=30 is too few for confidence=0.95 and 2 scorers.*Use 40"):
        summary(of_toxicity(), resamples=30)

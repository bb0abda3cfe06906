"""An audit's figures go into the card of the model that they are of, and into no other."""

from __future__ import annotations

import json

import pytest
import torch
from huggingface_hub import ModelCard

import hf_equi
from hf_equi import DemographicGroup, LabelScorer, RegardScorer
from hf_equi.errors import ConfigurationError, HfEquiWarning
from hf_equi.fairness import audit
from hf_equi.models.cards.audits import TITLES, read_evaluation, telling_settings
from hf_equi.models.cards.writing import make_card

GENDER = DemographicGroup([["man", "woman"], ["he", "she"], ["his", "her"]])
RELAXED = GENDER.relax(neutral=["nurse", "doctor"])


def wrap(group=GENDER, method="equitune", **settings):
    return hf_equi.symmetrize("demo", group, method, **settings)


def lengths(texts):
    return torch.tensor([float(len(text)) for text in texts])


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """The folder of an audit in float32, as `hf-equi audit` makes it, except for the report."""
    folder = tmp_path_factory.mktemp("audit")
    scorer = RegardScorer("demo")
    whole = wrap(dtype=torch.float32)
    base, words = whole.unwrap(), {"tokenizer": whole.tokenizer, "multi_token": "skip"}
    models = {
        "base": base,
        "EquiLM": hf_equi.symmetrize(base, GENDER, **words),
        "R-EquiLM": hf_equi.symmetrize(base, RELAXED, **words),
        "EquizeroLM": hf_equi.symmetrize(base, GENDER, "equizero", scorer=scorer, beam_length=4, **words),
    }
    prompts = ["The {demographic} worked as", "The {demographic} was known for"]
    result = audit(models, whole.tokenizer, GENDER, prompts, scorer, 2, seed=1, max_new_tokens=6, resamples=20)
    (folder / "summary.json").write_text(json.dumps(result.summary))
    return folder


def figures(folder, name):
    summary = json.loads((folder / "summary.json").read_text())
    return next(entry for entry in summary["models"] if entry["model"] == name)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("EquiLM", wrap),  # in bfloat16, as the demo model is stored: the weights are the same
        ("R-EquiLM", lambda: wrap(RELAXED)),
        ("EquizeroLM", lambda: wrap(method="equizero", scorer=RegardScorer("demo"), beam_length=4)),
    ],
)
def test_a_model_is_found_by_what_it_is(audited, name, make):
    evaluation = read_evaluation(audited, make())
    assert evaluation.figures == figures(audited, name)
    assert evaluation.base_figures == figures(audited, "base")
    results = {result.metric_type: result.metric_value for result in evaluation.results()}
    assert results == {key: evaluation.figures[key] for key in TITLES if evaluation.figures[key] is not None}
    assert ("group_gap" in results) == (name != "EquizeroLM")


def test_the_head_of_the_card_has_an_index(audited):
    card = make_card(wrap(), audit=audited, repo_id="me/fair")
    data = ModelCard(card).data
    assert data.model_name == "fair"
    found = {result.metric_type: result for result in data.eval_results}
    own = figures(audited, "EquiLM")
    assert found["parity_gap"].metric_value == own["parity_gap"]
    assert found["parity_gap"].dataset_args["seed"] == 1
    assert found["parity_gap"].task_type == "text-generation"
    assert f"| Mean regard | {figures(audited, 'base')['mean_regard']:.3f} (" in card
    assert "| Verdict | Treats man and woman differently | Too few texts to tell |" in card
    assert "2 prompts about 2 demographics, 2 a prompt" in card
    assert "## Audit" not in make_card(wrap())


def test_a_card_shows_the_words_of_an_audit_as_text_and_no_folder_of_its_machine(audited):
    summary = json.loads((audited / "summary.json").read_text())
    summary["settings"]["scorer"]["name"] = "/home/me/regard"
    for entry in summary["models"]:
        entry["verdict"]["headline"] = "Treats <b> and a|b\n<!-- alike"
    card = make_card(wrap(), audit=summary)
    assert r"| Treats \<b\> and a\|b \<!-- alike |" in card
    assert "/home/me" not in card
    assert ModelCard(card).data.eval_results[0].dataset_args["scorer"] == "a custom classifier"


def test_an_audit_of_an_older_release_has_no_verdict(audited):
    summary = json.loads((audited / "summary.json").read_text())
    for entry in summary["models"]:
        del entry["verdict"]
    card = make_card(wrap(), audit=summary)
    assert "| Consistency |" in card
    assert "Verdict" not in card


def test_a_classifier_in_a_folder_is_one_that_no_checkpoint_names(audited, tmp_path):
    summary = json.loads((audited / "summary.json").read_text())
    entry = summary["settings"]["models"][3]
    entry["scorer"]["name"] = "/home/me/regard"
    wrap(method="equizero", scorer=lengths, beam_length=4).save_pretrained(tmp_path)
    with pytest.warns(HfEquiWarning, match="saved without its scorer"):
        zero = hf_equi.EquizeroLM.from_pretrained(tmp_path)
    assert read_evaluation(summary, zero).figures == figures(audited, "EquizeroLM")
    other = {**entry, "name": "second", "scorer": {"class": "lengths"}}
    summary["settings"]["models"].append(other)
    summary["models"].append({**figures(audited, "EquizeroLM"), "model": "second"})
    with pytest.raises(ConfigurationError, match="has EquizeroLM, second, which differ by their scorer alone"):
        read_evaluation(summary, zero)
    zero.config.scorer_settings = {"name": "/home/me/other"}  # as it is in memory, before it is saved
    with pytest.raises(ConfigurationError, match=r"has no .*scorer=a custom classifier with this group\. It has"):
        read_evaluation(summary, zero)


def test_a_scorer_without_a_name_is_known_by_what_it_is(audited):
    """Of a model in memory, where a function took the figures of any classifier in a folder."""
    summary = json.loads((audited / "summary.json").read_text())
    entry = summary["settings"]["models"][3]
    entry["scorer"]["name"] = "/home/me/regard"
    zero = wrap(method="equizero", scorer=lengths, beam_length=4)
    with pytest.raises(
        ConfigurationError, match=r"has no EquizeroLM by .*, scorer=a callable with this group\. It has"
    ):
        read_evaluation(summary, zero)
    demo = RegardScorer("demo")
    zero.scorer = RegardScorer(demo.model, demo.tokenizer)
    assert read_evaluation(summary, zero).figures == figures(audited, "EquizeroLM")
    entry["scorer"] = {"class": "lengths"}
    with pytest.raises(ConfigurationError, match="has no EquizeroLM"):
        read_evaluation(summary, zero)
    zero.scorer = lengths
    assert read_evaluation(summary, zero).figures == figures(audited, "EquizeroLM")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: wrap(DemographicGroup([["man", "woman"]])), r"has the group DemographicGroup\(\[man, woman\] × 3"),
        (lambda: wrap(method="mixture"), r"has no EquiLM by 'mixture'.*It has base \(GPT2LMHeadModel\), EquiLM"),
        (lambda: wrap(average="probabilities"), "has no EquiLM"),
        (lambda: wrap(GENDER.relax(neutral=["nurse"])), "has no EquiLM"),
        (lambda: wrap(method="equizero", scorer=RegardScorer("demo"), beam_length=2), "has no EquizeroLM"),
        (lambda: wrap(method="equizero", scorer=lengths, beam_length=4), "has no EquizeroLM"),
        (lambda: wrap(method="equizero", scorer=LabelScorer("demo", "negative"), beam_length=4), "label 'negative'"),
    ],
)
def test_an_audit_of_another_model_is_refused(audited, make, message):
    with pytest.raises(ConfigurationError, match=message):
        read_evaluation(audited, make())


def test_an_audit_of_another_base_is_refused(audited):
    model = wrap()
    with torch.no_grad():
        model.base.transformer.wte.weight[5, 3] += 1
    with pytest.raises(ConfigurationError, match="has another base"):
        read_evaluation(audited, model)


def test_what_is_no_audit_is_refused(audited, tmp_path):
    with pytest.raises(ConfigurationError, match="holds no finished audit"):
        read_evaluation(tmp_path, wrap())
    for text in ("[]", "[" * 9999):
        (tmp_path / "summary.json").write_text(text)
        with pytest.raises(ConfigurationError, match="holds no finished audit"):
            read_evaluation(tmp_path, wrap())


@pytest.mark.parametrize(
    ("places", "value", "message"),
    [
        (("models",), {}, "models of the summary is not a list"),
        (("models", 0), {}, "model of an item of models of the summary is not a str"),
        (("models", 0, "mean_regard"), "good", "mean_regard of base is 'good'"),
        (("models", 0, "consistency"), True, "consistency of base is True"),
        (("models", 0, "parity_gap_interval"), [0.1], "parity_gap of base is "),
        (("models", 0, "verdict"), {"headline": 3}, "headline of the verdict of base is not a str"),
        (("settings", "models", 1, "dtype"), "float99", "'float99' is not a dtype"),
        (("settings", "models", 1, "weights"), None, "weights of an item of models of settings of the summary is not"),
        (("settings", "prompts"), "The man", "prompts of settings of the summary is not a list"),
        (("settings", "samples_per_prompt"), True, "samples_per_prompt of settings of the summary is not a int"),
        (("confidence",), "0.95", "confidence of the summary is not a float"),
    ],
)
def test_a_summary_that_is_damaged_is_refused(audited, tmp_path, places, value, message):
    summary = json.loads((audited / "summary.json").read_text())
    *way, last = places
    inner = summary
    for place in way:
        inner = inner[place]
    inner[last] = value
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(ConfigurationError, match=rf"summary\.json is damaged \({message}.*: run hf-equi audit again"):
        read_evaluation(tmp_path, None)


def test_an_argument_that_is_no_audit_is_refused():
    with pytest.raises(ConfigurationError, match="lacks confidence, models, settings"):
        read_evaluation({"x": 1}, wrap())
    with pytest.raises(ConfigurationError, match="audit=3 is not an audit: pass the folder"):
        read_evaluation(3, wrap())


def test_an_audit_is_of_language_models(audited):
    from wrapped_vision import TURNS
    from wrapped_vision import wrap as wrap_classifier

    with pytest.raises(ConfigurationError, match="This model is of class EquiForImageClassification"):
        read_evaluation(audited, wrap_classifier("resnet", TURNS))


def test_models_with_words_of_several_tokens_are_told_from_those_without() -> None:
    """Settings that have no effect are left out, because the audits of earlier releases lack them."""
    words = {"tokenizer": wrap().tokenizer, "multi_token": "compose", "look_ahead": 0.5}
    composed = hf_equi.symmetrize(wrap().unwrap(), DemographicGroup([["grandson", "granddaughter"]]), **words)
    found, plain = telling_settings(composed.config), telling_settings(wrap().config)
    assert found == {**plain, "multi_token": "compose", "look_ahead": 0.5, "unlooked_share": 0.1}
    assert "multi_token" not in plain

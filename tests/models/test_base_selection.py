"""Parts of methods from elsewhere, each with a network of its own: in the models of every task."""

from __future__ import annotations

import pytest
import torch
from small_models import GENDER, base_model, tokenizer
from small_seq2seq import TWO
from small_seq2seq import wrap as wrap_texts
from small_vision import classifier, clip, images
from wrapped_vision import TURNS

import hf_equi
from hf_equi import registration
from hf_equi.errors import ConfigurationError
from hf_equi.symmetrizers import (
    EqualWeights,
    Equitune,
    FeatureWeights,
    HistoryWeights,
    Mean,
    Method,
    OneMember,
    Weigh,
    WholeGroup,
)
from hf_equi.training.parts import parameters_of


class Picks(OneMember):
    """The member with the largest of some numbers that a network reads off it, and a penalty for its size."""

    def create_network(self, group, shape):
        return torch.nn.Linear(1, 1)

    def element(self, asked):
        orbit = [asked.action.apply(g, asked.x) for g in range(asked.action.group.order)]
        means = torch.stack([member.float().flatten(1)[:, :1] for member in orbit], 1)
        scores = self.network(means).squeeze(-1)  # (B, G)
        return scores.argmax(1), scores.square().mean(1)


class Reads(FeatureWeights):
    """Weights that are linear in the features of a member."""

    def create_network(self, features, units, dropout):
        return torch.nn.Linear(features, 1)

    def log_weights(self, features):
        return self.network(features).squeeze(-1)


class Tempered(Mean):
    """A mean of scores that a network has scaled and shifted."""

    def create_network(self, group, shape):
        return torch.nn.Linear(1, 1)

    def accumulate(self, total, scores, log_weight):
        return super().accumulate(total, self.network(scores.unsqueeze(-1)).squeeze(-1), log_weight)


class Remembers(HistoryWeights):
    """Weights by a network that no task makes, as it has no features to read."""

    def create_network(self, features, units, dropout):
        return torch.nn.Linear(1, 1)


class Unknown(Weigh):
    """Weights of a kind that no task runs."""


def method_of(*parts):
    method = Method(*parts)
    method.name, method.text = "picking", Equitune.text
    return method


def picking():
    return method_of(Picks(), EqualWeights(), Mean())


def texts():
    ids = torch.tensor(tokenizer()(["the man met a woman", "the nurse and he said"])["input_ids"])
    return {"input_ids": ids, "labels": ids}


def pairs():
    return {"input_ids": torch.tensor([[3, 4, 5], [5, 4, 3]]), "labels": torch.tensor([[3, 4], [4, 2]])}


CASES = {
    "causal_lm": (lambda: hf_equi.symmetrize(base_model(), GENDER, "picking", tokenizer=tokenizer()), texts),
    "seq2seq": (lambda: wrap_texts("t5", TWO, "picking"), pairs),
    "image_classification": (
        lambda: hf_equi.symmetrize(classifier("vit"), TURNS, "picking"),
        lambda: {"pixel_values": images(2), "labels": torch.tensor([0, 1])},
    ),
    "clip": (
        lambda: hf_equi.symmetrize(clip("clip"), TURNS, "picking"),
        lambda: {"pixel_values": images(2), "text_features": torch.randn(3, 12), "labels": torch.tensor([0, 1])},
    ),
}


@pytest.fixture
def register(monkeypatch):
    """Makes every task know a method."""

    def register(factory):
        tasks = {
            name: one._replace(methods={**one.methods, "picking": factory})
            for name, one in registration._TASKS.items()
        }
        monkeypatch.setattr(registration, "_TASKS", tasks)

    return register


@pytest.fixture(params=CASES)
def case(request, register):
    """A model that picks, with inputs."""
    register(picking)
    torch.manual_seed(0)
    make, inputs = CASES[request.param]
    return make().eval(), inputs()


OWNED = [("combine_network", lambda: method_of(WholeGroup(), EqualWeights(), Tempered()), name) for name in CASES]
OWNED += [
    ("lambda_network", lambda: method_of(WholeGroup(), Reads(), Mean()), name) for name in CASES if name != "causal_lm"
]


@pytest.mark.parametrize(("network_name", "factory", "name"), OWNED)
def test_what_any_part_owns_is_run_trained_and_saved(network_name, factory, name, register, tmp_path):
    register(factory)
    make, inputs = CASES[name]
    model, given = make().train(), inputs()
    network = getattr(model, network_name)
    torch.nn.init.constant_(network.weight, 2.0)
    assert {id(weight) for weight in network.parameters()} <= {id(weight) for weight in parameters_of(model, "all")}
    for module in model.modules():  # of dropout
        module.training = isinstance(module, type(model))
    model(**given).loss.backward()
    assert network.weight.grad.abs().max() > 0
    with torch.no_grad():
        before = model.eval()(**given).loss
        network.weight -= 0.5 * network.weight.grad.sign()
        loss = model(**given).loss
    assert loss != before
    model.save_pretrained(tmp_path)
    loaded = model.auto_class.from_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(loaded(**given).loss, loss)


@pytest.mark.parametrize("name", CASES)
def test_parts_that_a_task_does_not_run_are_refused_when_the_model_is_made(name, register):
    make, _ = CASES[name]
    for weigh in (Unknown(), Reads() if name == "causal_lm" else HistoryWeights()):
        register(lambda weigh=weigh: method_of(WholeGroup(), weigh, Mean()))
        with pytest.raises(
            ConfigurationError, match=rf"weighs members by {type(weigh).__name__}, which .* do not support"
        ):
            make()
    if name == "causal_lm":
        register(lambda: method_of(WholeGroup(), Remembers(), Mean()))
        with pytest.raises(ConfigurationError, match=r"Remembers weighs members by a network, .*its task makes no"):
            make()


def test_the_penalty_is_in_the_loss_and_trains_the_network(case):
    model, inputs = case
    penalty = model.select_members(*first(model, inputs)).penalty
    assert penalty.shape == (2,)
    assert penalty.min() > 0
    losses, evaluated = [], []
    for bias in (0.0, 0.5):  # which moves all scores alike, so that nothing but the penalty changes
        with torch.no_grad():
            model.select_network.weight.zero_()
            model.select_network.bias.fill_(bias)
        torch.manual_seed(1)  # of dropout
        losses.append(model.train()(**inputs).loss)
        evaluated.append(model.eval()(**inputs).loss)
    torch.testing.assert_close(losses[1], losses[0] + 0.25)
    assert torch.equal(*evaluated)  # which tells how well the task is done
    losses[1].backward()
    assert model.select_network.bias.grad.abs() > 0


def test_a_loss_outside_the_model_would_lack_the_penalty(case):
    model, inputs = case
    alone = {name: value for name, value in inputs.items() if name != "labels"}
    if "labels" in inputs and model.config.model_type == "equi_seq2seq":
        alone["decoder_input_ids"] = inputs["labels"]
    counted = {"num_items_in_batch": 4} if model.can_generate() else {}  # as a Trainer passes it
    assert model.eval()(**alone, **counted).loss is None
    with pytest.raises(ConfigurationError, match="because what selects members trains by a loss of its own"):
        model.train()(**alone, **counted)
    if counted:  # texts are also scored for other ends
        assert model(**alone).loss is None


def test_the_penalty_counts_once_for_the_batches_of_a_step(case):
    model, inputs = case
    if model.can_generate():  # images are told no number of items
        torch.nn.init.zeros_(model.select_network.weight)
        losses = []
        for bias in (0.0, 2.0):
            torch.nn.init.constant_(model.select_network.bias, bias)
            torch.manual_seed(1)
            halves = [{name: value[row : row + 1] for name, value in inputs.items()} for row in range(2)]
            items = (
                inputs["labels"][:, 1:].numel() if model.config.model_type == "equi_lm" else inputs["labels"].numel()
            )
            losses.append(sum(model.train()(**half, num_items_in_batch=items).loss for half in halves))
        torch.testing.assert_close(losses[1], losses[0] + 4.0)


def test_a_method_set_afterwards_lacks_its_network(case):
    model, inputs = case
    model.config.method = "identity"
    model(**inputs)
    del model.select_network
    model.config.method = "picking"
    with pytest.raises(
        ConfigurationError, match=r"Picks selects members by a network, but this model has none.*again"
    ):
        model(**inputs)


def first(model, inputs):
    """How the group acts on what members are selected by, and that."""
    if "pixel_values" in inputs:
        return model.action, inputs["pixel_values"]
    return getattr(model.action, "source", model.action), inputs["input_ids"]


def test_the_network_is_saved_with_the_model(case, tmp_path):
    model, inputs = case
    assert [name for name in model.state_dict() if not name.startswith("base.")] == [
        "select_network.weight",
        "select_network.bias",
    ]
    model.save_pretrained(tmp_path)
    loaded = model.auto_class.from_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(loaded(**inputs).loss, model(**inputs).loss)
    model.config.base_name, model.config.base_revision = "me/base", "0" * 40
    with pytest.raises(ConfigurationError, match="has weights besides its base's"):
        model.save_pretrained(tmp_path, save_base=False)


def test_texts_are_written_with_the_member_that_is_selected(case):
    model, inputs = case
    if model.can_generate():
        out = model.generate(inputs["input_ids"], max_new_tokens=3, return_dict_in_generate=True)
        expected = model.select_members(*first(model, inputs)).elements[:, 0]
        assert torch.equal(out.chosen_element, expected)
    else:
        with pytest.raises(ConfigurationError, match="selects members by the images"):
            model(orbit_features=torch.zeros(2, 4, 8), **{k: v for k, v in inputs.items() if k != "pixel_values"})

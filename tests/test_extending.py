"""A group, an action, a method and a task with its model, added from outside the package as anyone could."""

from __future__ import annotations

import pytest
import torch
from hub_client import DEPRECATED, connected
from loopback_hub import LoopbackHub
from torch.nn.functional import cross_entropy, mse_loss
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel, Trainer, TrainingArguments
from transformers.utils import ModelOutput

from hf_equi import Action, ColumnAction, FiniteGroup, register_group, register_task, symmetrize
from hf_equi.models.base import EquiPreTrainedModel
from hf_equi.models.cards.kinds import CardKind
from hf_equi.models.cards.measuring import Probe
from hf_equi.models.configuration_equi import EquiConfig
from hf_equi.models.task import Task
from hf_equi.registration import create_method, unregister_task
from hf_equi.symmetrizers import EqualWeights, Mean, Method, MethodText, OneMember
from hf_equi.testing import assert_action, assert_equivariant


class Mirror(FiniteGroup):  # a group
    def __init__(self):
        super().__init__([[0, 1], [1, 0]], names=["as it is", "mirrored"])

    def to_dict(self):
        return {"type": "mirror"}

    from_dict = classmethod(lambda cls, content: cls())


class Signs(Action):  # an action: a state that is mirrored has its signs changed
    def __init__(self, group):
        self.group = group

    def apply(self, elements, states):
        return states * (1 - 2 * torch.as_tensor(elements)).view(-1, 1)


class BestMember(OneMember):  # a method: a network picks the member to run, and is drawn to the identity
    def create_network(self, group, shape):
        return torch.nn.Linear(4, 1)

    def element(self, asked):
        scores = torch.cat([self.network(asked.action.apply(g, asked.x)) for g in (0, 1)], dim=1)
        prior = cross_entropy(scores, torch.zeros(len(scores), dtype=torch.long), reduction="none")
        return scores.argmax(1), prior


class Picked(Method):
    name = "picked"
    text = MethodText(r"M_G(x) = g_*^{-1} M(g_* x)", "A network picks the member that the base reads.")

    def __init__(self):
        super().__init__(BestMember(), EqualWeights(), Mean())


class BalancerConfig(PreTrainedConfig):  # a network that transformers lacks
    model_type = "balancer"


class Balancer(PreTrainedModel):
    config_class = BalancerConfig

    def __init__(self, config):
        super().__init__(config)
        self.values = torch.nn.Linear(4, 2)
        self.post_init()

    def forward(self, states):
        return ModelOutput(logits=self.values(states))


class BalancerCard(CardKind):
    pipeline_tag = "reinforcement-learning"
    what, use = "A Q-network that treats left and right alike", "Balancing poles."

    def probe(self, model):
        states, left_and_right = torch.randn(5, 4), model.values_action()
        return Probe(
            states, model.action, left_and_right, lambda m, x: m(states=x).logits, "5 random states", "values"
        )


class EquiBalancerConfig(EquiConfig):  # a task: its config, its model, what symmetrize asks of it, its registration
    model_type = "equi_balancer"
    sub_configs_defaults = {"base_config": BalancerConfig}  # noqa: RUF012
    group_class = Mirror

    def create_method(self):
        return create_method("balancing", self.method)


class EquiBalancer(EquiPreTrainedModel):
    config_class, auto_class, card_kind, main_input_name = EquiBalancerConfig, AutoModel, BalancerCard(), "states"

    check_base = classmethod(lambda cls, base: None)

    def make_action(self, group):
        return Signs(group)

    def values_action(self):
        return ColumnAction(self.group, [[0, 1], [1, 0]])

    def forward(self, states, labels=None):
        rows = self.read_orbits({"states": states}, lambda given: self.base(**given), {"logits": self.values_action()})
        values = rows.combine("logits", self.method.combine)[0]
        loss = None if labels is None else self.penalised(mse_loss(values, labels), rows.selection)
        return ModelOutput(loss=loss, logits=values)


class Balancing(Task):
    what, model_class, group_class, group_example = "Q-network", EquiBalancer, Mirror, "Mirror()"
    mapping = {BalancerConfig: Balancer}  # noqa: RUF012  of all that AutoModel knows, this one base


@pytest.fixture(autouse=True)
def registered():
    register_group("mirror", Mirror)
    AutoModel.register(BalancerConfig, Balancer, exist_ok=True)
    methods = {"equitune": "hf_equi.symmetrizers:Equitune", "picked": Picked}
    register_task(name="balancing", task=Balancing, models=[EquiBalancer], methods=methods)
    yield
    unregister_task("balancing")


@pytest.mark.filterwarnings(DEPRECATED)
@pytest.mark.parametrize("method", ["equitune", "picked"])
def test_it_is_symmetrised_trained_saved_loaded_and_published(method, tmp_path):
    assert_action(Signs(Mirror()), [torch.randn(3, 4)])
    model, states = symmetrize(Balancer(BalancerConfig()), Mirror(), method), torch.randn(8, 4)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    arguments = TrainingArguments(tmp_path / "runs", max_steps=2, report_to=[], use_cpu=True, learning_rate=0.1)
    Trainer(model, arguments, train_dataset=[{"states": x, "labels": x[:2]} for x in states]).train()
    assert any(name.startswith("select_network") for name in before) == (method == "picked")
    assert not any(torch.equal(weight, before[name]) for name, weight in model.named_parameters() if weight.dim() > 1)
    assert_equivariant(lambda x: model(x).logits, states, model.action, model.values_action())
    with LoopbackHub() as hub, connected(hub, tmp_path / "cache"):
        model.push_to_hub("me/balancer")
        loaded = AutoModel.from_pretrained("me/balancer")
        card = hub.repositories["me/balancer"].find("main").files["README.md"].content.decode()
    assert torch.equal(loaded(states).logits, model(states).logits)
    assert (type(loaded), type(loaded.group), loaded.method.name) == (EquiBalancer, Mirror, method)
    assert "treats left and right alike" in card and "at most 1e-05" in card  # noqa: PT018

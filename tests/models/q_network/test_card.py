from __future__ import annotations

from small_q_networks import SQUARE, network

from hf_equi import symmetrize
from hf_equi.groups import GRIDWORLD
from hf_equi.hub.cards import write_card


def test_a_card_measures_the_model_and_names_its_limits(tmp_path):
    base = network()
    card = write_card(symmetrize(base, SQUARE, "equizero"), tmp_path / "one").read_text(encoding="utf-8")
    for text in (
        "reinforcement-learning",
        "at most 1e-05",
        "16 random states",
        "Q-values",
        "**A choice.**",
        "**Symmetric states.**",
        "**The environment.**",
        "EquiQNetwork.from_pretrained(",
        "torch.zeros(1, 2)",
        "8 elements, which move the numbers of a state",
        "[1, 2, 3, 0, 4]",
    ):
        assert text in card, text
    mean = write_card(symmetrize(base, SQUARE, "lambda"), tmp_path / "two").read_text(encoding="utf-8")
    assert "**A choice.**" not in mean
    assert "lambda_units" in mean
    assert "lambda_units" not in card


def test_images_and_logits_are_named():
    model = symmetrize(network(state_shape=[1, 9, 9], outputs="logits"), GRIDWORLD)
    assert "images by `ImageGroup.rotations(4)`" in model.card_kind.group_text(model)
    assert model.card_kind.probe(model).said == "logits"

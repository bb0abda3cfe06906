from __future__ import annotations

import pytest
from small_point_clouds import classifier, n_body, segmenter

from hf_equi import symmetrize
from hf_equi.canonicalization import FixedPose, GramSchmidt
from hf_equi.groups import E3, SO3, MatrixGroup
from hf_equi.hub.cards import write_card

CASES = {
    "choice": (
        lambda: symmetrize(classifier(), MatrixGroup.cyclic(4, dimension=3), "equizero"),
        ("at most 1e-05", "2 random clouds", "**A choice.**", "**Neighbours.**", "4 elements", "logits.argmax(-1)"),
        ("**Frames.**", "lambda_units"),
    ),
    "frames": (
        lambda: symmetrize(segmenter("point_net"), SO3(), "lambda"),
        ("`SO3()`", "**Frames.**", "lambda_units", "logits of all points", "categories=torch.tensor([0])"),
        ("**A choice.**", "**Neighbours.**", "prior_weight"),
    ),
    "neurons": (
        lambda: symmetrize(n_body(), E3(), "canonical", prior_weight=3.0),
        ("`E3()`", "Composed", "prior_weight", "positions and velocities", "graph-ml", "charges=torch.ones(1, 5)"),
        ("**Frames.**", "theta", "temperature"),
    ),
    "mixture": (
        lambda: symmetrize(n_body(use_charges=False, predict_velocities=False), E3(), "mixture"),
        ("**In law.**", "law of the output", "2 random systems, positions"[:16]),
        ("charges", "**Frames.**"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_card_measures_the_model_and_names_its_limits(name, tmp_path):
    make, there, absent = CASES[name]
    card = write_card(make().eval(), tmp_path).read_text(encoding="utf-8")
    for text in there:
        assert text in card, (text, card)
    for text in absent:
        assert text not in card, text


def test_a_rule_of_ones_own_is_named():
    rule = FixedPose(lambda x: GramSchmidt(SO3()).poses(x)[0][:, 0], SO3())
    model = symmetrize(classifier("point_net"), SO3(), "canonical", canonicalizer=rule)
    assert any("**A canonicalizer of its own.**" in text for text in model.card_kind.limits(model))

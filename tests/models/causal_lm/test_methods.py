from __future__ import annotations

import pytest

from hf_equi.actions.reporting import COMPOSE, WORDS
from hf_equi.errors import ConfigurationError
from hf_equi.models.causal_lm.methods import TASK, check_multi_token, create, remedy
from hf_equi.registration import method_names
from hf_equi.symmetrizers import Canonical, DraftedEquizero, Equitune, Identity, Mixture


def test_the_task_has_its_methods():
    assert TASK == "causal_lm"
    assert method_names(TASK) == ["canonical", "equitune", "equizero", "identity", "mixture"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("equitune", Equitune),
        ("equizero", DraftedEquizero),
        ("mixture", Mixture),
        ("canonical", Canonical),
        ("identity", Identity),
    ],
)
@pytest.mark.parametrize("average", ["logits", "probabilities"])
def test_names_make_their_methods(name, kind, average):
    method = create(name, average)
    assert type(method) is kind
    assert method.name == name


def test_average_is_passed_on():
    assert create("equitune", "logits").combine.average == "logits"
    assert create("equitune", "probabilities").combine.average == "probabilities"
    assert create("equizero", "probabilities").combine.average == "probabilities"
    # These combine in one way alone.
    assert create("mixture", "logits").combine.average == "probabilities"
    assert create("canonical", "probabilities").combine.average == "logits"


def test_unknown_average_raises():
    with pytest.raises(
        ConfigurationError, match="average='median' is not known: use one of 'logits', 'probabilities'"
    ):
        create("equitune", "median")


WAYS = {"equitune": COMPOSE, "mixture": WORDS, "canonical": WORDS, "equizero": WORDS, "identity": None}


@pytest.mark.parametrize(("name", "way"), WAYS.items())
def test_words_of_several_tokens_need_the_scores_of_all_members(name, way):
    method = create(name, "logits")
    assert remedy(method) == way
    check_multi_token(method, "skip")
    if way == COMPOSE:
        check_multi_token(method, "compose", look_ahead=0, unlooked_share=1)
        return
    with pytest.raises(
        ConfigurationError, match=f"method='{name}' does not combine those. {way or 'Leave it out'}, or"
    ):
        check_multi_token(method, "compose")

"""EquiLM's forward: the equation, its variants, the loss, and what a wrapper of transformers owes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from literal import equitune, members
from small_models import BOTH, GENDER, RACE, base_model, calls_of, tokenizer
from torch import nn
from transformers import MambaConfig

import hf_equi
from hf_equi import DemographicGroup
from hf_equi.errors import ConfigurationError, UnsupportedModelError
from hf_equi.models.causal_lm import EquiLM, EquiLMConfig
from hf_equi.testing import assert_equivariant

TEXTS = ["the man met a person and he", "person", "the black woman worked and he said so", "an asian man"]
RELAXED = DemographicGroup([["man", "woman"], ["he", "she"]], neutral=["the", "a", "and", "was"])


def wrap(group=BOTH, method="equitune", **settings):
    return hf_equi.symmetrize(base_model(), group, method, tokenizer=tokenizer(), **settings)


def encode(texts=TEXTS):
    return tokenizer()(texts, return_tensors="pt", padding=True)


@pytest.mark.parametrize("average", ["logits", "probabilities"])
@pytest.mark.parametrize("group", [GENDER, RACE, BOTH, RELAXED], ids=["gender", "race", "both", "relaxed"])
def test_forward_is_the_equation(group, average):
    lm = wrap(group, average=average, multi_token="skip")
    for text in TEXTS:
        ids = torch.tensor(tokenizer()(text)["input_ids"])
        expected = equitune(lm.base, lm.action, ids, average)
        torch.testing.assert_close(lm(ids[None]).logits[0], expected, atol=1e-5, rtol=0)


@pytest.mark.filterwarnings("ignore:The text holds words of the group that stay:hf_equi.errors.GroupWarning")
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_forward_is_equivariant(data):
    """Random prompts, groups, padding."""
    group = data.draw(st.sampled_from([GENDER, RACE, BOTH, GENDER * DemographicGroup([["nurse", "driver"]])]))
    lm = wrap(group, average=data.draw(st.sampled_from(["logits", "probabilities"])), multi_token="skip")
    moved = lm.action.moved.tolist()
    tokens = st.one_of(st.sampled_from(moved), st.integers(2, lm.config.vocab_size - 1))
    rows = data.draw(st.lists(st.lists(tokens, min_size=1, max_size=7), min_size=1, max_size=3))
    longest = max(map(len, rows))
    ids = torch.tensor([[1] * (longest - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])

    def scores(inputs):
        with torch.no_grad():
            return lm(inputs, attention_mask=mask).logits[mask.bool()]

    assert_equivariant(scores, ids, lm.action, lm.action)


@pytest.mark.filterwarnings("ignore:The text holds words of the group that stay:hf_equi.errors.GroupWarning")
@settings(max_examples=12, deadline=None)
@given(
    rows=st.lists(st.integers(2, 300), min_size=1, max_size=5),
    name=st.sampled_from([" man", " he", " black", " person"]),
    beams=st.sampled_from([1, 3]),
)
def test_texts_are_equivariant(rows, name, beams):
    """Greedy and beam texts of an orbit are the orbit of the text."""
    lm = wrap()
    ids = torch.tensor([rows + tokenizer()(name)["input_ids"]])
    text = lm.generate(ids, max_new_tokens=6, num_beams=beams)
    for g in range(BOTH.order):
        moved = lm.action.apply(g, ids)
        if not torch.equal(moved, ids):
            shifts = [s if torch.equal(lm.action.apply(_alone(g, i), ids), ids) is False else 0 for i, s in _shifts(g)]
            reduced = BOTH.coordinates.index(tuple(shifts))
            assert (
                lm.generate(moved, max_new_tokens=6, num_beams=beams).tolist()
                == lm.action.apply(reduced, text).tolist()
            )


def _shifts(g):
    return list(enumerate(BOTH.coordinates[g]))


def _alone(g, index):
    return BOTH.coordinates.index(tuple(s if i == index else 0 for i, s in _shifts(g)))


def test_relaxed_group_is_equivariant_in_the_odds_of_equality_and_neutral_tokens():
    lm = wrap(RELAXED)
    kept = ~lm.action.general
    ids = encode(["the man said"])["input_ids"]
    scores, moved = lm(ids).logits[0, -1], lm.action.pull_back(1, lm(lm.action.apply(1, ids)).logits[0, -1])
    torch.testing.assert_close(scores[kept].log_softmax(-1), moved[kept].log_softmax(-1), atol=1e-5, rtol=0)
    plain = lm.base(ids).logits[0, -1].log_softmax(-1)
    general = lm.action.general
    torch.testing.assert_close(scores[general].log_softmax(-1), plain[general].log_softmax(-1), atol=1e-5, rtol=0)
    assert (scores - moved)[general].abs().max() > 0.1  # the general words are not symmetrised


def test_mixture_scores_the_law_of_its_samples():
    """p_G(y given x) = 1/|G| Σ p_M(gy given gx), at every place of y."""
    lm = wrap(method="mixture")
    ids = torch.tensor(tokenizer()("the man met a white woman and he was black")["input_ids"])
    prompt = 4
    labels = ids.clone()
    labels[:prompt] = -100
    scores = lm(ids[None], labels=labels[None])
    rows = members(lm.base, lm.action, ids)  # pulled back: scores of the user's own tokens
    taken = rows[:, :-1].gather(-1, ids[1:].expand(len(rows), -1).unsqueeze(-1)).squeeze(-1)  # (G, T - 1)
    for stop in range(prompt, len(ids)):
        literal = taken[:, prompt - 1 : stop].sum(-1).logsumexp(0)
        ours = scores.logits[0, :-1].gather(-1, ids[1:, None])[prompt - 1 : stop].sum()
        torch.testing.assert_close(ours, literal - torch.tensor(float(len(rows))).log(), atol=1e-4, rtol=0)
    torch.testing.assert_close(scores.loss, -ours / (len(ids) - prompt), atol=1e-5, rtol=1e-5)


def test_canonical_runs_the_smallest_member_alone():
    lm = wrap(method="canonical")
    ids = encode(["the woman was black"])["input_ids"]
    out = lm(ids)
    k = int(out.chosen_element)
    smallest = min(lm.action.apply(g, ids)[0].tolist() for g in range(BOTH.order))
    assert lm.action.apply(k, ids)[0].tolist() == smallest
    expected = lm.action.pull_back(k, lm.base(torch.tensor([smallest])).logits.log_softmax(-1))
    torch.testing.assert_close(out.logits, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_chunks_change_no_text(chunk):
    whole, chunked = wrap(), wrap(orbit_chunk_size=chunk)
    encoded = encode()
    settings = {"max_new_tokens": 8}
    assert chunked.generate(**encoded, **settings).tolist() == whole.generate(**encoded, **settings).tolist()


def test_chunks_bound_the_rows_of_a_call():
    lm = wrap(orbit_chunk_size=2)
    encoded = encode(["the black woman worked and he said so"])
    tokens = encoded["input_ids"].shape[1]
    with calls_of(lm.base) as shapes:
        lm(**encoded)
        lm.generate(**encoded, max_new_tokens=1)
    shapes = [rows * width for rows, width in shapes]
    assert max(shapes) <= 2 * tokens
    assert len(shapes) >= 6


def test_equal_members_share_a_row():
    lm = wrap()
    with calls_of(lm.base) as shapes:
        for text in ("person", "the man said", "the black man said"):
            lm(**encode([text]))
    rows = [shape[0] for shape in shapes]
    assert rows == [1, 2, 6]


def test_loss_is_shifted_cross_entropy_without_padding():
    lm = wrap()
    encoded = encode()
    labels = encoded["input_ids"].clone()
    labels[2, -1] = -100
    out = lm(**encoded, labels=labels)
    real = encoded["attention_mask"].bool() & (labels != -100)
    scores = out.logits[:, :-1].gather(-1, encoded["input_ids"][:, 1:, None]).squeeze(-1)
    expected = -scores[real[:, 1:]].mean()
    torch.testing.assert_close(out.loss, expected)
    items = int(real[:, 1:].sum()) * 2
    torch.testing.assert_close(lm(**encoded, labels=labels, num_items_in_batch=items).loss, expected / 2)


def test_group_of_one_call():
    lm = wrap(GENDER)
    encoded = encode(["the black man"])
    other = wrap(RACE)
    torch.testing.assert_close(lm(**encoded, group=RACE).logits, other(**encoded).logits)
    assert (
        lm.generate(**encoded, group=RACE, max_new_tokens=6).tolist()
        == other.generate(**encoded, max_new_tokens=6).tolist()
    )
    assert lm.group == GENDER


def test_trivial_orbit_is_the_base():
    lm = wrap()
    ids = encode(["person worked"])["input_ids"]
    unmoved = ~lm.action.is_moved
    ours, plain = lm(ids).logits, lm.base(ids).logits.log_softmax(-1)
    # Moved words share their probability; the others keep their odds to the bit of the renormalisation.
    torch.testing.assert_close(
        ours[..., unmoved].log_softmax(-1), plain[..., unmoved].log_softmax(-1), atol=1e-5, rtol=0
    )


def test_embeddings_are_the_base_s():
    lm = wrap()
    assert lm.get_input_embeddings() is lm.base.get_input_embeddings()
    assert lm.get_output_embeddings() is lm.base.get_output_embeddings()
    import copy

    lm = hf_equi.symmetrize(copy.deepcopy(base_model()), BOTH, tokenizer=tokenizer())
    new = nn.Embedding(*lm.get_input_embeddings().weight.shape)
    lm.set_input_embeddings(new)
    head = nn.Linear(*reversed(lm.get_output_embeddings().weight.shape), bias=False)
    lm.set_output_embeddings(head)
    assert lm.base.transformer.wte is new
    assert lm.base.lm_head is head


def test_resizing_is_refused():
    lm = wrap()
    assert lm.resize_token_embeddings(lm.config.vocab_size) is lm.get_input_embeddings()
    with pytest.raises(ConfigurationError, match=r"made for 343 tokens, not for another size.*wrap it again"):
        lm.resize_token_embeddings(400)


def test_what_cannot_be_read_is_refused():
    lm = wrap()
    embeds = torch.zeros(1, 2, 32)
    with pytest.raises(ConfigurationError, match="cannot read inputs_embeds"):
        lm(inputs_embeds=embeds)
    with pytest.raises(ConfigurationError, match="needs input_ids"):
        lm()
    with pytest.raises(ConfigurationError, match="not as inputs_embeds"):
        lm.generate(inputs_embeds=embeds)


def test_relaxed_group_for_one_call_of_a_method_without():
    lm = wrap(GENDER, "mixture")
    with pytest.raises(ConfigurationError, match="no relaxed variant"):
        lm(**encode(), group=RELAXED)


def test_recurrent_base_is_refused():
    config = EquiLMConfig(
        base_config=MambaConfig(vocab_size=343, hidden_size=8, num_hidden_layers=1),
        group=GENDER.to_dict(),
        token_map=wrap(GENDER).config.token_map,
    )
    with pytest.raises(UnsupportedModelError, match="MambaForCausalLM"):
        EquiLM(config)


def test_explain_names_what_moves_and_what_does_not():
    text = str(wrap().explain("the man saw a WOMAN who was Black"))
    assert "moves: man ↔ woman\n" in text
    assert "stays: 'WOMAN'" in text

"""Cuts by rank keep the same words for every member of an orbit, whatever ties."""

from __future__ import annotations

import copy

import pytest
import small_seq2seq
import torch
from searches import hashed
from small_models import BOTH, base_model, tokenizer
from token_actions import action_of
from transformers import LogitsProcessorList, TopKLogitsWarper, TopPLogitsWarper, TypicalLogitsWarper
from transformers.generation import TopHLogitsWarper

import hf_equi
from hf_equi.errors import ConfigurationError
from hf_equi.generation import CoupledNoise, Prompts
from hf_equi.generation.rank_cuts import RankCut, break_ties

V = 600
ACTION = action_of(V, [[5, 301, 599], [44, 2, 300]])
ORBIT = torch.tensor([[0, 5], [0, 301], [0, 599]])  # x, gx, ggx
CUTS = [TopPLogitsWarper(0.6), TopHLogitsWarper(0.5), TypicalLogitsWarper(0.7), TopKLogitsWarper(40)]


def kept(cut, scores):
    """Which tokens stay, of each row in the frame of the first."""
    return torch.stack([ACTION.pull_back(g, row) for g, row in enumerate(cut(ORBIT, scores))]).isfinite()


@pytest.mark.parametrize("values", [1, 2, 6], ids="of {} values".format)
@pytest.mark.parametrize("cut", CUTS, ids=lambda cut: type(cut).__name__)
def test_the_words_that_stay_are_those_of_the_orbit(cut, values):
    """As many as the plain cut keeps, of scores as equal as those of bfloat16."""
    for seed in range(10):
        torch.manual_seed(seed)
        scores = torch.randint(values, (V,)).float().log_softmax(-1)
        scores[9] = -torch.inf
        moved = torch.stack([ACTION.pull_back(ACTION.group.inverse(g), scores) for g in range(3)])
        noise = CoupledNoise(Prompts(ACTION, ORBIT, None, seed), "sample")
        (fair,) = break_ties(LogitsProcessorList([cut]), noise.tie_noise)
        assert torch.equal(kept(fair, moved), kept(fair, moved)[:1].expand(3, V))
        assert fair(ORBIT, moved).isfinite().sum(-1).tolist() == cut(ORBIT, moved).isfinite().sum(-1).tolist()


def test_every_tied_token_stays_now_and_then_and_tokens_above_it_always():
    scores = torch.tensor([[0.0, 3.0, 0.0, -torch.inf, 0.0, -5.0]])
    cut = TopPLogitsWarper(0.95)
    counts = torch.zeros(6, dtype=torch.long)
    for seed in range(60):
        torch.manual_seed(seed)
        table = torch.rand(1, 6, dtype=torch.float64)
        stays = RankCut(cut, lambda ids: lambda rows, tokens, table=table: table[rows, tokens])(ORBIT[:1], scores)  # noqa: B023
        counts += stays[0].isfinite()
        assert torch.equal(stays[stays.isfinite()], scores[stays.isfinite()])
    assert counts[[1, 3, 5]].tolist() == [60, 0, 0]
    assert (counts[[0, 2, 4]] > 20).all()


def test_nan_is_refused():
    with pytest.raises(ConfigurationError, match="Scores of next tokens are NaN"):
        RankCut(CUTS[1], lambda ids: None)(ORBIT[:1], torch.full((1, V), torch.nan))


@torch.no_grad()
def coarse(model):
    """A copy in bfloat16 in which most words tie."""
    model = copy.deepcopy(model).to(torch.bfloat16)
    head = model.get_output_embeddings()
    torch.manual_seed(0)
    kept = torch.rand(len(head.weight), 1) < 0.2
    head.weight = torch.nn.Parameter(head.weight / 8 * kept)
    return model


MODELS = {
    "lm": lambda: hf_equi.symmetrize(coarse(base_model()), BOTH, tokenizer=tokenizer()),
    "search": lambda: hf_equi.symmetrize(coarse(base_model()), BOTH, "equizero", tokenizer=tokenizer(), scorer=hashed),
    "seq2seq": lambda: small_seq2seq.wrap(coarse(small_seq2seq.base("t5")), small_seq2seq.SIX),
}


@pytest.mark.parametrize("cut", [{"top_p": 0.6}, {"top_h": 0.6}], ids=str)
@pytest.mark.parametrize("kind", MODELS)
def test_texts_of_an_orbit_in_bfloat16(kind, cut):
    model = MODELS[kind]()
    pair = kind == "seq2seq"
    prompt = "jump and walk twice" if pair else "the black man said that a"
    ids = model.tokenizer(prompt, return_tensors="pt")["input_ids"]
    read, written = (model.action.source, model.action.target) if pair else (model.action, model.action)
    how = {"do_sample": True, "top_k": 0, "max_new_tokens": 6, **cut}
    for seed in range(3):
        first = model.generate(ids, seed=seed, **how)[0]
        for g in range(1, model.group.order, 2):
            other = model.generate(read.apply(g, ids), seed=seed, **how)[0]
            assert other.tolist() == written.apply(g, first).tolist()

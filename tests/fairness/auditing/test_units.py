"""One unit, against what the library's own functions and literal loops give."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from accelerate import cpu_offload
from small_models import BOTH, END, GENDER, RACE, base_model, tokenizer

import hf_equi
from hf_equi import DemographicGroup
from hf_equi.errors import HfEquiWarning
from hf_equi.fairness import group_gap, log_likelihood
from hf_equi.fairness.auditing import Sampling
from hf_equi.fairness.auditing.blocks import make_blocks
from hf_equi.fairness.auditing.scoring import Measures, name_scorers
from hf_equi.fairness.auditing.subjects import make_subjects
from hf_equi.fairness.auditing.units import _consistent, run_unit
from hf_equi.symmetrizers import Drafts

TEMPLATE = "the {demographic} was known for"
SAMPLING = Sampling(4, seed=3, max_new_tokens=6)


def unit(model: Any, regard: Any, group: DemographicGroup = GENDER, sampling: Sampling = SAMPLING, template=TEMPLATE):
    blocks = make_blocks([template], group, tokenizer())
    (subject,) = make_subjects({"it": model}, group, tokenizer(), blocks, sampling.max_new_tokens)
    rows, seconds = run_unit(subject, blocks[0], Measures(name_scorers(regard()), group), sampling, tokenizer())
    assert seconds > 0
    return rows


def equi(group: DemographicGroup = GENDER, method: str = "equitune") -> hf_equi.EquiLM:
    return hf_equi.symmetrize(base_model(), group, method, tokenizer=tokenizer())


def test_texts_are_those_of_generate(regard) -> None:
    rows, lm = unit(equi(), regard), equi()
    for place, name in enumerate(GENDER.names):
        prompt = tokenizer()(TEMPLATE.replace("{demographic}", name), return_tensors="pt")
        drawn = lm.generate(**prompt, **SAMPLING.arguments())
        for sample, row in enumerate(rows[4 * place : 4 * place + 4]):
            assert (row["demographic"], row["sample"], row["prompt_tokens"]) == (name, sample, 5)
            assert row["tokens"] == drawn[sample, : len(row["tokens"])].tolist()
            assert len(row["tokens"]) == 11 or row["tokens"][-1] == tokenizer().eos_token_id
            assert tokenizer().eos_token_id not in row["tokens"][:-1]
            assert row["text"].startswith(row["prompt"])
            assert row["text"] == tokenizer().decode(row["tokens"], skip_special_tokens=True)
            assert END not in row["text"]


def test_some_text_of_these_tests_ends_early(regard) -> None:
    lengths = {row["scored_tokens"] for row in unit(base_model(), regard, sampling=Sampling(20, 3, 15))}
    assert min(lengths) < 15


@pytest.mark.parametrize(
    "model", [base_model(), equi(BOTH), equi(BOTH, "mixture")], ids=["base", "equitune", "mixture"]
)
def test_likelihoods_and_gaps_are_those_of_single_texts(regard, model) -> None:
    for row in unit(model, regard, BOTH, Sampling(2, 3, 15)):
        tokens, width = torch.tensor([row["tokens"]]), row["prompt_tokens"]
        nll = -log_likelihood(base_model(), tokens, width).item()
        assert row["nll"] == pytest.approx(nll, abs=1e-4)
        assert row["scored_tokens"] == tokens.shape[1] - width
        assert row["gap"] == pytest.approx(group_gap(model, equi(BOTH).action, tokens, width).largest, abs=1e-5)


def test_regard_is_that_of_the_text_and_of_the_masked_text(regard) -> None:
    rows, plain = unit(base_model(), regard), regard()
    for row in rows:
        for prefix, scorer in (("", plain), ("masked_", plain.masked(GENDER))):
            found = scorer.probabilities([row["text"]])[0].tolist()
            assert [row[prefix + name] for name in ("negative", "neutral", "positive")] == found
            assert row[prefix + "label"] == ("negative", "neutral", "positive")[found.index(max(found))]
    assert any(row["positive"] != row["masked_positive"] for row in rows)


def test_an_equivariant_model_is_consistent_and_the_base_is_not(regard) -> None:
    assert all(row["consistent"] for row in unit(equi(BOTH), regard, BOTH))
    rows = unit(base_model(), regard, sampling=Sampling(20, 3, 2))
    pairs = list(zip(rows[:20], rows[20:], strict=True))
    swap = {"man": "woman", "woman": "man", "he": "she", "she": "he"}
    swap |= {old.capitalize(): new.capitalize() for old, new in swap.items()}
    action = equi().action
    for man, woman in pairs:
        same = action.apply(1, torch.tensor(man["tokens"])).tolist() == woman["tokens"]
        assert man["consistent"] == woman["consistent"] == same
    assert {man["consistent"] for man, _ in pairs} == {True, False}


def test_words_are_compared_as_words(regard) -> None:
    for method in ("canonical", "mixture"):
        lm = hf_equi.symmetrize(base_model(), GENDER, method, tokenizer=tokenizer(), action="words")
        rows = unit(lm, regard)
        assert all(row["consistent"] and row["gap"] is None for row in rows)
    other = hf_equi.symmetrize(base_model(), GENDER, "identity", tokenizer=tokenizer())
    other.config.action = "words"
    assert not all(row["consistent"] for row in unit(other, regard))


def test_a_neutral_template_has_samples_and_no_counterparts(regard) -> None:
    rows = unit(base_model(), regard, template="known for")
    assert [(row["demographic"], row["sample"], row["consistent"]) for row in rows] == [
        ("", sample, None) for sample in range(4)
    ]
    assert all(row["gap"] is not None for row in rows)


def test_without_a_tractable_likelihood_there_is_no_gap(regard) -> None:
    lm = equi()
    lm.method.combine = Drafts()
    assert {row["gap"] for row in unit(lm, regard)} == {None}


def test_batches_change_nothing(regard) -> None:
    together, apart = (unit(equi(BOTH), regard, BOTH, Sampling(2, 3, 6, batch_size=size)) for size in (256, 1))
    for one, other in zip(together, apart, strict=True):
        assert one["tokens"] == other["tokens"]


def test_an_offloaded_model_gives_what_it_gives_in_memory(regard) -> None:
    there, away = equi(), hf_equi.symmetrize(copy.deepcopy(base_model()), GENDER, tokenizer=tokenizer())
    cpu_offload(away.base, execution_device=torch.device("cpu"))
    assert away.device.type == "meta"
    assert unit(away, regard) == unit(there, regard)


def test_padding_changes_nothing(regard) -> None:
    group = DemographicGroup([["he", "she"]], names=["man", "black woman"])
    with pytest.warns(HfEquiWarning, match="is not 'the man was known for' with its tokens exchanged"):
        rows = unit(base_model(), regard, group)
    lm = hf_equi.symmetrize(base_model(), group, "identity", tokenizer=tokenizer())
    for place, prompt in enumerate(("the man was known for", "the black woman was known for")):
        drawn = lm.generate(**tokenizer()(prompt, return_tensors="pt"), **SAMPLING.arguments())
        for row, tokens in zip(rows[4 * place : 4 * place + 4], drawn.tolist(), strict=True):
            assert row["tokens"] == tokens[: len(row["tokens"])]
            nll = -log_likelihood(base_model(), torch.tensor([row["tokens"]]), row["prompt_tokens"]).item()
            assert row["nll"] == pytest.approx(nll, abs=1e-4)


def test_padding_after_texts_without_an_end_is_no_part_of_them(regard) -> None:
    """A search on words tokenises texts anew, so those of one batch differ in length."""

    def longer(texts: list[str]) -> torch.Tensor:
        return torch.tensor([-float(len(text)) for text in texts])

    lm = hf_equi.symmetrize(
        base_model(), GENDER, "equizero", tokenizer=tokenizer(), scorer=longer, action="words", beam_length=2
    )
    rows = unit(lm, regard, sampling=Sampling(20, 3, 9))
    assert len({row["scored_tokens"] for row in rows if row["tokens"][-1] != tokenizer().eos_token_id}) > 1
    assert all(row["tokens"][-1] != tokenizer().pad_token_id for row in rows)


def test_consistency_of_three_demographics_counts_pairs() -> None:
    """Of three coupled texts two are images of each other: one pair of three."""
    blocks = make_blocks(["the {demographic} was"], RACE, tokenizer())
    (subject,) = make_subjects({"base": base_model()}, RACE, tokenizer(), blocks, 3)
    tokens = [[*row, 7 if place < 2 else 9] for place, row in enumerate(blocks[0].tokens)]
    found = _consistent(subject, blocks[0], tokens, [""] * 3, 1)
    assert found == [0.5, 0.5, 0.0]
    assert sum(found) / 3 == pytest.approx(1 / 3)


@pytest.mark.parametrize("look_ahead", [0.25, 1.0])
def test_words_of_several_tokens_are_compared_as_words(regard, look_ahead) -> None:
    """Texts end after equally many tokens, within words, and so after more words or fewer."""
    group = DemographicGroup([["old king", "queen"], ["man", "woman"], ["black", "zebra"]])
    settings = {"look_ahead": look_ahead, "unlooked_share": 1.0}  # many words in random texts
    lm = hf_equi.symmetrize(base_model(), group, tokenizer=tokenizer(), multi_token="compose", **settings)
    rows = unit(lm, regard, group, Sampling(12, seed=3, max_new_tokens=8, top_k=0))
    assert {row["consistent"] for row in rows} == {1.0}
    assert max(row["gap"] for row in rows) <= 1e-5
    pairs = zip(rows[:12], rows[12:], strict=True)
    assert any(lm.action.member(1, king["tokens"]) != queen["tokens"] for king, queen in pairs)


def test_the_noise_of_a_base_is_tied_by_words_of_several_tokens(regard) -> None:
    """A base that ignores its prompts writes images of its texts, except for a queen, who stays there."""
    group, base = DemographicGroup([["old king", "queen"], ["man", "woman"]]), copy.deepcopy(base_model())
    torch.nn.init.zeros_(base.get_output_embeddings().weight)
    blocks = make_blocks([TEMPLATE], group, tokenizer())
    lm = hf_equi.symmetrize(base, group, tokenizer=tokenizer(), multi_token="compose")
    many = Sampling(40, seed=3, max_new_tokens=12, top_k=0)
    subject, _ = make_subjects({"base": base, "lm": lm}, group, tokenizer(), blocks, 12)
    rows, _ = run_unit(subject, blocks[0], Measures(name_scorers(regard()), group), many, tokenizer())
    sets, composed = lm.action.token_map.sets[0], lm.action.token_map.composed[0]
    swap = {one: other for pair in sets for one, other in (pair, pair[::-1])}
    queens = {word[0] for pair in composed for word in pair if len(word) == 1}
    for king, other in zip(rows[:40], rows[40:], strict=True):
        written = king["tokens"][king["prompt_tokens"] :]
        moved = [swap.get(token, token) for token in written]
        assert moved == other["tokens"][other["prompt_tokens"] :]
        assert king["consistent"] == queens.isdisjoint(written)

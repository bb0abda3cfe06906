"""Likelihoods and gaps, against loops over texts, elements and tokens."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from small_models import BOTH, GENDER, base_model, configs, tokenizer
from transformers import PreTrainedModel

import hf_equi
from hf_equi import DemographicGroup, EquiLM
from hf_equi.errors import ConfigurationError
from hf_equi.fairness import GroupGap, group_gap, group_gaps, log_likelihood

END, PAD = 0, 1
PROMPTS = ["the man worked as", "She", "the black woman was known for a"]
CONTINUATIONS = [" a nurse and he", " white", " Man and the"]


def equi(method: str = "equitune", group: DemographicGroup = BOTH, family: str = "gpt2") -> EquiLM:
    return hf_equi.symmetrize(base_model(family), group, method, tokenizer=tokenizer())


def ids(text: str) -> list[int]:
    return tokenizer()(text)["input_ids"]


@pytest.fixture(scope="module")
def texts() -> tuple[torch.Tensor, torch.Tensor, int]:
    """As `generate` returns them: prompts padded on the left, continuations on the right; the second has an end."""
    prompts, rests = [ids(text) for text in PROMPTS], [ids(text) for text in CONTINUATIONS]
    rests[1].append(END)
    width, length = max(map(len, prompts)), max(map(len, rests))
    rows = [[PAD] * (width - len(p)) + p + r + [END] * (length - len(r)) for p, r in zip(prompts, rests, strict=True)]
    # The end of the others is marked too, as that of a text which stops there.
    mask = [[0] * (width - len(p)) + [1] * len(p) for p in prompts]
    return torch.tensor(rows), torch.tensor(mask), width


def literal(model: PreTrainedModel, prompt: list[int], rest: list[int]) -> float:
    """The sum over tokens of log p(token given all before it), each from a forward of its own."""
    total = 0.0
    for place, token in enumerate(rest):
        read = torch.tensor([prompt + rest[:place]])
        with torch.no_grad():
            extra = {"labels": read.masked_fill(torch.arange(read.shape[1]) < len(prompt), -100)}
            out = model(input_ids=read, **(extra if isinstance(model, EquiLM) else {}))
        total += out.logits[0, -1].log_softmax(-1)[token].item()
    return total


def cut(row: torch.Tensor, mask: torch.Tensor, width: int) -> tuple[list[int], list[int]]:
    """The prompt without its padding; the continuation up to its first end-of-text token."""
    prompt, rest = row[:width][mask.bool()].tolist(), row[width:].tolist()
    return prompt, rest[: rest.index(END) + 1] if END in rest else rest


def trivial_action() -> Any:
    """A demographic group has two elements or more; what an action of the identity alone would be."""
    action = SimpleNamespace(group=SimpleNamespace(order=1))
    action.to = lambda device: action
    return action


def models() -> dict[str, PreTrainedModel]:
    return {"base": base_model(), "equitune": equi(), "mixture": equi("mixture"), "canonical": equi("canonical")}


@pytest.mark.parametrize("name", ["base", "equitune", "mixture", "canonical"])
def test_log_likelihood_is_that_of_a_loop(name: str, texts) -> None:
    model, (rows, mask, width) = models()[name], texts
    found = log_likelihood(model, rows, width, mask)
    expected = [literal(model, *cut(*row, width)) for row in zip(rows, mask, strict=True)]
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", ["base", "equitune", "mixture"])
def test_group_gap_is_that_of_a_loop(name: str, texts) -> None:
    model, action, (rows, mask, width) = models()[name], equi().action, texts
    gaps: list[list[float]] = []
    for row in zip(rows, mask, strict=True):
        prompt, rest = cut(*row, width)
        reference = literal(model, prompt, rest)
        gaps.append([])
        for g in range(1, action.group.order):
            table = action.permutations[g].tolist()
            moved = literal(model, [table[token] for token in prompt], [table[token] for token in rest])
            gaps[-1].append(abs(moved - reference) / len(rest))
    found = group_gap(model, action, rows, width, mask)
    every = [gap for row in gaps for gap in row]
    assert found.largest == pytest.approx(max(every), abs=1e-5)
    assert found.mean == pytest.approx(sum(every) / len(every), abs=1e-5)
    assert group_gaps(model, action, rows, width, mask).tolist() == pytest.approx(list(map(max, gaps)), abs=1e-5)


def test_the_likelihood_of_the_mixture_is_that_of_whole_texts(texts) -> None:
    """log p(Y | X) = log mean over g of p(gY | gX), by the base alone, under its own group and under a larger one."""
    rows, mask, width = texts
    lm, larger = equi("mixture", group=GENDER), equi(group=BOTH).action

    def law(rows: torch.Tensor) -> torch.Tensor:
        orbit = [log_likelihood(lm.base, lm.action.apply(g, rows), width, mask) for g in range(lm.group.order)]
        return torch.stack(orbit).logsumexp(0) - math.log(len(orbit))

    torch.testing.assert_close(log_likelihood(lm, rows, width, mask), law(rows), atol=1e-4, rtol=0)
    counts = torch.tensor([len(cut(*row, width)[1]) for row in zip(rows, mask, strict=True)])
    moved = torch.stack([law(larger.apply(g, rows)) for g in range(larger.group.order)])
    gaps = (moved - law(rows)).abs().amax(0) / counts
    assert gaps.max() > 0.01
    torch.testing.assert_close(group_gaps(lm, larger, rows, width, mask), gaps, atol=1e-4, rtol=0)
    assert group_gaps(lm, lm.action, rows, width, mask).max() <= 1e-5


@pytest.mark.parametrize("family", sorted(configs()))
@pytest.mark.parametrize("method", ["equitune", "mixture"])
def test_the_gap_of_an_equilm_vanishes_and_that_of_its_base_does_not(method: str, family: str) -> None:
    lm = equi(method, family=family)
    prompts = tokenizer()(PROMPTS, return_tensors="pt", padding=True)
    mask, width = prompts["attention_mask"], prompts["input_ids"].shape[1]
    settings = {"max_new_tokens": 6, "do_sample": True, "pad_token_id": PAD}
    assert group_gap(lm, lm.action, lm.generate(**prompts, seed=3, **settings), width, mask).largest <= 1e-5
    assert group_gap(lm.base, lm.action, lm.base.generate(**prompts, **settings), width, mask).mean > 0.01


def test_the_gap_under_another_group_does_not_vanish(texts) -> None:
    rows, mask, width = texts
    assert group_gap(equi(group=GENDER), equi(group=BOTH).action, rows, width, mask).largest > 0.01


def test_batches_change_nothing(texts) -> None:
    rows, mask, width = texts
    lm = equi()
    whole = group_gap(lm.base, lm.action, rows, width, mask)
    parts = group_gap(lm.base, lm.action, rows, width, mask, batch_size=1)
    assert (parts.largest, parts.mean) == pytest.approx((whole.largest, whole.mean), abs=1e-5)


def test_what_follows_the_end_of_text_counts_for_nothing(texts) -> None:
    rows, mask, width = texts
    changed = rows.clone()
    changed[1, -1] = ids(" man")[0]
    before, after = (log_likelihood(base_model(), one, width, mask)[1] for one in (rows, changed))
    assert after == before
    no_end = log_likelihood(base_model(), rows, width, mask, eos_token_id=[])
    assert no_end[1] < before


def test_a_mask_of_all_tokens_says_the_same_as_one_of_the_prompts(texts) -> None:
    rows, mask, width = texts
    full = torch.cat([mask, torch.ones(len(rows), rows.shape[1] - width, dtype=mask.dtype)], 1)
    assert log_likelihood(base_model(), rows, width, full).equal(log_likelihood(base_model(), rows, width, mask))


def test_without_a_mask_all_tokens_count() -> None:
    row = torch.tensor([ids("the man worked as a nurse")])
    expected = literal(base_model(), row[0, :3].tolist(), row[0, 3:].tolist())
    assert log_likelihood(base_model(), row, 3).item() == pytest.approx(expected, abs=1e-4)


def test_a_text_that_nothing_moves_has_no_gap() -> None:
    row = torch.tensor([ids("the song was known")])
    assert group_gap(base_model(), equi().action, row, 2) == GroupGap(0.0, 0.0)
    assert group_gaps(base_model(), equi().action, row, 2).tolist() == [0.0]


def test_a_group_of_one_element_has_no_gap(texts) -> None:
    rows, mask, width = texts
    action = trivial_action()
    assert group_gap(base_model(), action, rows, width, mask) == GroupGap(0.0, 0.0)
    assert group_gaps(base_model(), action, rows, width, mask).tolist() == [0.0] * len(rows)


def test_shapes_that_do_not_fit_are_refused(texts) -> None:
    rows, mask, width = texts
    with pytest.raises(ConfigurationError, match=r"one position of prompt and one of continuation.*prompt_length=0"):
        log_likelihood(base_model(), rows, 0, mask)
    with pytest.raises(ConfigurationError, match="one position of prompt and one of continuation"):
        log_likelihood(base_model(), rows, rows.shape[1], mask)
    with pytest.raises(ConfigurationError, match="attention_mask must have the shape of the sequences"):
        log_likelihood(base_model(), rows, width, mask[:, 1:])
    with pytest.raises(ConfigurationError, match="batch_size=0"):
        log_likelihood(base_model(), rows, width, mask, batch_size=0)


def test_an_empty_prompt_is_refused(texts) -> None:
    rows, mask, width = texts
    empty = mask.clone()
    empty[2] = 0
    with pytest.raises(ConfigurationError, match="In row 2, attention_mask keeps no token of the prompt"):
        group_gap(base_model(), equi().action, rows, width, empty)


def test_a_gap_prints_small_numbers_in_full() -> None:
    assert str(GroupGap(0.5, 2e-7)) == "largest 0.500, mean 2.0e-07"


def test_words_of_several_tokens_have_no_gap_under_the_equilm_that_moves_them() -> None:
    group = DemographicGroup([["man", "woman"], ["uncle", "aunt"], ["old king", "queen"]])
    lm = hf_equi.symmetrize(base_model(), group, tokenizer=tokenizer(), multi_token="compose", look_ahead=0.02)
    read = lm.action.read(ids("the man met an uncle and the old king"))
    assert sum(unit >= lm.action.vocab_size for unit in read) == 2
    prompts = ["the man met an uncle", "She", "the old king was"]
    rests = [" and the queen was known", " met an aunt . the", " white . the man"]
    prompt_ids, rest_ids = [ids(text) for text in prompts], [ids(text) for text in rests]
    rest_ids[2] += ids(" uncle")[:2]  # half a word, of which no image is known
    width, length = max(map(len, prompt_ids)), max(map(len, rest_ids))
    pairs = list(zip(prompt_ids, rest_ids, strict=True))
    rows = torch.tensor([[PAD] * (width - len(p)) + p + r + [END] * (length - len(r)) for p, r in pairs])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * (len(p) + len(r)) + [0] * (length - len(r)) for p, r in pairs])
    assert group_gap(lm, lm.action, rows, width, mask).largest <= 1e-5
    found = group_gaps(lm.base, lm.action, rows, width, mask).tolist()
    rest_ids[2] = rest_ids[2][:-2]
    for gap, prompt, rest in zip(found, prompt_ids, rest_ids, strict=True):
        moved = literal(lm.base, lm.action.member(1, prompt), lm.action.member(1, rest))
        assert gap == pytest.approx(abs(moved - literal(lm.base, prompt, rest)) / len(rest), abs=1e-4)
    assert min(found) > 0.01

from __future__ import annotations

import pytest
import torch
from literal import members
from small_models import BOTH, base_model, tokenizer

import hf_equi

PROMPTS = ["the man met a person", "person", "the black woman and"]
ANSWERS = [" and she was a black nurse", " worked for the white man", " he met the asian man"]


@pytest.fixture(scope="module")
def lm():
    return hf_equi.symmetrize(base_model(), BOTH, tokenizer=tokenizer(), method="mixture")


def joint(scores: torch.Tensor, ids: torch.Tensor, prompt: int) -> torch.Tensor:
    """log p(y | x) of the tokens from `prompt` on, for scores `(..., tokens, vocab)`."""
    return (
        scores[..., prompt - 1 : -1, :].gather(-1, ids[prompt:, None].expand(*scores.shape[:-2], -1, 1)).sum((-2, -1))
    )


def encode() -> tuple[dict[str, torch.Tensor], list[tuple[torch.Tensor, int]]]:
    """A left padded batch with its labels, and each text alone with the length of its prompt."""
    tokens = tokenizer()
    prompts = [len(tokens(prompt)["input_ids"]) for prompt in PROMPTS]
    whole = [prompt + answer for prompt, answer in zip(PROMPTS, ANSWERS, strict=True)]
    batch = dict(tokens(whole, return_tensors="pt", padding=True))
    batch.pop("token_type_ids", None)
    alone = [(torch.tensor(tokens(text)["input_ids"]), prompt) for text, prompt in zip(whole, prompts, strict=True)]
    labels = torch.full_like(batch["input_ids"], -100)
    for row, (ids, prompt) in enumerate(alone):
        labels[row, prompt - len(ids) :] = ids[prompt:]
    return {**batch, "labels": labels, "position_ids": (batch["attention_mask"].cumsum(-1) - 1).clamp(min=0)}, alone


@pytest.mark.parametrize("chunk", [None, 2])
def test_texts_score_as_the_mixture_of_whole_texts(lm, chunk, monkeypatch):
    monkeypatch.setattr(lm.config, "orbit_chunk_size", chunk)
    batch, alone = encode()
    with torch.no_grad():
        scores = lm(**batch).logits
    for row, (ids, prompt) in enumerate(alone):
        each = members(base_model(), lm.action, ids)  # (group, tokens, vocab)
        mixture = joint(each, ids, prompt).logsumexp(0) - torch.tensor(6.0).log()
        assert torch.isclose(joint(scores[row, -len(ids) :], ids, prompt), mixture, atol=1e-4)
        # The next-token law after each place: members weigh by what they gave to the tokens after the prompt.
        for place in range(prompt - 1, len(ids)):
            weights = joint(each[:, : place + 1], ids[: place + 1], prompt)
            law = (weights[:, None] + each[:, place]).logsumexp(0) - weights.logsumexp(0)
            assert torch.allclose(scores[row, place - len(ids)], law, atol=1e-4)


def test_without_labels_the_whole_text_is_the_prompt(lm):
    ids = torch.tensor(tokenizer()(PROMPTS[2] + ANSWERS[2])["input_ids"])
    with torch.no_grad():
        scores = lm(input_ids=ids[None]).logits[0]
    assert torch.allclose(scores, members(base_model(), lm.action, ids).exp().mean(0).log(), atol=1e-4)


def test_loss_is_that_of_the_mixture(lm):
    batch, alone = encode()
    with torch.no_grad():
        loss = lm(**batch).loss
    each = [joint(members(base_model(), lm.action, ids), ids, prompt) for ids, prompt in alone]
    total = sum(scores.logsumexp(0) - torch.tensor(6.0).log() for scores in each)
    assert torch.isclose(loss, -total / sum(len(ids) - prompt for ids, prompt in alone), atol=1e-4)

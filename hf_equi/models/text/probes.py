"""The inputs on which models of text are measured: random texts that a group moves."""

from __future__ import annotations

from typing import Any

import torch

from hf_equi.actions import TokenAction, UnitAction
from hf_equi.models.cards.measuring import Probe
from hf_equi.models.cards.random_inputs import random_ids, seeded
from hf_equi.models.text.unit_probes import PADDING, closed_law, plain_action, unit_texts

__all__ = ["pair_probe", "text_probe"]

TEXTS, LENGTH = 4, 16


def text_probe(model: Any) -> Probe:
    """Return random texts, each with a token of every factor, and the distribution of the next token at each place.

    Where words of several tokens move, each text has one too, and images differ in length. Then the distribution is
    asked for after each word, of the tokens that begin no word.
    """
    action = model.action
    if isinstance(action, UnitAction):
        return _unit_probe(model, action)
    texts = _texts(action, model.config.vocab_size, model.tokenizer.all_special_ids)

    def run(lm: Any, ids: torch.Tensor) -> torch.Tensor:
        return _law(lm(input_ids=ids, use_cache=False, **_as_tokens(lm, model)).logits, action)

    return Probe(
        texts.to(action.device),
        action,
        action,
        run,
        f"{TEXTS} texts of {LENGTH} random tokens, each with {_movable(action)}",
        _said(action),
    )


def _unit_probe(model: Any, action: UnitAction) -> Probe:
    texts, moved = unit_texts(action, model.tokenizer.all_special_ids, TEXTS, LENGTH)

    def run(lm: Any, ids: torch.Tensor) -> torch.Tensor:
        there = (ids != PADDING).long()
        given = {"input_ids": ids.clamp(min=0), "attention_mask": there, "use_cache": False}
        return closed_law(action, ids, lm(**given, **_as_tokens(lm, model)).logits)

    return Probe(
        texts.to(action.device),
        moved,
        plain_action(action),
        run,
        f"{TEXTS} texts of {LENGTH} random tokens and words of several tokens, each with such a word that the group "
        "moves",
        f"{_said(action)} that begins no word of several tokens",
    )


def pair_probe(model: Any) -> Probe:
    """Return random sources and targets, each with a token of every factor, and the law of the next target token."""
    action, config = model.action, model.config
    sources = _texts(action.source, config.vocab_size, model.tokenizer.all_special_ids)
    targets = _texts(action.target, config.decoder_vocab_size, model.target_tokenizer.all_special_ids)
    targets = targets.roll(1, 0)  # otherwise both would hold their moved tokens at the same places
    length, rows = sources.shape[1], config.vocab_size
    start = 0 if config.decoder_start_token_id is None else config.decoder_start_token_id

    def run(each: Any, ids: torch.Tensor) -> torch.Tensor:
        source, target = ids[:, :length], ids[:, length:] - rows
        begun = torch.cat([torch.full_like(target[:, :1], start), target], 1)
        given = _as_tokens(each, model)
        return _law(each(input_ids=source, decoder_input_ids=begun, use_cache=False, **given).logits, action.target)

    return Probe(
        action.join(sources.to(action.device), targets.to(action.device)),
        action.joint,
        action.target,
        run,
        f"{TEXTS} pairs of {LENGTH} random source and {LENGTH} random target tokens, each side with "
        "a token of each factor that moves there",
        _said(action.target),
    )


def _as_tokens(asked: Any, model: Any) -> dict[str, Any]:
    """Return the argument that tells a model, but not its base, that random tokens are not words."""
    return {} if asked is model.base else {"group": model.action}


def _texts(action: TokenAction, vocab_size: int, special: list[int]) -> torch.Tensor:
    ids = random_ids(TEXTS, LENGTH, vocab_size, special)
    generator = seeded()
    for text in ids:
        places = torch.randperm(LENGTH, generator=generator)
        for place, factor in zip(places.tolist(), filter(None, action.token_map.sets), strict=False):
            tokens = factor[int(torch.randint(len(factor), (1,), generator=generator))]
            text[place] = tokens[int(torch.randint(len(tokens), (1,), generator=generator))]
    return ids


def _law(logits: torch.Tensor, action: TokenAction) -> torch.Tensor:
    """Return log-probabilities; under a relaxed group only among the tokens for which a symmetry is claimed."""
    scores = logits.float()
    if action.general is not None:
        scores = scores.masked_fill(action.general.to(scores.device), -torch.inf)
    return scores.log_softmax(-1)


def _said(action: TokenAction) -> str:
    among = "" if action.general is None else ", among equality and neutral tokens alone"
    return f"log-probabilities of the next token{among}"


def _movable(action: TokenAction) -> str:
    """Describe what each text holds; a factor whose words are not tokens has nothing in it."""
    if len(action.token_map.sets) == 1:
        return "a token that the group moves"
    return "a token of each factor" + ("" if all(action.token_map.sets) else " that has one")

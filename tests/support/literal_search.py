"""EquizeroLM's search as its rule reads: one text, a loop over elements and tokens, whole texts, no cache."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, inf, log
from typing import Any

import torch
from torch import Tensor

from hf_equi import TokenAction, WordAction
from hf_equi.generation.coupled_sampling import NoiseKeys, uniform


@dataclass
class Drafts:
    """How drafts are drawn: the settings of `generate`, and a bias that is added to the scores of some tokens."""

    length: int = 3
    new_tokens: int = 8
    seed: int = 1
    sample: int = 0
    samples: int = 1
    do_sample: bool = True
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    bias: dict[int, float] = field(default_factory=dict)
    ends: tuple[int, ...] = (0,)


@dataclass
class Found:
    """A text, the elements chosen, all losses, and what was drafted in each round."""

    tokens: list[int]
    text: str
    chosen: list[int]
    losses: list[list[float]]
    drafts: list[list[list[int]]]


def search_tokens(
    base: Any, action: TokenAction, tokenizer: Any, prompt: list[int], scorer: Any, how: Drafts
) -> Found:
    """The search of one prompt, with the group on tokens. `tokens` are those of the continuation."""
    group = action.group
    table = action.permutations.tolist()
    orbit = [[table[g][token] for token in prompt] for g in range(group.order)]
    k = orbit.index(min(orbit))
    keys = NoiseKeys(torch.tensor([k]), [orbit[k]], how.seed)
    order = canonical_order(group, k)
    context, found, step = list(prompt), Found([], "", [], [], []), 0
    while True:
        count = min(how.length, how.new_tokens - step)
        drafts, logs, ended = [], [], []
        for g in range(group.order):
            text, total, over = [table[g][token] for token in context], 0.0, False
            for place in range(count):
                raw = next_scores(base, text)
                # Settings act in the frame of the prompt: v there is g(v) here.
                framed = process([raw[table[g][v]] for v in range(len(raw))], how)
                token = table[g][choose(framed, table[g], noise_key(keys, how, step + place, order[g]), how)]
                total += raw[token] - log_sum(raw)
                text.append(token)
                if table[g].index(token) in how.ends:
                    over = True
                    break
            drafts.append(text[len(context) :])
            logs.append(total)
            ended.append(over)
        members = [[table[g][token] for token in context] for g in range(group.order)]
        texts = [tokenizer.decode(members[g] + drafts[g], skip_special_tokens=True) for g in range(group.order)]
        losses = scorer(texts).tolist()
        best = winner(losses, logs, order)
        found.chosen.append(best)
        found.losses.append(losses)
        found.drafts.append(drafts)
        context += [table[best].index(token) for token in drafts[best]]
        step += count
        if ended[best] or step == how.new_tokens:
            found.tokens = context[len(prompt) :]
            found.text = tokenizer.decode(context, skip_special_tokens=True)
            return found


def search_words(  # noqa: PLR0915  as long as the rule is
    base: Any, action: WordAction, tokenizer: Any, prompt: str, scorer: Any, how: Drafts
) -> Found:
    """The search of one prompt without special tokens, with the group on words."""
    group = action.group
    orbit = [action.apply(g, prompt) for g in range(group.order)]
    k = orbit.index(min(orbit))
    keys = NoiseKeys(torch.tensor([k]), [list(orbit[k].encode())], how.seed)
    order = canonical_order(group, k)
    said, found, step = "", Found([], "", [], [], []), 0
    word, word_ids = "", []  # the last word in the tokens that it was drafted in
    while True:
        count = min(how.length, how.new_tokens - step)
        members = [action.apply(g, prompt + said, len(prompt)) for g in range(group.order)]
        texts, wholes, logs, ended, drafts, rows = [], [], [], [], [], []
        for g in range(group.order):
            context = tokenizer(members[g])["input_ids"]
            if word_ids and members[g].endswith(word):
                context = tokenizer(members[g].removesuffix(word))["input_ids"] + word_ids
            ids, total = list(context), 0.0
            for place in range(count):
                raw = next_scores(base, ids)
                same = list(range(len(raw)))
                token = choose(process(raw, how), same, noise_key(keys, how, step + place, order[g]), how)
                total += raw[token] - log_sum(raw)
                ids.append(token)
                if token in how.ends:
                    break
            drafts.append(ids[len(context) :])
            ended.append(ids[-1] in how.ends)
            logs.append(total)
            texts.append(tokenizer.decode(ids, skip_special_tokens=True))
            rows.append(ids[:-1] if ended[g] else ids)
            wholes.append(tokenizer.decode(rows[g]))
        losses = scorer(texts).tolist()
        best = winner(losses, logs, order)
        found.chosen.append(best)
        found.losses.append(losses)
        found.drafts.append(drafts)
        whole = wholes[best].rstrip("\ufffd")  # a character that is not whole yet
        said = action.apply(int(group.inverses[best]), whole, len(orbit[best]))[len(prompt) :]
        word, word_ids = "", []
        space = wholes[best].rfind(" ")
        if space >= len(orbit[best]):
            begins = [n for n in range(len(rows[best])) if tokenizer.decode(rows[best][:n]) == wholes[best][:space]]
            if begins:
                word, word_ids = whole[space:], rows[best][begins[-1] :]
        step += count
        if ended[best] or step == how.new_tokens:
            found.text = tokenizer.decode(tokenizer(prompt + said)["input_ids"], skip_special_tokens=True)
            return found


def canonical_order(group: Any, k: int) -> list[int]:
    """g k⁻¹ for each g."""
    return [int(group.product[g, group.inverses[k]]) for g in range(group.order)]


def noise_key(keys: NoiseKeys, how: Drafts, step: int, canonical: int) -> Tensor:
    """Of the canonical prompt, the number of the sample, the step and the canonical index."""
    return keys.keys(how.samples, step, canonical)[how.sample]


def next_scores(base: Any, ids: list[int]) -> list[float]:
    """Scores after a whole text."""
    with torch.no_grad():
        scores: list[float] = base(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].float().tolist()
    return scores


def process(scores: list[float], how: Drafts) -> list[float]:
    """The bias, then temperature, top-k and top-p, where texts are sampled."""
    scores = [score + how.bias.get(token, 0.0) for token, score in enumerate(scores)]
    if not how.do_sample:
        return scores
    scores = [score / how.temperature for score in scores]
    if how.top_k:
        least = sorted(scores)[-how.top_k]
        scores = [score if score >= least else -inf for score in scores]
    if how.top_p < 1.0:
        total, mass = log_sum(scores), 0.0
        for token in sorted(range(len(scores)), key=scores.__getitem__)[:-1]:
            mass += exp(scores[token] - total)
            if mass <= 1.0 - how.top_p:
                scores[token] = -inf
    return scores


def choose(scores: list[float], member: list[int], key: Tensor, how: Drafts) -> int:
    """A token by Gumbel-max, or the best one, of several the one with the most noise."""
    noise = uniform(key.expand(len(scores)), torch.tensor(member)).tolist()
    if how.do_sample:
        return max(range(len(scores)), key=lambda v: scores[v] - log(-log(noise[v])))
    return max(range(len(scores)), key=lambda v: (scores[v], noise[v]))


def log_sum(scores: list[float]) -> float:
    most = max(scores)
    return most + log(sum(exp(score - most) for score in scores))


def winner(losses: list[float], logs: list[float], order: list[int]) -> int:
    """The least loss, then the highest log-probability, then the lowest canonical index."""
    ranks = [(loss, -value, place) for loss, value, place in zip(losses, logs, order, strict=True)]
    return ranks.index(min(ranks))

"""Pronouns in a real language model: "him", "his" and "her" where each may come next, and how well "her" is read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from machine import progress
from reading_sentences import NOBODY, OBJECT, POSSESSIVE, WORDS, Sentence, read_sentences
from smollm2_run import GROUPS, Experiment, mean_and_interval, unwarned

PRONOUNS = ("him", "his", "her", "hers")
TIE = 1e-4
"""The difference in nats below which two words are equally likely, to rounding."""
CLEAR = 0.9
"""The share of one of "him" and "his" in the base from which it fits far better than the other."""
READ = ("base", "EquiLM")
"""The models whose pronouns are measured, by their names in `METHODS`."""


def readings(run: Experiment) -> dict[str, Any]:
    """Measure which pronoun comes next, by model, and whether what follows tells the reading of one.

    Figures are in nats: log p(him) − log p(her) before objects, log p(his) − log p(her) before possessives, and the
    log-odds of both against "her" alone, and against "her" and "hers" together. "clear" has the prompts where one of
    "him" and "his" has most of their mass in the base, and fits.
    """
    sentences = read_sentences()
    models = {name: run.symmetrize(name, GROUPS["gender"]) for name in READ}
    said = {name: next_pronouns(run, model, sentences, name) for name, model in models.items()}
    clear = _is_clear(sentences, said["base"])
    found: dict[str, Any] = {"sentences": len(sentences), "clear": int(clear.sum()), "models": {}}
    for name, laws in said.items():
        found["models"][name] = {
            about: _figures([sentence.about == about for sentence in sentences], sentences, laws, clear)
            for about in dict.fromkeys(sentence.about for sentence in sentences)
        }
    return found | {"read": read_right(run, sentences, said["base"])}


@torch.no_grad()
def next_pronouns(run: Experiment, model: Any, sentences: Sequence[Sentence], title: str) -> torch.Tensor:
    """Return the log-probability of each of `PRONOUNS` as the next word `(sentences, pronouns)`, float64.

    It is −inf for "hers" if that is several tokens.
    """
    tokens = [*(_token(run, word) for word in PRONOUNS[:-1]), _one_token(run, PRONOUNS[-1])]
    rows = []
    for sentence in progress(sentences, f"pronouns, {title}"):
        ids = torch.tensor([_tokens(run, sentence.prompt)])
        with unwarned():
            law = model(input_ids=ids).logits[0, -1].double().log_softmax(-1)
        said = [-math.inf if token is None else law[token].item() for token in tokens]
        rows.append(torch.tensor(said, dtype=torch.float64))
    return torch.stack(rows)


def _figures(wanted: list[bool], sentences: Sequence[Sentence], laws: torch.Tensor, clear: torch.Tensor) -> dict:
    """Return the figures of the wanted sentences."""
    him, his, her, hers = laws.unbind(1)
    both = torch.logaddexp(him, his)
    gaps = {
        f"him over her, {OBJECT}": (him - her, OBJECT, False),
        f"his over her, {POSSESSIVE}": (his - her, POSSESSIVE, False),
        f"him over her, {OBJECT}, clear": (him - her, OBJECT, True),
        f"his over her, {POSSESSIVE}, clear": (his - her, POSSESSIVE, True),
        "him or his over her": (both - her, None, False),
        "him or his over her or hers": (both - torch.logaddexp(her, hers), None, False),
    }
    found = {}
    for name, (gap, reading, only_clear) in gaps.items():
        places = [
            place
            for place, sentence in enumerate(sentences)
            if wanted[place] and reading in (None, sentence.reading) and (clear[place] or not only_clear)
        ]
        if places:
            found[name] = _entry(gap[places].tolist(), [sentences[place].after for place in places])
    return found


def _entry(values: list[float], blocks: list[str]) -> dict[str, Any]:
    """Return a mean with its interval, and how often the first side is the likelier. A template is one block."""
    return mean_and_interval(values, [1.0] * len(values), blocks) | {
        "sentences": len(values),
        "preferred": sum(value > TIE for value in values),
        "ties": sum(abs(value) <= TIE for value in values),
        "largest": max(map(abs, values)),
    }


def _is_clear(sentences: Sequence[Sentence], laws: torch.Tensor) -> torch.Tensor:
    """Return where the word of the sentence's reading has most of the mass of "him" and "his" `(sentences,)`."""
    him, his = laws[:, 0], laws[:, 1]
    objects = torch.tensor([sentence.reading == OBJECT for sentence in sentences])
    return torch.sigmoid(torch.where(objects, him - his, his - him)) >= CLEAR


@torch.no_grad()
def read_right(run: Experiment, sentences: Sequence[Sentence], laws: torch.Tensor) -> dict[str, Any]:
    """Return how often the base reads the male pronoun of each sentence right, after 0, 1, 2 and 3 further tokens.

    The two readings are written "him" and "his". Their weights are the base's probabilities of the texts so far, which
    is how a reading of "her" can be weighed: by the texts of the other demographic.
    """
    chosen = [place for place, sentence in enumerate(sentences) if sentence.about == NOBODY]
    right: dict[str, list[int]] = {OBJECT: [0] * 4, POSSESSIVE: [0] * 4}
    for place in progress(chosen, "readings, base"):
        sentence = sentences[place]
        gaps = _weights(run, sentence, laws[place])
        for tokens, gap in enumerate(gaps[:4]):
            right[sentence.reading][tokens] += gap > 0 if sentence.reading == OBJECT else gap < 0
    return {
        reading: {"sentences": sum(sentences[place].reading == reading for place in chosen), "right": counts}
        for reading, counts in right.items()
    }


def _weights(run: Experiment, sentence: Sentence, law: torch.Tensor) -> list[float]:
    """Return the log-odds of "him" to "his" after each token that follows, beginning with none."""
    after = _tokens(run, f" {sentence.after}")
    before = _tokens(run, sentence.prompt)
    ids = torch.tensor([[*before, _token(run, word), *after] for word in (WORDS[OBJECT][0], WORDS[POSSESSIVE][0])])
    laws = run.base(input_ids=ids).logits[:, len(before) : -1].double().log_softmax(-1)
    said = laws.gather(-1, ids[:, len(before) + 1 :, None]).squeeze(-1).cumsum(1)
    start = (law[0] - law[1]).item()
    return [start, *(start + said[0] - said[1]).tolist()]


def _token(run: Experiment, word: str) -> int:
    """Return the one token of a word after a space, and stop if there are several."""
    if (token := _one_token(run, word)) is None:
        raise SystemExit(f"{word!r} is not a single token of this model: use another model.")
    return token


def _one_token(run: Experiment, word: str) -> int | None:
    """Return the one token of a word after a space; `None` if there are several."""
    tokens = _tokens(run, f" {word}")
    return tokens[0] if len(tokens) == 1 else None


def _tokens(run: Experiment, text: str) -> list[int]:
    ids: list[int] = run.tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids

"""Words of several tokens in a real language model: which move, how exactly, what is written, and at what price."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from data import require
from machine import progress
from smollm2_lines import corpus_lines, lines_with
from smollm2_run import COMPOSED, GROUPS, Experiment, mean_and_interval, unwarned

from hf_equi import DemographicGroup
from hf_equi.actions.coverage import AFTER_SPACE, START
from hf_equi.actions.resolution import cover_tokens
from hf_equi.fairness import prompt_set

NAME_LISTS = (("white_male", "black_male"), ("white_female", "black_female"))
PHRASES = (("African American", "European American"), ("African Americans", "European Americans"))
PROMPTS = {
    "gender": ("The salesman said", "The saleswoman said"),
    "names": ("Jamal worked as", "Bradley worked as"),
    "phrases": ("The African American man was described as", "The European American man was described as"),
}
"""A prompt about each group, and its image."""
SHARES = (0.001, 0.01, 0.1, 0.3)
SETTINGS = (
    *({"look_ahead": 0.01, "unlooked_share": share} for share in SHARES),
    *({"look_ahead": 0.05, "unlooked_share": share} for share in SHARES[2:]),
    {"look_ahead": 1, "unlooked_share": 0.1},
)
"""The settings that are measured on all lines."""
SLOW = ({"look_ahead": 0.001, "unlooked_share": 0.1}, {"look_ahead": 0})
"""The settings that are measured on a few short lines beside the others."""
LOOKS = (1, 0.05, 0.01)
"""The values of `look_ahead` whose group gap is measured on all texts. 0 is measured on a few."""
LEAST = 1e-6
"""The smallest probability of a next token that is compared."""


def composed_groups(run: Experiment) -> dict[str, DemographicGroup]:
    """Return the groups of the other stages, one of first names, and one of phrases."""
    (folder,) = require(run.data, "fairness_words")

    def names(file: str) -> list[str]:
        return (folder / "name_lists" / f"{file}_names.txt").read_text(encoding="utf-8").split()

    pairs = [pair for one, other in NAME_LISTS for pair in zip(names(one), names(other), strict=True)]
    return {**GROUPS, "names": DemographicGroup(pairs), "phrases": DemographicGroup(PHRASES)}


def composed_words(run: Experiment) -> dict[str, Any]:
    """Count the words of each group that move under the token rule, and with words of several tokens."""
    found: dict[str, Any] = {}
    for name, group in composed_groups(run).items():
        sides = [cover_tokens(group, run.tokenizer, composes) for composes in (False, True)]
        written = [form for form in group.forms() if form.explicit]
        spelled = [(form, context) for form in group.forms() for context in (AFTER_SPACE, START)]
        moving = [[form for form in written if side.moves(form, AFTER_SPACE)] for side in sides]
        found[name] = {
            "sets": len(written),
            "sets_moving": [len(forms) for forms in moving],
            "words": sum(len(form.words) for form in written),
            "words_moving": [sum(len(form.words) for form in forms) for forms in moving],
            "spellings": len(spelled),
            "spellings_moving": [sum(side.moves(*each) for each in spelled) for side in sides],
            "gained": ["/".join(form.words) for form in moving[1] if form not in moving[0]],
        }
    return found


@dataclass(frozen=True)
class Continued:
    """A prompt and a continuation, in the user's frame: token ids.

    Args:
        kind: What the continuation is: "sampled" or "written".
        prompt: The prompt.
        text: The continuation.
    """

    kind: str
    prompt: list[int]
    text: list[int]


def composed_gaps(run: Experiment) -> dict[str, Any]:
    """Measure how much likelihoods change when a group moves prompts with words of several tokens."""
    found: dict[str, Any] = {}
    groups = composed_groups(run)
    for name in PROMPTS:
        lm = run.symmetrize(COMPOSED, groups[name])
        texts = list(_continued(run, groups[name], lm.action))
        models = {"base": run.base, "EquiLM": run.symmetrize("EquiLM", groups[name])}
        models |= {f"{COMPOSED}, look_ahead={least}": _composed(run, groups[name], least) for least in LOOKS}
        entry = {label: _gaps(model, lm.action, texts, f"{label}, {name}") for label, model in models.items()}
        exact = _exact(run, lm.action, texts)
        label = f"{COMPOSED}, look_ahead=0"
        entry[label] = _gaps(_composed(run, groups[name], 0), lm.action, exact, f"{label}, {name}")
        found[name] = {"models": entry, "prompts": [run.tokenizer.decode(each) for each in _prompts(texts)]}
    return found


def _composed(run: Experiment, group: DemographicGroup, look_ahead: float) -> Any:
    return run.symmetrize(COMPOSED, group, look_ahead=look_ahead)


def _prompts(texts: Sequence[Continued]) -> list[list[int]]:
    return list({tuple(each.prompt): each.prompt for each in texts}.values())


def _continued(run: Experiment, group: DemographicGroup, action: Any) -> Iterator[Continued]:
    """Yield prompts with the words that move as units alone, each with sampled texts and a written one."""
    plain = cover_tokens(group, run.tokenizer)
    rows = [form for form in group.forms() if form.explicit and not plain.moves(form, AFTER_SPACE)]
    rows = random.Random(run.seed).sample(rows, min(len(rows), max(run.sizes.composed // 5, 1)))
    article = "" if all(word[0].isupper() and " " not in word for form in rows for word in form.words) else "the "
    torch.manual_seed(run.seed)
    for place, form in enumerate(rows):
        prompt = _prompt(run, action, f"{article}{form.words[0]}", place)
        if prompt is None:
            continue
        other = rows[(place + 1) % len(rows)].words[-1]
        more = [*_sampled(run, prompt), ("written", _tokens(run, f", and {article}{other} went home again."))]
        for kind, tokens in more:
            end = len(tokens)
            while end and not (_closed(action, [*prompt, *tokens[:end]])):
                end -= 1
            if end and action.reads_back([*prompt, *tokens[:end]]):
                yield Continued(kind, prompt, tokens[:end])


def _prompt(run: Experiment, action: Any, subject: str, place: int) -> list[int] | None:
    """Return the first published prompt from some place on, around and around, that ends where no word goes on.

    For names, " as" is the beginning of " asia", which is read as "Asia" in lower case.
    """
    templates = prompt_set("sheng2019")
    for template in (*templates[place % len(templates) :], *templates[: place % len(templates)]):
        text = template.removeprefix("The ").replace("{demographic}", subject)
        prompt = _tokens(run, text[0].upper() + text[1:])
        if _closed(action, prompt) and action.reads_back(prompt):
            return prompt
    return None


def _sampled(run: Experiment, prompt: list[int]) -> list[tuple[str, list[int]]]:
    """Return continuations that the base draws."""
    many, most = run.sizes.sampled, run.sizes.continued
    ids = torch.tensor([prompt] * many)
    drawn = run.base.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=True, top_k=0, max_new_tokens=most, min_new_tokens=most
    )
    return [("sampled", row) for row in drawn[:, len(prompt) :].tolist()]


def _tokens(run: Experiment, text: str) -> list[int]:
    ids: list[int] = run.tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _closed(action: Any, tokens: list[int]) -> bool:
    """Whether no image of a text ends in the beginning of a longer word."""
    longest = max(map(len, action.forms), default=1)
    tails = [action.member(g, tokens)[-size:] for g in range(action.group.order) for size in range(1, longest)]
    return not any(action.trie.after(tail) for tail in tails)


def _exact(run: Experiment, action: Any, texts: Sequence[Continued]) -> list[Continued]:
    """Return short continuations of the first prompts, for the setting that takes long."""
    found = []
    for prompt in _prompts(texts)[: run.sizes.exact]:
        first = next(each for each in texts if each.prompt == prompt)
        end = min(len(first.text), run.sizes.exact_continued)
        while end and not _closed(action, [*prompt, *first.text[:end]]):
            end -= 1
        found += [Continued(first.kind, prompt, first.text[:end])] if end else []
    return found


@torch.no_grad()
def _gaps(model: Any, action: Any, texts: Sequence[Continued], title: str) -> dict[str, Any]:
    """Return how much the likelihoods of texts and of next tokens change from a text to its images."""
    stays = torch.ones(action.vocab_size, dtype=torch.bool)
    stays[action.moved[action.moved < action.vocab_size]] = False
    stays[list(action.trie)] = False
    texts_differ, tokens_differ = [], {}
    for each in progress(texts, title):
        said, law = _said(model, each.prompt, each.text)
        for g in range(1, action.group.order):
            image, other = _said(model, action.member(g, each.prompt), action.member(g, each.text))
            texts_differ.append(abs(image - said) / len(each.text))
            likely = stays & (torch.maximum(law, other) >= torch.tensor(LEAST).log())
            tokens_differ[tuple(each.prompt), g] = (other - law)[likely].abs().max().item()
    return {
        "texts": len(texts_differ),
        "largest": max(texts_differ),
        "mean": sum(texts_differ) / len(texts_differ),
        "prompts": len(_prompts(texts)),
        "next_token": max(tokens_differ.values()),
    }


def _said(model: Any, prompt: list[int], text: list[int]) -> tuple[float, torch.Tensor]:
    """Return the log-likelihood of a continuation, and the law of its first token `(V,)`."""
    ids = torch.tensor([[*prompt, *text[:-1]]])
    with unwarned():
        laws = model(input_ids=ids, logits_to_keep=len(text)).logits[0].float().log_softmax(-1)
    return laws.double().gather(1, torch.tensor(text)[:, None]).sum().item(), laws[0]


def composed_texts(run: Experiment) -> dict[str, Any]:
    """Write texts after prompts with words of several tokens, and after their images."""
    found: dict[str, Any] = {}
    groups = composed_groups(run)
    for name, prompts in PROMPTS.items():
        for label in ("base", "EquiLM", COMPOSED):
            model = run.symmetrize(label, groups[name])
            for way in ("greedy", f"seed {run.seed}"):
                written = [_text(run, model, prompt, way != "greedy") for prompt in prompts]
                found.setdefault(name, {}).setdefault(way, {})[label] = written
    return found


def _text(run: Experiment, model: Any, prompt: str, draws: bool) -> str:
    inputs = run.tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
    torch.manual_seed(run.seed)
    seed = {"seed": run.seed} if draws and model is not run.base else {}
    with unwarned():
        tokens = model.generate(**inputs, max_new_tokens=run.sizes.continued, do_sample=draws, **seed)
    return run.tokenizer.decode(tokens[0], skip_special_tokens=True)


def composed_lines(run: Experiment) -> dict[str, Any]:
    """Measure nats a token on lines with words of several tokens, and on plain text, for several settings."""
    group = GROUPS["gender"]
    action = run.symmetrize(COMPOSED, group).action
    composed = {
        u for u in action.moving if any(len(action.write([v])) > 1 for v in action.permutations[:, u].tolist())
    }

    def holds(tokens: list[int]) -> bool:
        return not composed.isdisjoint(action.read(tokens)[1:])

    lines, counted = lines_with(run, holds, run.sizes.composed)
    models = {"base": run.base, "EquiLM": run.symmetrize("EquiLM", group)}
    models |= {_label(settings): run.symmetrize(COMPOSED, group, **settings) for settings in SETTINGS}
    slow = {_label(settings): run.symmetrize(COMPOSED, group, **settings) for settings in SLOW}
    short = [(corpus, tokens[: run.sizes.exact_tokens]) for corpus, tokens in lines[: run.sizes.exact]]
    figures = {
        "with": _nats(run, models, lines),
        "plain": _nats(run, models, corpus_lines(run)),
        "short": _nats(run, models | slow, short),
    }
    return {**counted, "corpora": sorted({corpus for corpus, _ in lines}), "figures": figures}


def _label(settings: dict[str, float]) -> str:
    return f"{COMPOSED}, " + ", ".join(f"{name}={value:g}" for name, value in settings.items())


def _nats(run: Experiment, models: dict[str, Any], lines: Sequence[tuple[str, list[int]]]) -> dict[str, Any]:
    """Return nats a token of each model, and the excess over the base."""
    texts = [tokens for _, tokens in lines]
    blocks = [f"{corpus}-{place}" for place, (corpus, _) in enumerate(lines)]
    counts = [float(len(text) - 1) for text in texts]
    found: dict[str, Any] = {"lines": len(texts), "tokens": int(sum(counts)), "models": {}}
    base: torch.Tensor | None = None
    for label, model in models.items():
        own = -run.likelihoods(model, texts, f"{label}, {len(texts)} lines")
        base = own if base is None else base
        found["models"][label] = {
            "nats": mean_and_interval(own.tolist(), counts, blocks),
            "more": mean_and_interval((own - base).tolist(), counts, blocks),
        }
    return found

"""The cards of models of text."""

from __future__ import annotations

import dataclasses
import json
import re
from abc import abstractmethod
from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar

from hf_equi.actions.resolution import single_token_rows
from hf_equi.groups import DemographicGroup
from hf_equi.groups.demographic import preset_names
from hf_equi.groups.equality import EqualityFactor
from hf_equi.models.cards.kinds import CardKind
from hf_equi.models.cards.measuring import Probe
from hf_equi.models.cards.probes import pair_probe, text_probe

__all__ = ["CausalLMCard", "EquizeroLMCard", "Seq2SeqCard"]

SHOWN = 12
"""Longer lists are folded."""
_MARKDOWN = re.compile(r"[\\`*_<>#|$&~\[\]]")

_LEXICAL = (
    "**A lexical symmetry, not a causal one.** It is about the words listed above and what the model does when they "
    "are exchanged. It says nothing of names, places or other words that go with a demographic and are not listed, "
    "nothing of demographics that the group does not have, and nothing of whether a text is kind or true: a slur that "
    "the model says of one group it will now say of all alike."
)
_TOKENS = (
    "**In tokens.** A word moves in the forms (with and without a space before it; as written, lower, Capitalised, "
    "UPPER) that are one token for every word of its set. A form of several tokens stays; a token that moves does so "
    "inside a longer word too."
)
_BASE = "**The base is the base.** What it knows, what it gets wrong and how it speaks otherwise is unchanged."
_PRECISION = (
    "**Precision.** Exact means float32. In bfloat16 and float16 the rows of an orbit are rounded each on its own, "
    "and the two sides differ by as much as that."
)
_RELAXED = (
    "**General words.** This model is relaxed (R-): general words keep the scores that they have after the given "
    "text, so it is equivariant in the odds among equality and neutral tokens only. The law as a whole is not "
    "symmetric."
)
_CHOICE = (
    "**A choice.** Where two members of an orbit have the same loss to within rounding, the two sides may take "
    "different ones: equivariance is exact up to that margin, which the output holds."
)


class TextCard(CardKind):
    """What the cards of models of text have in common."""

    tags: ClassVar[tuple[str, ...]] = ("fairness",)

    def group_tags(self, model: Any) -> list[str]:
        """The names of presets, and `relaxed`."""
        named = [name for factor in model.group.factors if (name := _preset_of(factor))]
        return [*named, *(["relaxed"] if model.group.relaxed else [])]

    def group_text(self, model: Any) -> str:
        """The word lists, folded where they are long, and what of them moves."""
        group: DemographicGroup = model.group
        parts = [
            f"{group.order} elements; element by element, the first word of each set below becomes the next, and the "
            "last the first."
            + (" The group is the direct product of these factors." if len(group.factors) > 1 else "")
        ]
        for factor in group.factors:
            name = _preset_of(factor)
            preset = f" (the preset `{name}` of hf_equi)" if name else ""
            parts.append(f"**{', '.join(map(_plain, factor.names))}**{preset}")
            parts.append(_fold([" → ".join(map(_plain, words)) for words in factor.sets], "sets of words"))
            for kind, words in (("neutral", factor.neutral), ("general", factor.general)):
                if words is not None:
                    other = "general" if kind == "neutral" else "neutral"
                    parts.append(f"Words that are {kind}; all words beside are {other}:")
                    parts.append(_fold([", ".join(map(_plain, words))], f"{len(words)} {kind} words", len(words)))
        return "\n\n".join([*parts, *self._coverage(model)])

    def _coverage(self, model: Any) -> list[str]:
        """How much of the vocabulary moves, and which words do not."""
        sides = self._sides(model)
        moved = [f"{len(action.moved)} of {action.token_map.vocab_size} {name}" for name, action, _ in sides]
        lost = [set(single_token_rows(model.group, tokenizer)[1]) for _, _, tokenizer in sides]
        missing = [words for words in lost[0] if all(words in other for other in lost[1:])]
        order = [words for factor in model.group.factors for words in factor.sets]
        lines = [f"{' and '.join(moved)} move."]
        if missing:
            lines.append("Sets that do not move, as no form of them is one token on every side:")
            names = ["/".join(map(_plain, words)) for words in sorted(missing, key=order.index)]
            lines.append(_fold([", ".join(names)], f"{len(names)} sets", len(names)))
        return lines

    @abstractmethod
    def _sides(self, model: Any) -> list[tuple[str, Any, Any]]:
        """What the vocabularies are called, how the group acts on them, and their tokenizers."""

    def guarantee(self, model: Any) -> str:
        """By the method and the group."""
        if (claim := self.method(model).claim) is not None:
            return claim
        if model.group.relaxed:
            return (
                "Exchange the words below in the text it reads, and the odds of what it says are exchanged likewise."
            )
        return (
            "Exchange the words below in the text it reads, and they are exchanged in what it says, which is "
            r"otherwise the same: $M_G(gx) = g M_G(x)$."
        )

    def limits(self, model: Any) -> list[str]:
        """By the method and the group."""
        found = [_LEXICAL, *([_RELAXED] if model.group.relaxed else []), self._moves(model)]
        method = self.method(model)
        if method.claim is None and not method.exact:
            found.append(
                "**Texts that name nobody.** An element that leaves an input as it is has no say: after a text "
                "without words of the group the model is the base, with whatever it prefers there."
            )
        return [*found, *self._own_limits(model), _PRECISION, _BASE]

    def _moves(self, model: Any) -> str:
        return _TOKENS

    def _own_limits(self, model: Any) -> list[str]:
        return []


class CausalLMCard(TextCard):
    """The card of an EquiLM."""

    pipeline_tag = "text-generation"
    settings: ClassVar[tuple[str, ...]] = ("average", "multi_token")
    what = "A causal language model that treats the words of a group alike"
    use = (
        "Writing and scoring text where the demographic that a prompt names should not change what is said but for "
        "its name, and research on that. Not for judging people; not for anything that its base is not fit for."
    )

    def probe(self, model: Any) -> Probe:
        """Random texts."""
        return text_probe(model)

    def _sides(self, model: Any) -> list[tuple[str, Any, Any]]:
        return [("tokens", model.action, model.tokenizer)]

    def _own_limits(self, model: Any) -> list[str]:
        return [*self.method(model).limits]

    def usage(self, model: Any, place: str) -> str:
        """Texts after a prompt that names a demographic."""
        prompt = f"The {model.group.factors[0].names[0]} worked as"
        return _lines(
            "from transformers import AutoModelForCausalLM",
            f"lm = AutoModelForCausalLM.from_pretrained({place})",
            f'prompts = lm.tokenizer({_quoted(prompt)}, return_tensors="pt")',
            "print(lm.tokenizer.batch_decode(lm.generate(**prompts, max_new_tokens=15, do_sample=True, seed=7)))",
        )


class EquizeroLMCard(CausalLMCard):
    """The card of an EquizeroLM."""

    settings: ClassVar[tuple[str, ...]] = (*CausalLMCard.settings, "beam_length", "action")
    what = "A causal language model that writes, of the texts for all words of a group, the one of least loss"

    def config_settings(self, model: Any) -> dict[str, Any]:
        """With the loss, where it has a name."""
        scorer = model.config.scorer_settings
        loss = "a callable, not stored" if scorer is None else f"RegardScorer({scorer['name']!r})"
        return {**super().config_settings(model), "loss": loss}

    def probe(self, model: Any) -> Probe:
        """Random texts that the model scores: those that it writes are not measured."""
        found = super().probe(model)
        return dataclasses.replace(found, said=f"{found.said}, by its scores of a given text")

    def _moves(self, model: Any) -> str:
        if model.config.action == "tokens":
            return _TOKENS
        return (
            "**In words.** The search moves whole words and phrases of a text, whatever their tokens; scores of a "
            "given text move the words that are one token alone."
        )

    def _own_limits(self, model: Any) -> list[str]:
        return [
            _CHOICE,
            "**A judge with a bias of its own.** Texts look better by the loss that they were chosen by than by any "
            "other. After a prompt that names nobody, the base's preference for one word of a set comes back.",
            "**No likelihood.** The scores of the model are not the law of its texts, which has none that can be "
            "computed.",
        ]

    def usage(self, model: Any, place: str) -> str:
        """As of an EquiLM, with a loss where none is stored."""
        if model.config.scorer_settings is None:  # any function from texts to a tensor of losses will do
            place = f'{place}, scorer=hf_equi.RegardScorer("demo")'
        return super().usage(model, place)


class Seq2SeqCard(TextCard):
    """The card of an EquiForSeq2SeqLM."""

    pipeline_tag = "text2text-generation"
    settings: ClassVar[tuple[str, ...]] = ("average", "multi_token", "loss", "decoding", "objective")
    what = "A sequence-to-sequence model that treats the words of a group alike, in what it reads and what it writes"
    use = (
        "Turning texts into texts where exchanging the words of the group on one side should exchange them on the "
        "other and change nothing else. Not for anything that its base is not fit for."
    )

    def config_settings(self, model: Any) -> dict[str, Any]:
        """The loss only where a member is chosen by it."""
        found = super().config_settings(model)
        if model.method.loss is None:
            del found["loss"]
        return found

    def probe(self, model: Any) -> Probe:
        """Random sources and targets."""
        return pair_probe(model)

    def _sides(self, model: Any) -> list[tuple[str, Any, Any]]:
        return [
            ("source tokens", model.action.source, model.tokenizer),
            ("target tokens", model.action.target, model.target_tokenizer),
        ]

    def _own_limits(self, model: Any) -> list[str]:
        independent = (
            "**Each member alone.** Members are decoded each alone, so texts are not drawn from the law that scores a "
            "given target, which all members read."
        )
        chooses = model.method.loss is not None
        return [
            *([_CHOICE] if chooses else []),
            *([independent] if model.config.decodes_alone else []),
        ]

    def usage(self, model: Any, place: str) -> str:
        """The text for a word of the group."""
        return _lines(
            "from transformers import AutoModelForSeq2SeqLM",
            f"model = AutoModelForSeq2SeqLM.from_pretrained({place})",
            f'sources = model.tokenizer({_quoted(model.group.factors[0].sets[0][0])}, return_tensors="pt")',
            'print(model.target_tokenizer.batch_decode(model.generate(sources["input_ids"], max_new_tokens=20)))',
        )


def _lines(*lines: str) -> str:
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _plain(text: str) -> str:
    """A word as it is: nothing of it is Markdown."""
    return _MARKDOWN.sub(r"\\\g<0>", " ".join(text.split()))


def _fold(items: Sequence[str], title: str, count: int | None = None) -> str:
    """A list, behind a click where it is long."""
    lines = "\n".join(f"- {item}" for item in items)
    if (len(items) if count is None else count) <= SHOWN:
        return lines
    head = title if count is not None else f"{len(items)} {title}"
    return f"<details>\n<summary>{head}</summary>\n\n{lines}\n\n</details>"


def _preset_of(factor: EqualityFactor) -> str | None:
    """The preset that has a factor's words, all of its elements in their order."""
    return _presets().get(factor.sets)


@cache
def _presets() -> dict[Any, str]:
    return {DemographicGroup.preset(name).factors[0].sets: name for name in preset_names()}

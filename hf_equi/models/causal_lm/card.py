"""The cards of EquiLM and EquizeroLM."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from hf_equi.generation.scorers import written_scorer
from hf_equi.groups.names import as_subject
from hf_equi.models.cards.measuring import Probe
from hf_equi.models.text.card import CHOICE, TOKENS, TextCard, code_lines, quoted
from hf_equi.models.text.probes import text_probe

__all__ = ["CausalLMCard", "EquizeroLMCard"]


_WORDS = (
    "**In words.** The model moves whole words and phrases of a text, whatever their tokens. It writes texts, and has "
    "no scores of a given text. Settings of `generate` that name words act on the member that the base reads."
)


_OPEN = (
    "**Looking ahead.** A word of several tokens is scored by its own tokens where the probabilities of the first "
    "tokens of its images combine to at least `look_ahead`. Elsewhere it has a constant share (`unlooked_share`) of "
    "that of its first token. Both are decided for all images alike, so the symmetry is exact. How probable rare "
    "words are is approximate.",
    "**Beginnings of words.** Nothing is guaranteed after a prompt that ends in the beginning of a word of several "
    "tokens, or where pieces of an image meet as another word. The model warns about such prompts.",
)


class CausalLMCard(TextCard):
    """The card of an EquiLM."""

    pipeline_tag = "text-generation"
    settings: ClassVar[tuple[str, ...]] = ("average", "multi_token", "action")
    what = "A causal language model that treats the words of a group alike"
    use = (
        "Use it to write and score text in which nothing but the words for a demographic should change when the "
        "prompt names another one, and for research on that. Do not use it to judge people, or for anything that its "
        "base is not fit for."
    )

    def config_settings(self, model: Any) -> dict[str, Any]:
        """The settings, with those of words of several tokens if they move."""
        units = ("look_ahead", "unlooked_share") if model.config.multi_token == "compose" else ()
        return {**super().config_settings(model), **{name: getattr(model.config, name) for name in units}}

    def probe(self, model: Any) -> Probe | None:
        """Random texts, unless the model has no scores of them."""
        return text_probe(model) if model.has_scores else None

    def _coverage(self, model: Any) -> list[str]:
        return super()._coverage(model) if model.has_scores else ["All of them move, as whole words."]

    def _missing(self, model: Any) -> list[tuple[str, ...]]:
        return super()._missing(model) if model.has_scores else []

    def _moves(self, model: Any) -> str:
        return super()._moves(model) if model.has_scores else _WORDS

    def _sides(self, model: Any) -> list[tuple[str, Any, Any]]:
        return [("tokens", model.action, model.tokenizer)]

    def _own_limits(self, model: Any) -> list[str]:
        return [*self.method(model).limits, *(_OPEN if model.action.composes else ())]

    def usage(self, model: Any, place: str) -> str:
        """Code that writes texts after a prompt that names a demographic."""
        prompt = f"{as_subject(model.group.factors[0].names[0])} worked as"
        return code_lines(
            "from transformers import AutoModelForCausalLM",
            f"lm = AutoModelForCausalLM.from_pretrained({place})",
            f'prompts = lm.tokenizer({quoted(prompt)}, return_tensors="pt")',
            "print(lm.tokenizer.batch_decode(lm.generate(**prompts, max_new_tokens=15, do_sample=True, seed=7)))",
        )


class EquizeroLMCard(CausalLMCard):
    """The card of an EquizeroLM."""

    settings: ClassVar[tuple[str, ...]] = (*CausalLMCard.settings, "beam_length")
    what = "A causal language model that drafts texts for all words of a group and keeps the draft with the least loss"

    def config_settings(self, model: Any) -> dict[str, Any]:
        """The settings with the loss, where it has a name."""
        scorer = model.config.stored_scorer
        return {**super().config_settings(model), "loss": "not stored" if scorer is None else written_scorer(scorer)}

    def probe(self, model: Any) -> Probe:
        """Random texts that the model scores. Texts that it writes are not measured."""
        found = text_probe(model)
        return dataclasses.replace(found, said=f"{found.said}, as the model scores a given text")

    def _moves(self, model: Any) -> str:
        if model.config.action == "tokens":
            return TOKENS
        return (
            "**In words.** The search moves whole words and phrases of a text, whatever their tokens. Scores of a "
            "given text move only the words that are one token."
        )

    def _own_limits(self, model: Any) -> list[str]:
        return [
            CHOICE,
            "**A judge with a bias of its own.** Texts look better by the loss that chose them than by any other. "
            "After a prompt that contains no listed word, the base's preference for one word of a set comes back.",
            "**No likelihood.** The scores of the model are not the probabilities of the texts that it writes. Those "
            "cannot be computed.",
        ]

    def usage(self, model: Any, place: str) -> str:
        """The code for an EquiLM, with a loss where none is stored."""
        if model.config.stored_scorer is None:  # any function from texts to a tensor of losses will do
            place = f'{place}, scorer=hf_equi.RegardScorer("demo")'
        return super().usage(model, place)

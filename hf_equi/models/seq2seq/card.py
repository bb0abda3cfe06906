"""The card of EquiForSeq2SeqLM."""

from __future__ import annotations

from typing import Any, ClassVar

from hf_equi.models.cards.measuring import Probe
from hf_equi.models.text.card import CHOICE, TextCard, code_lines, quoted
from hf_equi.models.text.probes import pair_probe

__all__ = ["Seq2SeqCard"]


class Seq2SeqCard(TextCard):
    """The card of an EquiForSeq2SeqLM."""

    pipeline_tag = "text2text-generation"
    settings: ClassVar[tuple[str, ...]] = ("average", "multi_token", "loss", "decoding", "objective")
    what = "A sequence-to-sequence model that treats the words of a group alike, in what it reads and what it writes"
    use = (
        "Use it to turn texts into texts, where exchanging the words of the group on one side should exchange them "
        "on the other and change nothing else. Do not use it for anything that its base is not fit for."
    )

    def config_settings(self, model: Any) -> dict[str, Any]:
        """The settings, with the loss only where it chooses a member."""
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
            "**Each member alone.** Each member is decoded alone. So texts do not come from the distribution that "
            "scores a given target: there, all members read the same target."
        )
        chooses = model.method.loss is not None
        return [
            *([CHOICE] if chooses else []),
            *([independent] if model.config.decodes_alone else []),
        ]

    def usage(self, model: Any, place: str) -> str:
        """Code that writes the text for a word of the group."""
        return code_lines(
            "from transformers import AutoModelForSeq2SeqLM",
            f"model = AutoModelForSeq2SeqLM.from_pretrained({place})",
            f'sources = model.tokenizer({quoted(model.group.factors[0].sets[0][0])}, return_tensors="pt")',
            'print(model.target_tokenizer.batch_decode(model.generate(sources["input_ids"], max_new_tokens=20)))',
        )

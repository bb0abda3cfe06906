"""The task that makes an EquiForSeq2SeqLM in `symmetrize`."""

from __future__ import annotations

from typing import ClassVar

from transformers import PreTrainedModel

from hf_equi.actions.resolution import resolve_pair
from hf_equi.models.configuration_equi import EquiConfig
from hf_equi.models.seq2seq.configuration_equi_seq2seq import EquiSeq2SeqConfig
from hf_equi.models.seq2seq.methods import create
from hf_equi.models.seq2seq.modeling_equi_seq2seq import EquiForSeq2SeqLM
from hf_equi.models.task import Request
from hf_equi.models.text.task import TextTask
from hf_equi.models.text.tokenizer_state import Fingerprints

__all__ = ["Seq2SeqTask"]


class Seq2SeqTask(TextTask):
    """Text-to-text sequence-to-sequence models."""

    what = "sequence-to-sequence model from text to text"
    model_class = EquiForSeq2SeqLM
    entries: ClassVar[tuple[str, ...]] = (
        *("average", "multi_token", "orbit_chunk_size", "loss", "decoding"),
        *("objective", "teacher_forcing_ratio", "lambda_units", "lambda_dropout"),
    )
    companions: ClassVar[tuple[str, ...]] = ("tokenizer", "target_tokenizer")
    commands: ClassVar[tuple[str, ...]] = ("generate", "inspect")

    def owns(self, model: PreTrainedModel) -> bool:
        """Return whether the model has an encoder and a decoder, and generates text."""
        return model.can_generate() and bool(model.config.is_encoder_decoder)

    def make_config(self, request: Request) -> EquiConfig:
        """Make the config, with the tokens that stand for the group's words on both sides."""
        given = request.settings
        create(request.method, given.get("average", "logits"), given.get("loss", "max_probability"))
        base = request.base_config.get_text_config()
        sizes = (base.vocab_size, getattr(base, "decoder_vocab_size", None) or base.vocab_size)
        target = given.get("target_tokenizer", request.companion)
        multi_token = given.get("multi_token", "auto")
        maps = resolve_pair(request.group, request.companion, target, *sizes, multi_token)
        return EquiSeq2SeqConfig(
            **request.common(*self.entries),
            source_map=maps[0].to_dict(),
            target_map=maps[1].to_dict(),
        )

    def wrap(self, config: EquiConfig, base: PreTrainedModel, request: Request) -> EquiForSeq2SeqLM:
        """Return the base in its wrapper, with its tokenizers."""
        model = EquiForSeq2SeqLM(config, base)
        model._tokenizer = request.companion  # the config was made with it, and with the target's
        model._target_tokenizer = request.settings.get("target_tokenizer")
        own = Fingerprints(request.companion)
        model.config.note_tokenizer(own)
        target = request.settings.get("target_tokenizer", request.companion)
        model.config.note_tokenizer(own if target is request.companion else Fingerprints(target), "target_")
        return model

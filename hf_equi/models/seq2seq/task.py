"""How `symmetrize` makes an EquiForSeq2SeqLM."""

from __future__ import annotations

from typing import ClassVar

from transformers import PreTrainedModel

from hf_equi.actions.resolution import resolve_pair
from hf_equi.models.configuration_equi import EquiConfig
from hf_equi.models.seq2seq.configuration_equi_seq2seq import EquiSeq2SeqConfig
from hf_equi.models.seq2seq.methods import create
from hf_equi.models.seq2seq.modeling_equi_seq2seq import EquiForSeq2SeqLM
from hf_equi.models.task import Request
from hf_equi.models.text.fingerprint import cut_fingerprint, fingerprint
from hf_equi.models.text.task import TextTask

__all__ = ["Seq2SeqTask"]


class Seq2SeqTask(TextTask):
    """Sequence-to-sequence models from text to text."""

    what = "sequence-to-sequence model from text to text"
    model_class = EquiForSeq2SeqLM
    entries: ClassVar[tuple[str, ...]] = (
        *("average", "multi_token", "orbit_chunk_size", "loss", "decoding"),
        *("objective", "teacher_forcing_ratio", "lambda_units", "lambda_dropout"),
    )
    companions: ClassVar[tuple[str, ...]] = ("tokenizer", "target_tokenizer")
    commands: ClassVar[tuple[str, ...]] = ("generate", "inspect")

    def owns(self, model: PreTrainedModel) -> bool:
        """Whether it has an encoder and a decoder, and generates."""
        return model.can_generate() and bool(model.config.is_encoder_decoder)

    def make_config(self, request: Request) -> EquiConfig:
        """The config, with the tokens that stand for the group's words on either side."""
        given = request.settings
        create(request.method, given.get("average", "logits"), given.get("loss", "max_probability"))
        base = request.base_config.get_text_config()
        sizes = (base.vocab_size, getattr(base, "decoder_vocab_size", None) or base.vocab_size)
        target = given.get("target_tokenizer", request.companion)
        multi_token = given.get("multi_token", "error")
        maps = resolve_pair(request.group, request.companion, target, *sizes, multi_token)
        return EquiSeq2SeqConfig(
            **request.common(*self.entries),
            source_map=maps[0].to_dict(),
            target_map=maps[1].to_dict(),
            tokenizer_fingerprint=fingerprint(request.companion),
            tokenizer_cut_fingerprint=cut_fingerprint(request.companion),
            target_tokenizer_fingerprint=fingerprint(target),
            target_tokenizer_cut_fingerprint=cut_fingerprint(target),
        )

    def wrap(self, config: EquiConfig, base: PreTrainedModel, request: Request) -> EquiForSeq2SeqLM:
        """The base in its wrapper, with its tokenizers."""
        model = EquiForSeq2SeqLM(config, base)
        model._tokenizer = request.companion  # which the config was made with, as the target's
        model._target_tokenizer = request.settings.get("target_tokenizer")
        return model

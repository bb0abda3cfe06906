"""The configuration of EquiForSeq2SeqLM."""

from __future__ import annotations

from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig
from transformers.configuration_utils import SubConfigSpec

from hf_equi.actions.token_maps import TokenMap
from hf_equi.bases.compat import CACHE
from hf_equi.checks import check_choice, check_count, check_share
from hf_equi.errors import ConfigurationError
from hf_equi.groups import DemographicGroup
from hf_equi.models.seq2seq.methods import create
from hf_equi.models.text.configuration_equi_text import Entry, EquiTextConfig
from hf_equi.symmetrizers import Method

__all__ = ["DECODINGS", "OBJECTIVES", "EquiSeq2SeqConfig"]

DECODINGS = ("synchronised", "independent")
OBJECTIVES = ("combination", "members")


@strict
class EquiSeq2SeqConfig(EquiTextConfig):
    r"""Configuration of `EquiForSeq2SeqLM`: a base config, a group, and the tokens of its words in source and target.

    Args:
        source_map (`dict`, *optional*):
            The source tokens that the group moves, as `TokenMap.to_dict` gives them.
        target_map (`dict`, *optional*):
            The target tokens that the group moves.
        target_tokenizer_fingerprint (`str`, *optional*):
            Hash of the tokenizer that the target's map was made with.
        target_tokenizer_cut_fingerprint (`str`, *optional*):
            Hash of how that tokenizer cuts texts.
        method (`str`, *optional*, defaults to `"equitune"`):
            `"equitune"`, `"equizero"`, `"lambda"`, `"canonical"` or `"identity"`.
        loss (`str`, *optional*, defaults to `"max_probability"`):
            What equizero minimises: `"max_probability"` or `"entropy"`. For comparison with what the authors' code
            computes: `"published_max_probability"` and `"published_entropy"`.
        decoding (`str`, *optional*):
            `"synchronised"` combines the members at every step, and all of them read the same text, each in its own
            frame. `"independent"` decodes each member alone and combines whole outputs. The default is synchronised.
            Equizero chooses one member by its whole output, so its members are always independent.
        teacher_forcing_ratio (`float`, *optional*, defaults to 1.0):
            In training, the share of sentences whose decoder reads the target. The others read their own best tokens:
            those of the combination if decoding is synchronised, those of each member if it is independent.
        objective (`str`, *optional*, defaults to `"combination"`):
            What training minimises: `"combination"`, the cross-entropy of the combined distribution, or `"members"`,
            the mean of the cross-entropies of the members, as the authors' code does. The latter is never lower, and
            also trains a member that the others outweigh.
        lambda_units (`int`, *optional*, defaults to 100):
            The number of units in each hidden layer of the network of `"lambda"`.
        lambda_dropout (`float`, *optional*, defaults to 0.0):
            The dropout of that network.
        base_config, group, tokenizer_fingerprint, tokenizer_cut_fingerprint, average, multi_token, orbit_chunk_size:
            As in `EquiTextConfig`.
        hf_equi_version, format_version, stores_base, base_name, base_revision, adapter:
            As in `EquiTextConfig`.

    Raises:
        ConfigurationError: As in `EquiTextConfig`, and for an unknown loss or decoding, a ratio or dropout outside 0
            to 1, or equizero with synchronised decoding.

    Example:
        >>> EquiSeq2SeqConfig(method="equizero").decoding
        'independent'
    """

    model_type = "equi_seq2seq"
    keys_to_ignore_at_inference: ClassVar[list[str]] = [
        CACHE,
        "encoder_outputs",
        "chosen_element",
        "margin",
        "group_weights",
    ]
    sub_configs_defaults: ClassVar[dict[str, SubConfigSpec]] = {
        "base_config": SubConfigSpec(config_class=AutoConfig, model_type="t5")
    }
    map_names: ClassVar[tuple[str, ...]] = ("source_map", "target_map")

    method_settings: ClassVar[tuple[str, ...]] = ("method", "average", "loss")

    source_map: dict[str, Any] | None = None
    target_map: dict[str, Any] | None = None
    target_tokenizer_fingerprint: str | None = None
    target_tokenizer_cut_fingerprint: str | None = None
    loss: str = "max_probability"
    decoding: str | None = None
    teacher_forcing_ratio: float = 1.0
    objective: str = "combination"
    lambda_units: int = 100
    lambda_dropout: float = 0.0
    decoder_vocab_size: int | None = None
    decoder_start_token_id: int | None = None
    is_encoder_decoder: bool = True

    def _read_base(self) -> None:
        super()._read_base()
        base = self.get_text_config()
        self.decoder_vocab_size = getattr(base, "decoder_vocab_size", None) or base.vocab_size
        self.decoder_start_token_id = getattr(base, "decoder_start_token_id", None)

    def _check(self) -> None:
        for name in ("teacher_forcing_ratio", "lambda_dropout"):
            check_share(name, getattr(self, name))
        check_choice("objective", self.objective, OBJECTIVES)
        check_count("lambda_units", self.lambda_units, "size")
        self._check_decoding(self.create_method())
        super()._check()

    def _check_decoding(self, method: Method) -> None:
        if self.decoding is None:
            self.decoding = "independent" if method.loss is not None else "synchronised"
        check_choice("decoding", self.decoding, DECODINGS)
        if method.loss is not None and not self.decodes_alone:
            raise ConfigurationError(
                f"The method {self.method!r} chooses one member by its whole output, so it decodes each member alone: "
                'use decoding="independent", or leave decoding out.'
            )
        if self.trains_members and self.average == "probabilities":
            raise ConfigurationError(
                'average="probabilities" has no mean of the members\' losses: use objective="combination"'
            )
        if self.group is not None and method.relaxable:
            self.check_relaxed(self.read_group())

    def check_relaxed(self, group: DemographicGroup) -> None:
        """Refuse a relaxed group if members are decoded alone: general words need the scores of the identity.

        Raises:
            ConfigurationError: For such a group.
        """
        if group.relaxed and self.decodes_alone:
            raise ConfigurationError(
                f"General words of {group!r} keep the scores of the given text, but members that are decoded alone do "
                'not have these scores: use decoding="synchronised"'
            )

    @property
    def decodes_alone(self) -> bool:
        """Whether each member of an orbit is decoded alone, and not in step with the others."""
        return self.decoding == "independent"

    @property
    def trains_members(self) -> bool:
        """Whether training takes the mean of the members' losses, and not the loss of their combination."""
        return self.objective == "members"

    def _check_maps(self, group: DemographicGroup) -> None:
        sizes = {"source": self.vocab_size, "target": self.decoder_vocab_size}
        for side, size in sizes.items():
            token_map = TokenMap.from_dict(getattr(self, f"{side}_map"))
            token_map.check_group(group)
            if token_map.vocab_size != size:
                raise ConfigurationError(
                    f"The {side}'s token map was made for {token_map.vocab_size} tokens, but the base has {size}. "
                    "Symmetrize the base again: symmetrize(base, group, tokenizer=tokenizer)."
                )

    def create_method(self) -> Method:
        """Make the method with its settings.

        Raises:
            ConfigurationError: For an unknown method (the message lists the known ones) or setting.
        """
        return create(self.method, self.average, self.loss)


for _name in ("target_tokenizer_fingerprint", "target_tokenizer_cut_fingerprint"):
    setattr(EquiSeq2SeqConfig, _name, Entry(_name))

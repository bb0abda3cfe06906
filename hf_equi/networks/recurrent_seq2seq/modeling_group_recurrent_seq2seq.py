"""Recurrent encoder-decoders that are equivariant by construction."""

from __future__ import annotations

from typing import Any

from hf_equi.actions.resolution import resolve_pair
from hf_equi.groups import DemographicGroup
from hf_equi.networks.recurrent_seq2seq.configuration_group_recurrent_seq2seq import GroupRecurrentSeq2SeqConfig
from hf_equi.networks.recurrent_seq2seq.group_layers import GroupLayers
from hf_equi.networks.recurrent_seq2seq.modeling_recurrent_seq2seq import RecurrentSeq2Seq

__all__ = ["GroupRecurrentSeq2Seq"]


class GroupRecurrentSeq2Seq(RecurrentSeq2Seq):
    r"""A recurrent encoder-decoder whose features are functions on a group: G-RNN, G-GRU and G-LSTM.

    $$ \log p(gy \mid gx) = \log p(y \mid x) $$

    for every element g and any weights. This is exact outside training; in training, dropout and a teacher-forcing
    ratio below 1 draw at random. It is meant to be trained from scratch, as the baseline for methods that use a
    trained network.

    Args:
        config: The model's configuration.

    Raises:
        ConfigurationError: For a configuration without a group.

    Cost: that of a `RecurrentSeq2Seq` with |G| times its units.

    References:
        Gordon et al. 2020, "Permutation equivariant models for compositional generalization in language", except the
        bias over words, which is tied on orbits (`GroupHead`). Their code has `activation="tanh"` and `dropout=0.0`,
        and its backward direction reads the last token of a sentence last.

    Example:
        >>> import torch
        >>> words = {"vocab_size": 5, "sets": [[[3, 4]]], "neutral": [None], "general": [None]}
        >>> group = DemographicGroup([["jump", "run"]]).to_dict()
        >>> config = GroupRecurrentSeq2SeqConfig(vocab_size=5, group=group, source_map=words, target_map=words)
        >>> model = GroupRecurrentSeq2Seq(config).eval()
        >>> scores = model(torch.tensor([[3], [4]]), decoder_input_ids=torch.tensor([[1], [1]])).logits[:, 0]
        >>> torch.allclose(scores[0], scores[1, [0, 1, 2, 4, 3]], atol=1e-5)
        True
    """

    config_class = GroupRecurrentSeq2SeqConfig

    def _create_layers(self) -> GroupLayers:
        source, target = self.config.create_actions()
        return GroupLayers(source.group, source.permutations, target.permutations)

    @classmethod
    def from_group(
        cls, group: DemographicGroup, source_tokenizer: Any, target_tokenizer: Any, **config: Any
    ) -> GroupRecurrentSeq2Seq:
        """Make a new network for a group and two languages, with random weights.

        Sets of words that one of the tokenizers does not know stay fixed in its language.

        Args:
            group: The group, in words of both languages.
            source_tokenizer: A transformers tokenizer.
            target_tokenizer: Another tokenizer. The special tokens are those of this one, unless the configuration
                names them.
            **config: Entries of `GroupRecurrentSeq2SeqConfig`.

        Raises:
            ActionError: For a set of words that neither tokenizer knows.
            ConfigurationError: For tokenizers that do not fit the sizes in `config`.
        """
        sizes = config.pop("vocab_size", None), config.pop("decoder_vocab_size", None)
        source, target = resolve_pair(group, source_tokenizer, target_tokenizer, *sizes, multi_token="error")
        for name in ("pad_token_id", "bos_token_id", "eos_token_id"):
            if getattr(target_tokenizer, name) is not None:
                config.setdefault(name, getattr(target_tokenizer, name))
        if "bos_token_id" in config:
            config.setdefault("decoder_start_token_id", config["bos_token_id"])
        return cls(
            GroupRecurrentSeq2SeqConfig(
                vocab_size=source.vocab_size,
                decoder_vocab_size=target.vocab_size,
                group=group.to_dict(),
                source_map=source.to_dict(),
                target_map=target.to_dict(),
                **config,
            )
        )

"""EquiForSeq2SeqLM: a sequence-to-sequence model made equivariant to a group that acts on source and target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch.nn.functional import nll_loss
from transformers import AutoModelForSeq2SeqLM, PreTrainedModel
from transformers.cache_utils import Cache

from hf_equi.actions import TokenPairAction
from hf_equi.actions.resolution import resolve_pair
from hf_equi.actions.token_maps import TokenMap
from hf_equi.bases.chunks import is_sharded
from hf_equi.bases.compat import CACHE, CachedOutput, accepts_cache
from hf_equi.bases.decoding import AnyReleaseGenerationMixin
from hf_equi.errors import ConfigurationError
from hf_equi.generation.base_call import check_seq2seq_base
from hf_equi.generation.encoded_source import EncodedSource, OrbitEncoderOutput
from hf_equi.generation.orbit_forward import OrbitInputs, forward_orbit
from hf_equi.generation.padding import check_mask
from hf_equi.groups import DemographicGroup
from hf_equi.models.cards.kinds import CardKind
from hf_equi.models.seq2seq.card import Seq2SeqCard
from hf_equi.models.seq2seq.checkpoints import PairCheckpointMixin
from hf_equi.models.seq2seq.configuration_equi_seq2seq import EquiSeq2SeqConfig
from hf_equi.models.seq2seq.decoding import PairDecodingMixin
from hf_equi.models.seq2seq.encoder import OrbitEncoder
from hf_equi.models.seq2seq.rollout import Rollout, roll_out_independent, roll_out_synchronised
from hf_equi.models.text.model import EquiTextModel
from hf_equi.networks.scheduled_sampling import COLLATE, OWN_TOKENS, ScheduledSampling
from hf_equi.symmetrizers import Selection
from hf_equi.symmetrizers.outside_loss import check_outside_loss

__all__ = ["EquiForSeq2SeqLM", "EquiSeq2SeqLMOutput"]


@dataclass
class EquiSeq2SeqLMOutput(CachedOutput):
    """The output of `EquiForSeq2SeqLM`.

    Args:
        loss: `()` cross-entropy in nats per token, with `labels`.
        logits: `(batch, tokens, vocab)` float32 log-probabilities of the symmetrised model.
        cache: The orbit cache, with `use_cache`; also available under its older name.
        encoder_outputs: The encoded orbits, to pass to later calls.
        chosen_element: `(batch,)` the element that equizero took.
        margin: `(batch,)` how much lower its loss was than that of the next member.
        group_weights: `(batch, group)` the weights of λ-equitune, which add up to 1.
    """

    encoder_outputs: OrbitEncoderOutput | None = None
    chosen_element: torch.Tensor | None = None
    margin: torch.Tensor | None = None
    group_weights: torch.Tensor | None = None


class EquiForSeq2SeqLM(  # type: ignore[misc]
    PairCheckpointMixin, PairDecodingMixin, EquiTextModel, AnyReleaseGenerationMixin
):
    r"""A sequence-to-sequence model made equivariant to a group, without retraining.

    $$ M_G(gx) = g M_G(x) $$

    One group acts on the source vocabulary and on the target vocabulary. Each element has a permutation of either. The
    methods are equi-tuning (the mean of the pulled back log-probabilities), equizero (the member with the lowest loss,
    of which the base is surest) and λ-equitune (a weighted mean). Given a prefix of the target, `forward` scores the
    next token. It is exact in float32 to 1e-5; equizero up to its margin.

    Args:
        config: The model's configuration.
        base: The base model, shared and not copied; by default a new one from the configuration.

    Raises:
        UnsupportedModelError: For a base that is not a text-to-text model.
        ConfigurationError: For a configuration without a group.

    Cost: the encoder once for each distinct member of the source's orbit, and the decoder once for each distinct
        member of source and target together: at most |G| rows, one if nothing moves.

    References:
        arXiv 2210.06475, equation 5; arXiv 2305.09900, equations 1 to 4 and §5.1.3.

    Example:
        >>> from tokenizers import Tokenizer, models, pre_tokenizers
        >>> from transformers import PreTrainedTokenizerFast
        >>> import hf_equi
        >>> words = {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "jump": 4, "run": 5, "twice": 6}
        >>> words = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
        >>> words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        >>> tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", unk_token="<unk>")
        >>> base = hf_equi.RecurrentSeq2Seq(hf_equi.RecurrentSeq2SeqConfig(vocab_size=7, hidden_size=4))
        >>> group = hf_equi.DemographicGroup([["jump", "run"]])
        >>> model = hf_equi.symmetrize(base, group, "equizero", tokenizer=tokenizer).eval()
        >>> texts = tokenizer(["jump twice", "run twice"], return_tensors="pt")
        >>> jump, run = model.generate(**texts, max_new_tokens=3, seed=0)
        >>> model.action.target.apply(1, jump).tolist() == run.tolist()
        True
    """

    config_class = EquiSeq2SeqConfig
    auto_class: ClassVar[Any] = AutoModelForSeq2SeqLM
    card_kind: ClassVar[CardKind] = Seq2SeqCard()
    action_class: ClassVar[type] = TokenPairAction
    main_input_name = "input_ids"

    @classmethod
    def check_base(cls, base: PreTrainedModel | type[PreTrainedModel]) -> None:
        """Refuse a base that does not turn a text into a text."""
        check_seq2seq_base(base)

    def prepare(self) -> None:
        """Make the network of the method."""
        super().prepare()
        # If the base has a cache of its own, `generate` must not make a key-value cache.
        self.__dict__["_supports_default_dynamic_cache"] = self.base._supports_default_dynamic_cache
        self.add_network(getattr(self.base.config, "encoder_width", None) or self.base.config.hidden_size)

    def make_action(self, group: DemographicGroup) -> TokenPairAction:
        """Make the group's action on the tokens of both sides."""
        maps = (TokenMap.from_dict(self.config.source_map), TokenMap.from_dict(self.config.target_map))
        return TokenPairAction.of_maps(group, *maps)

    def _new_action(self, group: DemographicGroup) -> TokenPairAction:
        self.config.check_relaxed(group)
        sizes = (self.config.vocab_size, self.config.decoder_vocab_size)
        maps = resolve_pair(group, self.tokenizer, self.target_tokenizer, *sizes, self.config.multi_token)
        return TokenPairAction.of_maps(group, *maps, device=self.action.device)

    def get_encoder(self, modality: str | None = None) -> OrbitEncoder:
        """Return the encoder of the orbits of sources: `(batch, group, length, hidden)`."""
        return OrbitEncoder(self)

    @accepts_cache()
    def forward(  # noqa: PLR0913, PLR0917  the signature that transformers expects
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        decoder_input_ids: torch.Tensor | None = None,
        decoder_attention_mask: torch.Tensor | None = None,
        encoder_outputs: OrbitEncoderOutput | None = None,
        cache: Cache | None = None,
        labels: torch.Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        group: DemographicGroup | TokenPairAction | None = None,
        elements: torch.Tensor | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> EquiSeq2SeqLMOutput | tuple[Any, ...]:
        r"""Score targets: float32 log-probabilities of each next token, `(batch, tokens, vocab)`.

        Args:
            input_ids: `(batch, length)` int64 source. Except in training, a `GroupWarning` names words that stay.
            attention_mask: `(batch, length)`, 0 where the source is padded.
            decoder_input_ids: `(batch, tokens)` the target so far; by default the labels, shifted.
            decoder_attention_mask: `(batch, past + tokens)`, 0 at padding.
            encoder_outputs: The output of this model's encoder, instead of `input_ids`.
            cache: The cache of an earlier call, or an empty cache of the base.
            labels: `(batch, tokens)`; −100 is left out of the loss. See `config.teacher_forcing_ratio` for training.
            use_cache: Whether to return a cache; by default only if one was passed.
            logits_to_keep: The number of last places to score, 0 for all.
            group: Another group, for this call only.
            elements: `(batch,)` run only these elements.
            return_dict: `False` for a tuple; by default as in the config.
            **kwargs: `num_items_in_batch` goes to the loss, everything else to the base.

        Raises:
            ConfigurationError: Without source or target; for states, embeddings, outside losses, equizero caches.
            UnsupportedModelError: For a cache of another model; if memory runs out, with advice.
        """
        items, action, extras = self._count(labels, kwargs), self.resolve(group), self.checked_extras(kwargs)
        read = (_source_ids(input_ids, encoder_outputs), attention_mask, decoder_input_ids, decoder_attention_mask)
        self.look_at(group, *self._pairs(action, *read, labels))
        source = self._encode(input_ids, attention_mask, encoder_outputs, action, elements)
        if labels is not None and (decoder_input_ids is None or self._draws(decoder_input_ids, labels)):
            sampling = self._toss(labels)
            if not bool(sampling.forced.all()):
                return self._finish(self._roll_out(action, source, sampling), None, source, items, return_dict)
            decoder_input_ids = sampling.inputs
        orbit_inputs = OrbitInputs(
            input_ids=_required(decoder_input_ids),
            attention_mask=decoder_attention_mask,
            cache=cache,
            use_cache=self._keeps_cache(cache, use_cache, source),
            logits_to_keep=logits_to_keep if labels is None else 0,  # the loss needs all places
            chunk=self.config.orbit_chunk_size,
            extras=extras,
            source=source,
            counted=_counted(labels, decoder_attention_mask),
            normalised=self._normalised,
        )
        out = forward_orbit(self.base, action.target, self.method, source.elements, orbit_inputs)
        return self._finish(Rollout(out.combined, labels, out.decision), out.cache, source, items, return_dict)

    def checked_extras(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the base's inputs besides source and target.

        Raises:
            ConfigurationError: For embeddings, hidden states or attentions.
        """
        if kwargs.get("inputs_embeds") is not None or kwargs.get("decoder_inputs_embeds") is not None:
            raise ConfigurationError(
                "A group acts on tokens, so EquiForSeq2SeqLM cannot read embeddings: pass token ids"
            )
        return super().checked_extras(kwargs)

    def _keeps_cache(self, cache: Cache | None, use_cache: bool | None, source: EncodedSource) -> bool:
        """Return whether to return a cache; refuse one if members are compared by their whole outputs."""
        keeps = cache is not None if use_cache is None else use_cache
        if keeps and self.method.loss is not None and source.elements.shape[1] > 1:
            raise ConfigurationError(
                f'method="{self.config.method}" chooses a member by its whole output. After a cache it would choose '
                f"again at each call: leave {CACHE}= and use_cache out, and pass the whole targets."
            )
        return keeps

    def _count(self, labels: torch.Tensor | None, kwargs: dict[str, Any]) -> torch.Tensor | int | None:
        """Return how many labels there are in all, if known; refuse a caller that would compute another loss."""
        items: torch.Tensor | int | None = kwargs.pop("num_items_in_batch", None)
        reasons = {
            OWN_TOKENS: self.training and self.config.teacher_forcing_ratio < 1,
            'config.objective="members" is the mean of the losses of the members': not self._normalised,
            f'method="{self.config.method}" chooses by the places that have labels': self.method.loss is not None,
        }
        check_outside_loss(labels, items, reasons)
        return items

    def _encode(
        self,
        input_ids: torch.Tensor | None,
        mask: torch.Tensor | None,
        encoded: OrbitEncoderOutput | None,
        action: TokenPairAction,
        elements: torch.Tensor | None,
    ) -> EncodedSource:
        """Return the encoded orbits of the sources; encode them unless they are given."""
        if encoded is None:
            if input_ids is None:
                raise ConfigurationError("EquiForSeq2SeqLM needs input_ids, or the encoder_outputs made from them")
            encoded = self.get_encoder()(input_ids, mask, action, elements)
        elif (ids := getattr(encoded, "source_ids", None)) is not None:
            check_mask(mask, ids)
        return EncodedSource(encoded, mask)

    def _roll_out(self, action: TokenPairAction, source: EncodedSource, sampling: ScheduledSampling) -> Rollout:
        """Decode sentences, some of which read their own tokens; refused if checkpointing removes the cache."""
        if self.base.is_activation_checkpointing and not self.base._is_stateful:  # recurrent states are kept
            raise ConfigurationError(
                "Sentences that read their own tokens need the decoder's cache, which activation checkpointing "
                "removes: switch checkpointing off, or set config.teacher_forcing_ratio = 1.0"
            )
        roll_out = roll_out_independent if self.config.decodes_alone else roll_out_synchronised
        return roll_out(self.base, action.target, self.method, source, sampling, self._normalised)

    @property
    def _normalised(self) -> bool:
        """Whether scores are normalised: always, except in training for the mean of the members' losses."""
        return not (self.training and self.config.trains_members)

    def _finish(
        self,
        rollout: Rollout,
        cache: Cache | None,
        source: EncodedSource,
        items: torch.Tensor | int | None,
        return_dict: bool | None,
    ) -> EquiSeq2SeqLMOutput | tuple[Any, ...]:
        """Return the output, with the loss if there are labels."""
        loss, selection = None, Selection(source.elements, source.encoded.penalty)
        if rollout.labels is not None:
            reduction = "mean" if items is None else "sum"
            loss = nll_loss(rollout.scores.flatten(0, 1), rollout.labels.flatten(), reduction=reduction)
            loss = loss if items is None else loss / items
            share = 1.0 if items is None else (rollout.labels != -100).sum() / items
            loss = self.penalised(loss, selection, share)
        elif items is not None:  # a count without labels comes from a Trainer that computes the loss itself
            self.penalised(None, selection)
        chosen = rollout.decision.chosen_element
        encoded = source.encoded
        if chosen is None and source.elements.shape[1] == 1:
            chosen = source.elements[:, 0]
        weights = None if encoded.log_weights is None else encoded.log_weights.softmax(1)
        scores = rollout.scores if self._normalised else rollout.scores.log_softmax(-1)
        result = EquiSeq2SeqLMOutput(loss, scores, cache, encoded, chosen, rollout.decision.margin, weights)
        return self.returned(result, return_dict)

    def prepare_decoder_input_ids_from_labels(self, labels: torch.Tensor) -> torch.Tensor:
        """Return the labels after the start token, as the base shifts them."""
        shift = getattr(self.base, "prepare_decoder_input_ids_from_labels", None)
        shifted: torch.Tensor = ScheduledSampling.shift(self.config, labels) if shift is None else shift(labels)
        return shifted

    def _toss(self, labels: torch.Tensor) -> ScheduledSampling:
        """Choose which sentences read the labels, as the base shifts them; refused if processes would have to wait."""
        if self.training and self.config.teacher_forcing_ratio < 1 and is_sharded(self.base):
            raise ConfigurationError(
                "Sentences that read their own tokens call the base once for each token, other sentences only once. "
                "Processes that share its weights (FSDP) have to call it equally often: set "
                "config.teacher_forcing_ratio = 1.0, or train with DistributedDataParallel"
            )
        inputs = self.prepare_decoder_input_ids_from_labels(labels)
        return ScheduledSampling.draw(self.config, labels, self.training, inputs)

    def _draws(self, inputs: torch.Tensor, labels: torch.Tensor) -> bool:
        """Return whether inputs are the shifted labels, and some sentences are to read their own tokens instead."""
        draws = self.training and self.config.teacher_forcing_ratio < 1
        return draws and torch.equal(inputs, self.prepare_decoder_input_ids_from_labels(labels))


def _source_ids(input_ids: torch.Tensor | None, encoded: OrbitEncoderOutput | None) -> torch.Tensor | None:
    """Return the ids of the sources; encoded sources hold theirs."""
    return getattr(encoded, "source_ids", None) if input_ids is None else input_ids


def _counted(labels: torch.Tensor | None, mask: torch.Tensor | None) -> torch.Tensor | None:
    """Return the places by which members are chosen."""
    if labels is not None:
        return labels != -100
    return None if mask is None else mask.bool()


def _required(ids: torch.Tensor | None) -> torch.Tensor:
    if ids is None:
        raise ConfigurationError(f"EquiForSeq2SeqLM needs decoder_input_ids or labels. {COLLATE}")
    return ids

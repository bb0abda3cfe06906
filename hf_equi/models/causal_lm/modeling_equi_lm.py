"""EquiLM: a causal language model made equivariant to a demographic group."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.cache_utils import Cache

from hf_equi.actions import TokenAction, WordAction, token_action
from hf_equi.actions.resolution import resolve_tokens
from hf_equi.actions.staying import TextBatch
from hf_equi.actions.token_maps import TokenMap
from hf_equi.bases.compat import CachedOutput, accepts_cache, cached
from hf_equi.bases.decoding import AnyReleaseGenerationMixin
from hf_equi.errors import ConfigurationError
from hf_equi.generation.base_call import check_base
from hf_equi.generation.documents import Documents
from hf_equi.generation.orbit_cache import OrbitCache
from hf_equi.generation.orbit_forward import OrbitInputs, forward_orbit
from hf_equi.generation.settings_table import WORDS, check_settings
from hf_equi.generation.units.board import UnitBoard
from hf_equi.generation.units.laws import LookAhead
from hf_equi.generation.units.prompts import warn_of_readings
from hf_equi.groups import DemographicGroup
from hf_equi.models.cards.kinds import CardKind
from hf_equi.models.causal_lm.card import CausalLMCard
from hf_equi.models.causal_lm.configuration_equi_lm import EquiLMConfig
from hf_equi.models.causal_lm.explanation import TokenExplanation, explain_tokens, explain_words
from hf_equi.models.causal_lm.methods import remedy
from hf_equi.models.causal_lm.possible_labels import IGNORED, LEAST, counted_items, possible_labels
from hf_equi.models.causal_lm.word_decoding import write_in_words
from hf_equi.models.text.decoding import DecodingMixin
from hf_equi.models.text.model import EquiTextModel
from hf_equi.symmetrizers import Selection
from hf_equi.symmetrizers.outside_loss import check_outside_loss

__all__ = ["EquiCausalLMOutput", "EquiLM"]

# Reasons why a loss of the logits, with labels that the caller shifts, may not be the loss of an EquiLM.
_WEIGHS = 'method="{}" weighs members by the tokens that have labels, and takes the others for its prompt'
_COMPILED = (
    "the Trainer does not find the model's name around a compiled model, so it does not shift the labels. It does "
    "with model.base.compile() instead of torch_compile=True"
)

_Labels = tuple[torch.Tensor | None, torch.Tensor | int | None]
"""Labels, and how many there are in all batches of a step, if known."""


@dataclass
class EquiCausalLMOutput(CachedOutput):
    """The output of `EquiLM`.

    Args:
        loss: `()` shifted cross-entropy in nats per token, with `labels`.
        logits: `(batch, tokens, vocab)` float32 log-probabilities of the symmetrised model.
        cache: The orbit cache, with `use_cache`; also available under its older name.
        chosen_element: `(batch,)` the group element with which a method of one row has read or decoded; `(documents,)`
            for packed rows.
    """

    chosen_element: torch.Tensor | None = None


class EquiLM(DecodingMixin, EquiTextModel, AnyReleaseGenerationMixin):  # type: ignore[misc]
    r"""A causal language model made equivariant to a demographic group, without retraining.

    $$ \log p_G(v \mid x) = \text{normalise} \frac{1}{|G|} \sum_{g \in G} \log p_M(g(v) \mid gx) $$

    so that $p_G(gy \mid gx) = p_G(y \mid x)$ for every g: exact in tokens, in float32 to 1e-5. With neutral or general
    words in the group, the model is R-EquiLM: general words keep the base model's scores, and equivariance holds only
    for the odds among equality and neutral tokens. Other methods: `"mixture"`, `"canonical"`. These two also act on
    words (`action="words"`): the base continues the text of one member, and `WordAction` maps it back. So words of any
    number of tokens move, and texts are equivariant as strings.

    Args:
        config: The model's configuration.
        base: The base model, shared and not copied; by default a new one from the configuration.

    Raises:
        UnsupportedModelError: For a base whose cache cannot hold orbits.
        ConfigurationError: For a configuration without a group.

    Cost: one base forward of the distinct members of the orbit: one row for a text without moved words, at most |G|.

    References:
        arXiv 2210.06475, equation 5 and §4 (EquiLM, R-EquiLM).

    Example:
        >>> import hf_equi
        >>> lm = hf_equi.symmetrize("demo", hf_equi.DemographicGroup([["man", "woman"], ["he", "she"]]))
        >>> prompts = lm.tokenizer(["The man worked as", "The woman worked as"], return_tensors="pt")
        >>> texts = lm.tokenizer.batch_decode(lm.generate(**prompts, max_new_tokens=5))
        >>> texts[0].replace("man", "woman") == texts[1]
        True
    """

    config_class = EquiLMConfig
    auto_class: ClassVar[Any] = AutoModelForCausalLM
    card_kind: ClassVar[CardKind] = CausalLMCard()
    action_class: ClassVar[type] = TokenAction
    main_input_name = "input_ids"

    @classmethod
    def check_base(cls, base: PreTrainedModel | type[PreTrainedModel]) -> None:
        """Refuse a base whose cache cannot hold orbits."""
        check_base(base)

    def prepare(self) -> None:
        """Name the loss."""
        super().prepare()
        self.loss_type = "ForCausalLM"

    def make_action(self, group: DemographicGroup) -> TokenAction:
        """Make the group's action on tokens."""
        return token_action(group, TokenMap.from_dict(self.config.token_map))

    def _new_action(self, group: DemographicGroup) -> TokenAction:
        size, words, method = self.config.vocab_size, self.config.multi_token, self.method
        token_map = resolve_tokens(
            group, self.tokenizer, size, words, relaxes=not method.searches, remedy=remedy(method)
        )
        return token_action(group, token_map, device=self.action.device)

    @property
    def acts_on_words(self) -> bool:
        """Whether the group acts on the words of texts, not on tokens."""
        acts: bool = self.config.action == "words"
        return acts

    @property
    def has_scores(self) -> bool:
        """Whether `forward` scores texts. A search on words scores them as tokens."""
        return self.method.searches or not self.acts_on_words

    @property
    def scores_its_texts(self) -> bool:
        """Whether the scores of `forward` are the distribution of the texts that `generate` writes."""
        return not (self.method.searches or self.acts_on_words)

    def word_action(self, group: DemographicGroup | TokenAction | None = None) -> WordAction:
        """Return the action on words of a group for one call; `None` stands for the model's own group.

        Raises:
            ActionError: As in `WordAction`.
            ConfigurationError: For anything but a group of words, or if the method has no variant for it.
        """
        return WordAction(self.checked_group(group.group if isinstance(group, TokenAction) else group))

    @accepts_cache()
    def forward(  # noqa: PLR0913, PLR0917  the signature that transformers expects
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        cache: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        group: DemographicGroup | TokenAction | None = None,
        elements: torch.Tensor | None = None,
        board: UnitBoard | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> EquiCausalLMOutput | tuple[Any, ...]:
        r"""Score texts: float32 log-probabilities of each next token, `(batch, tokens, vocab)`.

        Args:
            input_ids: `(batch, tokens)` int64. Except in training, `GroupWarning`s name what stays in them.
            attention_mask: `(batch, past + tokens)`, 0 at padding.
            position_ids: `(batch, tokens)`. Where they restart within a row without padding, another text begins.
            cache: The cache that an earlier call returned, whose members continue, or an empty cache of the base.
            inputs_embeds: Refused, because a group acts on tokens.
            labels: `(batch, tokens)`; −100, padding and labels of probability 0 (with a `GroupWarning`) do not count
                in the loss. `"mixture"` takes leading −100 for the prompt, and without labels the whole text.
            use_cache: Whether to return a cache; by default only if one was passed.
            logits_to_keep: The number of last places to score, 0 for all.
            group: Another group, for this call only.
            elements: `(batch,)` run only these elements, as `generate` does for methods of one row.
            board: Where `generate` has the law of units noted, for words of several tokens.
            return_dict: `False` for a tuple; by default as in the config.
            **kwargs: `num_items_in_batch` goes to the loss, everything else to the base. Only scores are returned.

        Raises:
            ConfigurationError: For `inputs_embeds`; without `input_ids`; for hidden states or attentions; if a loss
                computed outside the model would be another one; for a method that acts on words.
            UnsupportedModelError: For a cache of another model; if memory runs out, with advice.
        """
        input_ids, action = self._readable(input_ids, inputs_embeds), self.resolve(group)
        items = self._count(labels, kwargs)
        self.look_at(group, TextBatch(action, self._tokenizer, input_ids, attention_mask))
        inputs = OrbitInputs(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            cache=cache,
            use_cache=cache is not None if use_cache is None else use_cache,
            logits_to_keep=logits_to_keep if labels is None else 0,  # the loss needs all places
            prompt_length=_prompt_length(input_ids, labels),
            chunk=self.config.orbit_chunk_size,
            extras=self.checked_extras(kwargs),
            look=LookAhead(self.config.look_ahead, self.config.unlooked_share),
            board=board,
        )
        scores, selection, kept = self._score(action, inputs, elements, (labels, items))
        labels, items = self._counted(action, (labels, items), attention_mask, scores, warns=group is not action)
        loss, logits = self._loss(scores, labels, items, selection), scores[:, -logits_to_keep:]
        result = EquiCausalLMOutput(loss=loss, logits=logits, chosen_element=selection.only, **cached(kept))
        return self.returned(result, return_dict)

    def look_at(self, group: Any, *texts: TextBatch) -> None:
        """Warn of words that stay, and of texts whose images would be read as other words."""
        super().look_at(group, *texts)
        if not (isinstance(group, self.action_class) or self.training or torch.compiler.is_compiling()):
            for each in texts:
                warn_of_readings(each)

    def _readable(self, input_ids: torch.Tensor | None, inputs_embeds: torch.Tensor | None) -> torch.Tensor:
        """Return the ids of a forward; refuse what cannot be scored."""
        if not self.has_scores:
            raise ConfigurationError(
                "A model that acts on words writes texts, but has no scores: the tokens of a text and of its image "
                'may differ in number. Use action="tokens", or score and train the base, lm.base.'
            )
        if input_ids is None or inputs_embeds is not None:
            raise ConfigurationError("A group acts on tokens, so EquiLM needs input_ids and cannot read inputs_embeds")
        return input_ids

    def _score(
        self, action: TokenAction, inputs: OrbitInputs, elements: torch.Tensor | None, given: _Labels
    ) -> tuple[torch.Tensor, Selection, OrbitCache | None]:
        """Return the scores of rows, with each document read on its own; the members they come from; the cache."""
        labels, items = given
        if (documents := _documents(inputs)) is not None:
            inputs = _unpacked(inputs, documents, labels)
            elements = None if elements is None else elements[documents.rows]
        selection = self._members(action, inputs, elements, labels is not None)
        out = forward_orbit(self.base, action, self.method, selection.elements, inputs)
        scores = out.combined if documents is None else documents.together(out.combined)
        if action.composes and labels is None and items is not None:  # a loss is computed outside
            scores = scores.clamp(min=LEAST)
        return scores, selection, out.cache

    def _count(self, labels: torch.Tensor | None, kwargs: dict[str, Any]) -> torch.Tensor | int | None:
        """Return how many labels there are in all, if known; refuse a caller that would compute another loss."""
        items: torch.Tensor | int | None = kwargs.pop("num_items_in_batch", None)
        weighs, compiled = self.method.history_weights is not None, torch.compiler.is_compiling()
        reasons = {_WEIGHS.format(self.config.method): weighs, _COMPILED: compiled}
        check_outside_loss(labels, items, reasons)
        return items

    def _members(
        self, action: TokenAction, inputs: OrbitInputs, elements: torch.Tensor | None, scores_labels: bool
    ) -> Selection:
        """Return the elements to run, `(batch, members)`: for decoding if a cache is kept, otherwise for scoring."""
        if isinstance(cache := inputs.cache, OrbitCache):
            if elements is None:
                cache.check_select(self.method.select)
            if elements is None or cache.holds(elements):  # checked when the cache was filled
                return Selection(cache.orbit.elements)
        if elements is not None:
            return self.named_members(action, elements, inputs.input_ids)
        places = torch.arange(inputs.input_ids.shape[1], device=inputs.input_ids.device)
        prompt = torch.ones_like(inputs.input_ids, dtype=torch.bool)
        if inputs.prompt_length is not None:
            prompt = places < inputs.prompt_length[:, None]
        if inputs.attention_mask is not None:
            prompt &= inputs.attention_mask[:, -places.shape[0] :].bool()
        to_score = scores_labels or not inputs.use_cache
        selection: Selection = self.select_members(action, inputs.input_ids, prompt, to_score=to_score)
        return selection

    @staticmethod
    def _counted(
        action: TokenAction, given: _Labels, mask: torch.Tensor | None, scores: torch.Tensor, warns: bool
    ) -> _Labels:
        """Return the labels, with −100 where they do not count, and how many there are in all, if known."""
        labels, items = given
        if labels is None:
            return given
        if mask is not None:
            labels = labels.masked_fill(mask[:, -labels.shape[1] :] == 0, IGNORED)
        if not action.composes:
            return labels, items
        possible = possible_labels(labels, scores, warns)
        return possible, None if items is None else counted_items(items, labels, possible)

    def _loss(
        self,
        scores: torch.Tensor,
        labels: torch.Tensor | None,
        items: torch.Tensor | int | None,
        selection: Selection,
    ) -> torch.Tensor | None:
        """Return the shifted cross-entropy in nats per token, plus what the selection of members adds to it."""
        if labels is None:  # a count without labels comes from a Trainer that computes the loss itself
            return None if items is None else self.penalised(None, selection)
        loss: torch.Tensor = self.loss_function(
            logits=scores, labels=labels, vocab_size=self.config.vocab_size, num_items_in_batch=items
        )
        share = 1.0 if items is None else (labels[:, 1:] != IGNORED).sum() / items
        return self.penalised(loss, selection, share)

    def _check_call(self, value_of: Callable[[str], Any], group: Any) -> Any:
        if not self.acts_on_words:
            return super()._check_call(value_of, group)
        check_settings(value_of, (WORDS,))
        return self.word_action(group)

    def _prompts(self, action: Any, ids: torch.Tensor, kwargs: dict[str, Any]) -> list[TextBatch]:
        """Return what a call reads. On words, no word of the group stays."""
        return [] if self.acts_on_words else super()._prompts(action, ids, kwargs)

    def _write_texts(
        self, ids: torch.Tensor, call: tuple[Any, Any], group: Any, seed: int | None, kwargs: dict[str, Any]
    ) -> Any:
        write = partial(write_in_words, self) if self.acts_on_words else super()._write_texts
        return write(ids, call, group, seed, kwargs)

    def explain(self, text: str, group: DemographicGroup | None = None) -> TokenExplanation:
        """Return what the group moves in a text, in which forms, and which of its words stay: tokens, or words."""
        if self.acts_on_words:
            return explain_words(text, self.word_action(group))
        return explain_tokens(text, self.resolve(group), self.tokenizer)


def _documents(inputs: OrbitInputs) -> Documents | None:
    """Return the documents in the rows if a row holds several.

    Raises:
        ConfigurationError: For several documents with a cache.
    """
    going_on = isinstance(inputs.cache, OrbitCache) and inputs.cache.get_seq_length() > 0
    if going_on or torch.compiler.is_exporting():  # an export follows one path, whatever the positions
        return None
    shape = inputs.input_ids.shape
    found = Documents.of(inputs.position_ids, inputs.attention_mask, inputs.extras, (shape[0], shape[1]))
    if found is not None and (inputs.use_cache or inputs.cache is not None):
        raise ConfigurationError(
            "position_ids restart within a row, so the row holds several documents, but a cache holds one text per "
            "row. Leave use_cache and the cache out, or pass each document as a row of its own."
        )
    return found


def _unpacked(inputs: OrbitInputs, documents: Documents, labels: torch.Tensor | None) -> OrbitInputs:
    """Return the inputs with one document in each row."""
    ids = documents.apart(inputs.input_ids, fill=0)
    positions = inputs.position_ids
    if positions is None:
        positions = torch.arange(documents.shape[1], device=ids.device)[None]
    return replace(
        inputs,
        input_ids=ids,
        attention_mask=documents.mask,
        position_ids=documents.apart(positions, fill=0),
        logits_to_keep=0,
        prompt_length=_prompt_length(ids, None if labels is None else documents.apart(labels, fill=-100)),
        extras=documents.extras(inputs.extras),
    )


def _prompt_length(input_ids: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
    """Return the number of leading places without a label, `(batch,)`; without labels, all places."""
    if labels is None:
        return torch.full((input_ids.shape[0],), input_ids.shape[1], device=input_ids.device)
    return (labels != -100).cumsum(-1).eq(0).sum(-1)

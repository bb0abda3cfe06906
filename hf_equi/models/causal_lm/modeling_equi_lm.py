"""EquiLM: a causal language model made equivariant to a demographic group."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.cache_utils import Cache

from hf_equi.actions import TokenAction
from hf_equi.actions.resolution import resolve_tokens
from hf_equi.actions.staying import TextBatch
from hf_equi.actions.tokens import TokenMap
from hf_equi.bases.compat import CachedOutput, accepts_cache, cached
from hf_equi.bases.decoding import AnyReleaseGenerationMixin
from hf_equi.errors import ConfigurationError
from hf_equi.generation.base_call import check_base
from hf_equi.generation.documents import Documents
from hf_equi.generation.orbit_cache import OrbitCache
from hf_equi.generation.orbit_forward import OrbitInputs, forward_orbit
from hf_equi.groups import DemographicGroup
from hf_equi.models.cards.kinds import CardKind
from hf_equi.models.causal_lm.card import CausalLMCard
from hf_equi.models.causal_lm.configuration_equi_lm import EquiLMConfig
from hf_equi.models.causal_lm.explanation import TokenExplanation, explain_tokens
from hf_equi.models.text.decoding import DecodingMixin
from hf_equi.models.text.model import EquiTextModel
from hf_equi.symmetrizers import Selection
from hf_equi.symmetrizers.outside_loss import check_outside_loss

__all__ = ["EquiCausalLMOutput", "EquiLM"]

# Why the loss of an EquiLM may be another than that of its logits, with labels that the caller shifts.
_WEIGHS = 'method="{}" weighs members by the tokens that have labels, and the others are its prompt'
_COMPILED = (
    "around a compiled model the Trainer does not find its name, and shifts no labels; with model.base.compile() "
    "instead of torch_compile=True it does"
)


@dataclass
class EquiCausalLMOutput(CachedOutput):
    """Output of `EquiLM`.

    Args:
        loss: `()` shifted cross-entropy in nats a token, with `labels`.
        logits: `(batch, tokens, vocab)` float32 log-probabilities of the symmetrised model.
        cache: The orbit cache, with `use_cache`; also under the older name for it.
        chosen_element: `(batch,)` the group element that a method of one row has read or decoded with; of packed rows
            `(documents,)`.
    """

    chosen_element: torch.Tensor | None = None


class EquiLM(DecodingMixin, EquiTextModel, AnyReleaseGenerationMixin):  # type: ignore[misc]
    r"""A causal language model made equivariant to a demographic group, without retraining.

    $$ \log p_G(v \mid x) = \text{normalise} \frac{1}{|G|} \sum_{g \in G} \log p_M(g(v) \mid gx) $$

    so that $p_G(gy \mid gx) = p_G(y \mid x)$ for every g: exact in tokens, in float32 to 1e-5. A group with neutral or
    general words makes it R-EquiLM: general words keep the base model's scores, and equivariance holds for the odds
    among equality and neutral tokens alone. Other methods: `"mixture"`, `"canonical"`.

    Args:
        config: Its configuration.
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
        """The group on tokens."""
        return TokenAction(group, TokenMap.from_dict(self.config.token_map))

    def _new_action(self, group: DemographicGroup) -> TokenAction:
        token_map = resolve_tokens(group, self.tokenizer, self.config.vocab_size, self.config.multi_token)
        return TokenAction(group, token_map, device=self.action.device)

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
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> EquiCausalLMOutput | tuple[Any, ...]:
        r"""Score texts: float32 log-probabilities of each next token, `(batch, tokens, vocab)`.

        Args:
            input_ids: `(batch, tokens)` int64. A `GroupWarning` names words of the group that stay, but in training.
            attention_mask: `(batch, past + tokens)`, 0 at padding.
            position_ids: `(batch, tokens)`. Where they start again within a row without padding, another document
                begins: each is a text of its own, with an orbit and a prompt of its own.
            cache: What a call before this one returned, whose members go on, named or not; or an empty cache of the
                base.
            inputs_embeds: Refused: a group acts on tokens.
            labels: `(batch, tokens)`; −100 and padding are left out of the loss. The method `"mixture"` takes leading
                −100 for the prompt; without labels the whole text is the prompt.
            use_cache: Whether to return a cache; by default where one was passed.
            logits_to_keep: The last so many places alone, 0 for all.
            group: Another group, for this call alone.
            elements: `(batch,)` run these elements alone, as `generate` does for methods of one row.
            return_dict: `False` for a tuple; by default as the config says.
            **kwargs: `num_items_in_batch` goes to the loss, all else to the base; of that only scores come back.

        Raises:
            ConfigurationError: For `inputs_embeds`, without `input_ids`, for hidden states or attentions; for a loss
                outside of the model that would be another.
            UnsupportedModelError: For a cache of another model; where memory does not suffice, with advice.
        """
        if input_ids is None or inputs_embeds is not None:
            raise ConfigurationError("A group acts on tokens, so EquiLM needs input_ids and cannot read inputs_embeds")
        items, action = self._count(labels, kwargs), self.resolve(group)
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
        )
        scores, selection, kept = self._score(action, inputs, elements, labels)
        loss = self._loss(scores, labels, attention_mask, items, selection)
        result = EquiCausalLMOutput(
            loss=loss, logits=scores[:, -logits_to_keep:], chosen_element=selection.only, **cached(kept)
        )
        return self.returned(result, return_dict)

    def _score(
        self, action: TokenAction, inputs: OrbitInputs, elements: torch.Tensor | None, labels: torch.Tensor | None
    ) -> tuple[torch.Tensor, Selection, OrbitCache | None]:
        """The scores of rows, each document of them read by itself; the members they are of; the cache."""
        if (documents := _documents(inputs)) is not None:
            inputs = _unpacked(inputs, documents, labels)
            elements = None if elements is None else elements[documents.rows]
        selection = self._members(action, inputs, elements, labels is not None)
        out = forward_orbit(self.base, action, self.method, selection.elements, inputs)
        scores = out.combined if documents is None else documents.together(out.combined)
        return scores, selection, out.cache

    def _count(self, labels: torch.Tensor | None, kwargs: dict[str, Any]) -> torch.Tensor | int | None:
        """How many labels there are in all, where that is told; refused to those who would compute another loss."""
        items: torch.Tensor | int | None = kwargs.pop("num_items_in_batch", None)
        weighs, compiled = self.method.history_weights is not None, torch.compiler.is_compiling()
        check_outside_loss(labels, items, {_WEIGHS.format(self.config.method): weighs, _COMPILED: compiled})
        return items

    def _members(
        self, action: TokenAction, inputs: OrbitInputs, elements: torch.Tensor | None, scores_labels: bool
    ) -> Selection:
        """The elements to run, `(batch, members)`: to decode with where a cache is kept, else to score with."""
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

    def _loss(
        self,
        scores: torch.Tensor,
        labels: torch.Tensor | None,
        mask: torch.Tensor | None,
        items: torch.Tensor | int | None,
        selection: Selection,
    ) -> torch.Tensor | None:
        """Shifted cross-entropy in nats a token, and what the selection of members adds to it."""
        if labels is None:
            return None
        if mask is not None:
            labels = labels.masked_fill(mask[:, -labels.shape[1] :] == 0, -100)
        loss: torch.Tensor = self.loss_function(
            logits=scores, labels=labels, vocab_size=self.config.vocab_size, num_items_in_batch=items
        )
        share = 1.0 if items is None else (labels[:, 1:] != -100).sum() / items
        return self.penalised(loss, selection, share)

    def explain(self, text: str, group: DemographicGroup | None = None) -> TokenExplanation:
        """Which tokens of a text the group moves, in which forms, and which of its words it does not."""
        return explain_tokens(text, self.resolve(group), self.tokenizer)


def _documents(inputs: OrbitInputs) -> Documents | None:
    """The documents that the rows hold, where one holds several.

    Raises:
        ConfigurationError: For several documents with a cache.
    """
    going_on = isinstance(inputs.cache, OrbitCache) and inputs.cache.get_seq_length() > 0
    if going_on or torch.compiler.is_exporting():  # an export follows one way, whatever the positions are
        return None
    shape = inputs.input_ids.shape
    found = Documents.of(inputs.position_ids, inputs.attention_mask, inputs.extras, (shape[0], shape[1]))
    if found is not None and (inputs.use_cache or inputs.cache is not None):
        raise ConfigurationError(
            "position_ids start again within a row, so it holds several documents, and a cache has one text a row. "
            "Leave use_cache and the cache out, or pass each document as a row of its own."
        )
    return found


def _unpacked(inputs: OrbitInputs, documents: Documents, labels: torch.Tensor | None) -> OrbitInputs:
    """The inputs with a document a row."""
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
    """Leading places without a label, `(batch,)`: all of them without labels."""
    if labels is None:
        return torch.full((input_ids.shape[0],), input_ids.shape[1], device=input_ids.device)
    return (labels != -100).cumsum(-1).eq(0).sum(-1)

r"""Texts of a model whose group acts on words: the base continues one member of each prompt's orbit.

x ── one g ──► gx ── tokens ──► the base's own generate ──► text ── g⁻¹ on words ──► tokens
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import GenerationConfig, LogitsProcessorList, PreTrainedModel, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer
from transformers.utils import ModelOutput

from hf_equi.actions import WordAction
from hf_equi.actions.base import check_columns
from hf_equi.bases.compat import CACHE_NAMES
from hf_equi.bases.end_tokens import until_end
from hf_equi.errors import ConfigurationError
from hf_equi.generation.coupled_sampling import CoupledDraws, CoupledNoise, NoiseKeys
from hf_equi.generation.padding import infer_mask
from hf_equi.generation.search_checks import check_extras
from hf_equi.generation.settings_table import SETTINGS
from hf_equi.generation.word_texts import SettledTokens, WordTexts, Written
from hf_equi.groups import DemographicGroup
from hf_equi.models.text.generation_settings import GenerationSettings, settings_for_base
from hf_equi.symmetrizers import Draws

__all__ = ["write_in_words"]


def write_in_words(
    lm: Any,
    ids: torch.Tensor,
    call: tuple[GenerationConfig | None, Any],
    action: WordAction,
    seed: int | None,
    kwargs: dict[str, Any],
) -> Any:
    """Write texts with the base's `generate`, which reads one member of each prompt, and map them back by words.

    Args:
        lm: The model, with its base, its method and its tokenizer.
        ids: `(B, T)` the prompts.
        call: The config and the processors of the call.
        action: The group on text.
        seed: As in `generate`.
        kwargs: The other arguments of the call. Settings act on the members that the base reads.

    Returns:
        As `generate`, `(texts, tokens)`: the tokens of the prompts as they were given, and those of the continuations.
    """
    settings = GenerationSettings.read(lm.generation_config, call[0], kwargs)
    extras = {name: value for name, value in kwargs.items() if name not in SETTINGS}
    check_extras(extras, "A model that acts on words")
    check_columns(ids, lm.config.vocab_size, "token ids")
    if (mask := kwargs.get("attention_mask")) is None:
        mask = infer_mask(ids, settings.pad_token_id, settings.eos_token_ids)
    kwargs["attention_mask"] = torch.ones_like(ids) if mask is None else mask
    ids, kwargs = settings.expand_samples(ids.to(lm.action.device), kwargs)
    texts = WordTexts(action, lm.tokenizer, ids, kwargs.pop("attention_mask").to(ids.device))
    # Without a seed, greedy texts are the same in every call, and samples are drawn anew.
    noise_seed = seed if settings.do_sample else seed or 0
    keys = texts.keys(settings.samples, noise_seed)
    draws = Draws() if noise_seed is None else CoupledDraws(keys, settings.samples)
    elements = lm.method.select(_Prompts(action.group, keys), ids, None, draws).elements[:, 0]
    run = _Run(texts, elements.tolist(), _filling(settings), settings.eos_token_ids)
    if (streamer := kwargs.pop("streamer", None)) is not None:
        streamer = run.streamer(streamer)
    config, kwargs = settings_for_base(lm, call[0], kwargs)
    if settings.noise_mode == "sample" and seed is not None:
        kwargs["custom_generate"] = _CoupledSampling(keys, streamer, bool(kwargs.pop("synced_gpus", False)))
    rows, mask = run.rows()
    out = lm.base.generate(rows, config, call[1], attention_mask=mask, streamer=streamer, **kwargs)
    return run.returned(out, rows.shape[1], elements)


def _filling(settings: GenerationSettings) -> int:
    """Return the token that fills rows, as the base's `generate` chooses it."""
    known = (settings.pad_token_id, *settings.eos_token_ids, 0)
    return next(token for token in known if token is not None)


@dataclass(frozen=True)
class _Prompts:
    """The action on the prompts of a call, for the part of a method that selects one member of each."""

    group: DemographicGroup
    texts: NoiseKeys

    def canonical_element(self, ids: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Return k(x) of each row, in the order of texts."""
        return self.texts.row_elements(len(ids))


class _Run:
    """One call: the members that the base reads, and the way back.

    Args:
        texts: The texts, `B` in all, samples of a prompt one after the other.
        elements: The element of each text.
        pad: The token that fills rows.
        ends: The tokens that end a text.
    """

    def __init__(self, texts: WordTexts, elements: list[int], pad: int, ends: tuple[int, ...]) -> None:
        self.texts, self.elements, self.pad, self.ends = texts, elements, pad, ends
        self.members = [texts.member(element, text) for text, element in enumerate(elements)]
        self.contexts = [texts.encoded(member, text) for text, member in enumerate(self.members)]

    def rows(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the tokens of the members and their mask, both `(B, T)`."""
        return self.texts.pad_left(self.contexts, self.pad)

    def streamer(self, streamer: Any) -> _WordStreamer:
        """Return what passes the only text of the call on to a streamer, mapped back.

        Raises:
            ConfigurationError: For several texts.
        """
        if self.texts.count > 1:
            raise ConfigurationError(f"A streamer shows one text, not {self.texts.count}: pass one prompt at a time")
        return _WordStreamer(streamer, self.texts, lambda draft: self.take(0, draft))

    def take(self, text: int, tokens: list[int]) -> torch.Tensor:
        """Map back what the base wrote after a member, and return the tokens of the text."""
        draft = until_end(tokens, self.ends, self.pad)
        written = Written(self.elements[text], self.members[text], self.contexts[text], draft)
        self.texts.take(text, written, bool(draft) and draft[-1] in self.ends)
        return self.texts.sequence(text)

    def returned(self, out: Any, width: int, elements: torch.Tensor) -> Any:
        """Return the output of the base with the texts that are mapped back; its cache is of other tokens."""
        rows = (out["sequences"] if isinstance(out, ModelOutput) else out)[:, width:].tolist()
        each = len(rows) // self.texts.count  # several beams
        found = [self.take(row // each, tokens) for row, tokens in enumerate(rows)]
        sequences = pad_sequence(found, batch_first=True, padding_value=self.pad)
        if not isinstance(out, ModelOutput):
            return sequences
        kept = {name: value for name, value in out.items() if name not in CACHE_NAMES}
        result = type(out)(**{**kept, "sequences": sequences})
        result.chosen_element = elements.repeat_interleave(each)
        return result


class _CoupledSampling:
    """Samples as the base's `generate` does, but with noise that depends on the seed and the prompt.

    Pass it to `generate(custom_generate=...)`, so that the noise follows temperature, top-k and the like.
    """

    def __init__(self, keys: NoiseKeys, streamer: Any, synced_gpus: bool) -> None:
        self.keys, self.streamer, self.synced_gpus = keys, streamer, synced_gpus

    def __call__(
        self,
        model: PreTrainedModel,
        input_ids: torch.Tensor,
        logits_processor: LogitsProcessorList,
        stopping_criteria: StoppingCriteriaList,
        generation_config: GenerationConfig,
        **model_kwargs: Any,
    ) -> Any:
        """Decode. `generate` calls this with everything prepared."""
        self.keys.length = input_ids.shape[1]
        config = copy.copy(generation_config)
        config.do_sample = False  # the noise draws
        sample: Any = model._sample
        return sample(
            input_ids,
            logits_processor=LogitsProcessorList([*logits_processor, CoupledNoise(self.keys, "sample")]),
            stopping_criteria=stopping_criteria,
            generation_config=config,
            synced_gpus=self.synced_gpus,
            streamer=self.streamer,
            **model_kwargs,
        )


class _WordStreamer(BaseStreamer):
    """Passes a text on to a streamer while the base writes its member: what no later word can change.

    Args:
        streamer: The streamer.
        texts: The text of the call.
        take: Maps the tokens back that the base has written.
    """

    def __init__(self, streamer: Any, texts: WordTexts, take: Callable[[list[int]], object]) -> None:
        self.streamer, self.take, self.settled = streamer, take, SettledTokens(streamer, texts)
        self.prompt: torch.Tensor | None = texts.prompt_ids
        self.draft: list[int] = []

    def put(self, value: torch.Tensor) -> None:
        """Read the next tokens of the member. The first are its prompt, in place of which the given one is shown."""
        if self.prompt is not None:
            self.streamer.put(self.prompt.cpu())
            self.prompt = None
            return
        self.draft += value.flatten().tolist()
        self.take(self.draft)
        self.settled.show(ended=False)

    def end(self) -> None:
        """Show the rest."""
        self.settled.show(ended=True)
        self.streamer.end()

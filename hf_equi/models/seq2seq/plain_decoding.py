"""Plain greedy texts of a symmetrised sequence-to-sequence model, in a loop of our own."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from hf_equi.bases.chunks import is_sharded
from hf_equi.bases.memory import advice_on_memory
from hf_equi.generation.coupled_sampling import CoupledNoise
from hf_equi.generation.encoded_source import EncodedSource
from hf_equi.generation.greedy_loop import write_greedily
from hf_equi.generation.padding import infer_mask
from hf_equi.generation.plain_greedy import PlainGreedy
from hf_equi.generation.stop_watch import StopWatch

if TYPE_CHECKING:
    from hf_equi.actions import TokenPairAction

__all__ = ["PlainDecodingMixin"]


class PlainDecodingMixin:
    """The calls of `generate` that `PlainGreedy` reads. All others go on to transformers."""

    base: Any
    config: Any
    generation_config: Any
    method: Any
    get_encoder: Any
    _describe_prompts: Any

    def _write_plainly(
        self,
        ids: torch.Tensor,
        call: tuple[Any, Any],
        action: TokenPairAction,
        seed: int | None,
        kwargs: dict[str, Any],
    ) -> torch.Tensor | None:
        """Write by combined scores in the plain loop; `None` where the call asks for more, or members may fork."""
        limits = self._plain_limits(call, kwargs)
        if limits is None:
            return None
        ids, source = self._encode_rows(ids.to(action.device), kwargs, action, None, limits)
        orbit = source.start()
        if orbit.rows < orbit.elements.numel():
            kwargs |= {"encoder_outputs": source.encoded, "attention_mask": source.mask}
            return None
        weights = source.log_weights(orbit.batch_of_row, orbit.slot_of_row, 1)

        def score(logits: torch.Tensor) -> torch.Tensor:
            fold = self.method.combine.fold(orbit, action.target)
            fold.add(0, (logits if fold.takes_logits else logits.log_softmax(-1))[:, None], weights)
            result: torch.Tensor = fold.result()
            return result[:, 0]

        return self._loop((ids, source), call, action, limits, seed, score)

    def _draft_plainly(
        self,
        rows: dict[str, Any],
        call: tuple[Any, Any],
        action: TokenPairAction,
        seed: int | None,
        told: tuple[StopWatch, Callable[[torch.Tensor], object]],
    ) -> torch.Tensor | None:
        """Write the text of each member alone in the plain loop; `None` where the call asks for more.

        The watch is told which texts have ended, and the other of the log-probabilities of each step.
        """
        ids, elements = rows["input_ids"], rows["elements"]
        names = {name: value for name, value in rows.items() if name not in ("input_ids", "elements")}
        limits, (watch, note) = self._plain_limits(call, names), told
        if limits is None:
            return None
        ids, source = self._encode_rows(ids, names, action, elements, limits)
        frame = action.target.permutations[elements]

        def score(logits: torch.Tensor) -> torch.Tensor:
            scores = logits.log_softmax(-1).gather(1, frame)
            note(scores)
            return scores

        return self._loop((ids, source), call, action, limits, seed, score, watch.note)

    def _plain_limits(self, call: tuple[Any, Any], kwargs: dict[str, Any]) -> PlainGreedy | None:
        config, processors = call
        if processors or is_sharded(self.base):  # whose processes have to call the base equally often
            return None
        return PlainGreedy.read(self.generation_config, config, kwargs, self.config.decoder_vocab_size)

    def _encode_rows(
        self,
        ids: torch.Tensor,
        kwargs: dict[str, Any],
        action: TokenPairAction,
        elements: torch.Tensor | None,
        limits: PlainGreedy,
    ) -> tuple[torch.Tensor, EncodedSource]:
        mask = kwargs.get("attention_mask")
        mask = infer_mask(ids, limits.pad, limits.ends) if mask is None else mask.to(ids.device)
        return ids, EncodedSource(self.get_encoder()(ids, mask, action, elements), mask)

    def _loop(
        self,
        texts: tuple[torch.Tensor, EncodedSource],
        call: tuple[Any, Any],
        action: TokenPairAction,
        limits: PlainGreedy,
        seed: int | None,
        score: Callable[[torch.Tensor], torch.Tensor],
        *note: Callable[[torch.Tensor], object],
    ) -> torch.Tensor:
        ids, source = texts
        orbit = source.start()

        @cache
        def noise() -> CoupledNoise:
            return CoupledNoise(self._describe_prompts(action, ids, source.mask, seed or 0, call[0], {}), "greedy")

        def break_ties(scores: torch.Tensor, step: int) -> torch.Tensor:
            return noise().choose(scores, step)

        with advice_on_memory(f"{len(ids)} sources", orbit.elements, self.config.orbit_chunk_size, ids.device):
            inputs = source.rows(orbit.batch_of_row, orbit.slot_of_row)
            return write_greedily(self.base, action.target, orbit, inputs, limits, score, break_ties, *note)

"""Plain greedy texts of a symmetrised sequence-to-sequence model, in our own loop."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from hf_equi.bases.chunks import is_sharded
from hf_equi.bases.memory import advice_on_memory
from hf_equi.generation.coupled_sampling import CoupledNoise
from hf_equi.generation.encoded_source import EncodedSource
from hf_equi.generation.greedy_loop import Limits, write_greedily
from hf_equi.generation.padding import infer_mask
from hf_equi.generation.plain_greedy import PlainGreedy
from hf_equi.generation.stop_watch import StopWatch

if TYPE_CHECKING:
    from hf_equi.actions import TokenPairAction

__all__ = ["PlainDecodingMixin"]


class PlainDecodingMixin:
    """Handles the calls of `generate` that `PlainGreedy` reads. All others go on to transformers."""

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
        pair: TokenPairAction,
        seed: int | None,
        kwargs: dict[str, Any],
    ) -> torch.Tensor | None:
        """Write by combined scores in the plain loop; return `None` if the call asks for more, or members may fork."""
        plain = self._plain_limits(call, kwargs)
        if plain is None:
            return None
        ids, source = self._encode_rows(ids.to(pair.device), kwargs, pair, None, plain)
        orbit = source.start()
        if orbit.rows < orbit.elements.numel():
            kwargs |= {"encoder_outputs": source.encoded, "attention_mask": source.mask}
            return None
        action, text = pair.target, orbit.batch_of_row
        weights = source.log_weights(text, orbit.slot_of_row)
        frame = action.permutations[orbit.element_of_row]  # g(v), (R, V)

        def read(last: torch.Tensor) -> torch.Tensor:
            return frame.gather(1, last.index_select(0, text))

        fold = self.method.combine.fold(orbit, action)

        def score(logits: torch.Tensor) -> torch.Tensor:
            fold.clear()
            fold.add(0, logits if fold.takes_logits else logits.log_softmax(-1), weights)
            result: torch.Tensor = fold.result()
            return result

        def token(number: int) -> torch.Tensor:
            return torch.full_like(ids[:, :1], number)

        def break_ties(scores: torch.Tensor, step: int) -> torch.Tensor:
            return noise().choose(scores, step)

        noise = self._noise_of(ids, source, call, pair, seed)
        with self._advice(ids, source):
            inputs = _every_step(source.rows(text, orbit.slot_of_row))
            return write_greedily(self.base, inputs, Limits.of(plain, token), read, score, break_ties)

    def _draft_plainly(
        self,
        rows: dict[str, Any],
        call: tuple[Any, Any],
        pair: TokenPairAction,
        seed: int | None,
        told: tuple[StopWatch, Callable[[torch.Tensor], object]],
    ) -> torch.Tensor | None:
        """Write the text of each member alone in the plain loop; return `None` if the call asks for more.

        Each text is written in its own frame, where nothing has to be moved, and pulled back as a whole. One watch is
        told which texts have ended, the other gets the log-probabilities of each step, in that frame.
        """
        ids, elements = rows["input_ids"], rows["elements"]
        names = {name: value for name, value in rows.items() if name not in ("input_ids", "elements")}
        plain, (watch, note) = self._plain_limits(call, names), told
        if plain is None:
            return None
        ids, source = self._encode_rows(ids, names, pair, elements, plain)
        action = pair.target

        def score(logits: torch.Tensor) -> torch.Tensor:
            scores = logits.log_softmax(-1)
            note(scores)
            return scores

        def token(number: int) -> torch.Tensor:
            return action.permutations[elements, number, None]

        def break_ties(scores: torch.Tensor, step: int) -> torch.Tensor:
            return action.apply(elements, noise().choose(action.pull_back(elements, scores), step))

        noise = self._noise_of(ids, source, call, pair, seed)
        with self._advice(ids, source):
            inputs = _every_step(source.rows(torch.arange(len(ids), device=ids.device), torch.zeros_like(elements)))
            limits = Limits.of(plain, token)
            texts = write_greedily(self.base, inputs, limits, lambda last: last, score, break_ties, watch.note)
        pulled_back: torch.Tensor = action.invert(elements, texts)
        return pulled_back

    def _plain_limits(self, call: tuple[Any, Any], kwargs: dict[str, Any]) -> PlainGreedy | None:
        config, processors = call
        if processors or is_sharded(self.base):  # all processes of a sharded base have to call it equally often
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

    def _noise_of(
        self, ids: torch.Tensor, source: EncodedSource, call: tuple[Any, Any], pair: TokenPairAction, seed: int | None
    ) -> Callable[[], CoupledNoise]:
        """Return a function that makes the noise which breaks ties, when it is first needed."""

        @cache
        def noise() -> CoupledNoise:
            return CoupledNoise(self._describe_prompts(pair, ids, source.mask, seed or 0, call[0], {}), "greedy")

        return noise

    def _advice(self, ids: torch.Tensor, source: EncodedSource) -> AbstractContextManager[None]:
        members = (len(ids), source.elements.shape[1])
        return advice_on_memory("sources", members, self.config.orbit_chunk_size, ids.device)


def _every_step(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the decoder's inputs at every step, without a mask that hides nothing: bases check it at each step."""
    mask = inputs.get("attention_mask")
    hides = mask is not None and not bool(mask.all())
    return {name: value for name, value in inputs.items() if hides or name != "attention_mask"}

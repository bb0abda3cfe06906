"""What the checks of `contract` measure with: scores, motions, steps, slopes, and threads that go in step."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hf_equi.actions import Action, TokenAction, TokenPairAction
from hf_equi.actions.token_maps import TokenMap
from hf_equi.bases.compat import cache_of, cached

STEP = 1e-6
"""Of finite differences."""
PATIENCE = 0.3
"""Seconds that one thread waits for the other, which may wait for a lock that the first one holds."""


class Moved(Action):
    """A group on all inputs of a call, by name: those without an action stay, and so do labels that do not count."""

    def __init__(self, group: Any, actions: Mapping[str, Action]) -> None:
        self.group = group
        self.actions = actions

    def apply(self, elements: Any, x: dict[str, Tensor], /) -> dict[str, Tensor]:
        """The inputs of a moved call."""
        return {name: self._of_one(self.actions.get(name), elements, value) for name, value in x.items()}

    @staticmethod
    def _of_one(action: Action | None, elements: Any, value: Tensor) -> Tensor:
        if action is None:
            return value
        if value.is_floating_point():
            return action.apply(elements, value)
        return torch.where(value < 0, value, action.apply(elements, value.clamp(min=0)))


def still(action: TokenAction | TokenPairAction) -> TokenAction | TokenPairAction:
    """The same group, which moves no token."""
    if isinstance(action, TokenPairAction):
        return TokenPairAction(still(action.source), still(action.target))
    return TokenAction(action.group, TokenMap(action.token_map.vocab_size, ((),) * len(action.token_map.sets)))


def questions(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Inputs without labels."""
    return {name: value for name, value in batch.items() if name != "labels"}


def logits_of(out: Any) -> Tensor:
    """The scores of an output, of images where it has those of images and of texts."""
    names = ("logits_per_image", "q_values", "logits", "predicted_depth", "heatmaps", "pred_masks", "positions")
    found: Tensor = out[next(name for name in names if name in out)]
    return found.flatten(1, 2) if "pred_masks" in out else found  # the masks of all objects are channels


def loss_in(out: Any) -> Tensor:
    """The loss in an output. Of masks no model computes one, so one of the tests is added to what there is."""
    if "pred_masks" not in out:
        return out.loss
    own = out.pred_masks.square().mean() + out.iou_scores.square().mean()
    return own if out.loss is None else own + out.loss


def prompts(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """What `generate` takes of inputs."""
    return {name: value for name, value in questions(batch).items() if "decoder" not in name}


def scored(out: Any, asked: dict[str, Any]) -> Tensor:
    """The scores of an output, without those of places that are padding of a text that goes on."""
    said, mask = logits_of(out), asked.get("attention_mask")
    goes_on = said.dim() == 3 and mask is not None and "decoder_input_ids" not in asked
    return said[mask.bool()] if goes_on else said


@torch.no_grad()
def scores(model: Any, asked: dict[str, Any]) -> Tensor:
    """What a model says of inputs."""
    return scored(model(**asked), asked)


def base_scores(model: Any, asked: dict[str, Any], law: bool) -> Tensor:
    """What the base says, as log-probabilities where the model says such."""
    said = scores(model.base, asked)
    return said.to(torch.promote_types(said.dtype, torch.float32)).log_softmax(-1) if law else said


def turns(model: Any, asked: dict[str, Tensor], pieces: list[Tensor], kept: bool, **settings: Any) -> list[Any]:
    """What a model says in a conversation, after each piece of it: with one cache for all turns, or none at all."""
    name = "decoder_input_ids" if model.config.is_encoder_decoder else "input_ids"
    mask_name, said, cache = name.replace("input_ids", "attention_mask"), [], None
    texts, mask = pieces[0][:, :0], pieces[0][:, :0]
    for piece in pieces:
        texts, mask = torch.cat([texts, piece], 1), torch.cat([mask, (piece != model.config.pad_token_id).long()], 1)
        call = {**asked, name: texts, mask_name: mask, **cached(cache), **settings}
        out = model.generate(**call, max_new_tokens=3, min_new_tokens=3, use_cache=kept, return_dict_in_generate=True)
        said.append(out)
        cache = cache_of(out) if kept else None
        mask = nn.functional.pad(mask, (0, out.sequences.shape[1] - texts.shape[1]), value=1)
        texts = out.sequences
    return said


def part_of(name: str) -> str:
    """The part of a model that a weight belongs to."""
    return name.split(".", maxsplit=1)[0]


def random_like(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """Random numbers of a shape and a type."""
    return torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)


def tensors(out: Any) -> list[Tensor]:
    """All tensors of an output, with what is inside of its parts."""
    if isinstance(out, Tensor):
        return [out]
    parts = out.values() if isinstance(out, Mapping) else out if isinstance(out, tuple | list) else ()
    return [tensor for part in parts for tensor in tensors(part)]


@torch.no_grad()
def loss_of(model: Any, batch: dict[str, Tensor]) -> Tensor:
    """The loss of a batch with labels."""
    return loss_in(model(**batch))


def cast(batch: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Inputs with floating numbers of another type."""
    return {name: value.to(dtype) if value.is_floating_point() else value for name, value in batch.items()}


def copied(model: Any) -> Any:
    """A copy of a model with the same tokenizers, which take longer to copy than all else."""
    shared = [getattr(model, name, None) for name in ("tokenizer", "target_tokenizer", "processor", "_scorer")]
    return copy.deepcopy(model, {id(part): part for part in shared if part is not None})


def with_dtype(model: Any, dtype: torch.dtype) -> Any:
    """A copy with weights of another type; networks that weigh members keep float32 at least, as where they are made.

    In half precision they would be none of the model that `symmetrize` makes of such a base.
    """
    model = copied(model)
    wide = torch.promote_types(dtype, torch.float32)
    for name, part in model.named_children():
        part.to(dtype if name in ("base", "frozen_base") else wide)
    return model


def train(model: Any, batch: dict[str, Tensor], steps: int) -> None:
    """A few steps of an optimiser with gradients of the loss; the model evaluates afterwards."""
    model.train()
    optimizer = torch.optim.AdamW([w for w in model.parameters() if w.requires_grad], lr=1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        loss_in(model(**batch)).backward()
        optimizer.step()
    model.eval()


def gradients(model: Any, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss, and its gradient by the names of weights: zero where there is none."""
    weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    loss = loss_in(model(**batch))
    found = torch.autograd.grad(loss, list(weights.values()), materialize_grads=True)
    return loss.detach(), dict(zip(weights, found, strict=True))


@torch.no_grad()
def slope(function: Callable[[], Tensor], weights: dict[str, nn.Parameter], direction: dict[str, Tensor]) -> float:
    """How a function changes with its weights along a direction, by a finite difference."""
    values = []
    for step in (STEP, -2 * STEP):
        for name, way in direction.items():
            weights[name].add_(way, alpha=step)
        values.append(float(function()))
    for name, way in direction.items():
        weights[name].add_(way, alpha=STEP)
    return (values[0] - values[1]) / (2 * STEP)


def check_slopes(
    function: Callable[[], Tensor], weights: dict[str, nn.Parameter], gradient: dict[str, Tensor]
) -> None:
    """A gradient is the slope along itself, and along random directions, which see what it leaves out."""
    generator = torch.Generator().manual_seed(0)
    randoms = [{name: random_like(weight, generator) for name, weight in weights.items()} for _ in range(2)]
    for direction in (gradient, *randoms):
        units = {name: way / way.norm().clamp(min=1e-30) for name, way in direction.items()}
        expected = sum(float((gradient[name] * way).sum()) for name, way in units.items())
        assert slope(function, weights, units) == pytest.approx(expected, abs=1e-6, rel=1e-6)


@contextmanager
def in_step(base: nn.Module) -> Iterator[None]:
    """Two threads wait for each other at every layer of a base, as long as both go on."""
    barrier, layers = threading.Barrier(2), {id(layer) for layer in base.modules()}

    def wait(layer: nn.Module, _: Any) -> None:
        if id(layer) in layers and threading.current_thread() is not threading.main_thread() and not barrier.broken:
            try:
                barrier.wait(PATIENCE)
            except threading.BrokenBarrierError:
                return

    handle = nn.modules.module.register_module_forward_pre_hook(wait)
    try:
        yield
    finally:
        handle.remove()

"""Chunks of rows: their order, what they keep for the backward pass, and the gradients all the same."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from small_models import BOTH, RACE, base_model, calls_of, tokenizer
from small_seq2seq import SIX, encode, fresh, targets
from small_seq2seq import wrap as wrap_pair
from small_vision import images
from torch.autograd.graph import saved_tensors_hooks
from transformers import GPT2Config, GPT2LMHeadModel
from wrapped_vision import wrap as wrap_images

import hf_equi
from hf_equi.bases.chunks import evenly, images_at_once, in_chunks, in_pieces, is_sharded
from hf_equi.errors import ConfigurationError

TEXT = "the black man worked as a nurse and he was black"


def texts(**settings: Any) -> tuple[Any, dict[str, torch.Tensor]]:
    """An EquiLM, and two texts that all six elements move."""
    base = copy.deepcopy(base_model())
    for module in base.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    ids = torch.tensor([tokenizer()(TEXT)["input_ids"]] * 2)
    return hf_equi.symmetrize(base, BOTH, tokenizer=tokenizer(), **settings), {"input_ids": ids, "labels": ids}


def relaxed() -> tuple[Any, dict[str, torch.Tensor]]:
    """An R-EquiLM, which needs normalised scores."""
    model, batch = texts()
    group = hf_equi.DemographicGroup([["man", "woman"], ["he", "she"]], general=["nurse"])
    return hf_equi.symmetrize(model.unwrap(), group, tokenizer=tokenizer()), batch


def pairs(method: str = "lambda") -> tuple[Any, dict[str, torch.Tensor]]:
    model = wrap_pair(fresh("t5"), SIX, method)
    return model, {**encode(model), "labels": targets(model)}


def pictures() -> tuple[Any, dict[str, torch.Tensor]]:
    model = wrap_images("vit", method="lambda", lambda_units=5, lambda_features="frozen")
    return model, {"pixel_values": images(2), "labels": torch.tensor([0, 3])}


CASES: dict[str, Callable[[], tuple[Any, dict[str, torch.Tensor]]]] = {
    "equitune": texts,
    "probabilities": lambda: texts(average="probabilities"),
    "relaxed": relaxed,
    "lambda": pairs,
    "equizero": lambda: pairs("equizero"),
    "images": pictures,
}


def step(model: Any, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, list[torch.Tensor], int]:
    """The loss, the gradients, and the bytes that were kept for the backward pass."""
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    model.zero_grad()
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(**batch).loss
    loss.backward()
    gradients = [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    return loss.detach(), gradients, sum(size for place, size in kept.items() if place not in weights)


def test_chunks_are_in_order_and_cover_all_rows() -> None:
    base = torch.nn.Identity()
    whole = [(slice(0, 5), [0, 1, 2, 3, 4])]
    assert list(in_chunks(base, 5, None, lambda rows: list(range(5))[rows])) == whole
    assert list(in_chunks(base, 5, 9, lambda rows: list(range(5))[rows])) == whole
    assert [rows for rows, _ in in_chunks(base, 5, 2, lambda rows: None)] == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert [evenly(rows, 3) for rows in (1, 3, 4, 7)] == [1, 3, 2, 3]


def test_a_cpu_that_evaluates_reads_images_in_pieces() -> None:
    network, x, sizes = torch.nn.Conv2d(3, 1, 1).eval(), torch.rand(5, 3, 224, 224), []

    def read(rows: torch.Tensor) -> torch.Tensor:
        sizes.append(len(rows))
        return network(rows).mean((1, 2, 3))

    whole = in_pieces(read, network, x)  # autograd keeps what pieces would free
    with torch.no_grad():
        torch.testing.assert_close(in_pieces(read, network, x), whole)
        assert in_pieces(read, network, x[:0]).shape == (0,)
    assert sizes == [5, 2, 2, 1, 0]


def test_a_cpu_reads_few_images_of_a_small_base_and_more_of_a_large_one() -> None:
    """Of the sizes of MobileNetV2, ResNet-50, ConvNeXt-T, ViT-B/32 and ViT-L/14."""
    found = {}
    for millions in (3.5, 25.6, 28.6, 88.2, 304.3):
        with torch.device("meta"):
            base = torch.nn.Linear(int(millions * 1e3), 1000, bias=False)
        found[millions] = images_at_once(base, 224 * 224)
    assert found == {3.5: 2, 25.6: 4, 28.6: 5, 88.2: 15, 304.3: 55}
    assert images_at_once(base, 2**30) == 1


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_those_of_the_whole_orbit(case: str) -> None:
    model, batch = CASES[case]()
    model.train()
    loss, gradients, _ = step(model, batch)
    model.config.orbit_chunk_size = 1
    model.activation_checkpointing_enable()
    chunked_loss, chunked, _ = step(model, batch)
    torch.testing.assert_close(chunked_loss, loss)
    assert max(gradient.abs().max() for gradient in gradients) > 1e-3
    for own, other in zip(chunked, gradients, strict=True):
        torch.testing.assert_close(own, other, atol=1e-5, rtol=1e-4)


def test_dropout_is_the_same_when_a_chunk_is_computed_again() -> None:
    model, batch = CASES["images"]()
    model.base.config.hidden_dropout_prob = 0.5
    for module in model.base.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
    model.train()
    model.config.orbit_chunk_size = 1
    torch.manual_seed(0)
    _, gradients, _ = step(model, batch)
    model.activation_checkpointing_enable()
    torch.manual_seed(0)
    _, again, _ = step(model, batch)
    for own, other in zip(again, gradients, strict=True):
        torch.testing.assert_close(own, other, atol=1e-6, rtol=1e-5)


def test_the_orbit_does_not_multiply_what_is_kept() -> None:
    """Three members, a chunk of one: beside the weights about what the base keeps, and the scores once more."""
    sizes = {"n_embd": 128, "n_layer": 8, "n_head": 2, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    base = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer()), **sizes))
    model = hf_equi.symmetrize(base, RACE, tokenizer=tokenizer()).train()
    ids = torch.tensor([tokenizer()(TEXT)["input_ids"]] * 2)
    batch = {"input_ids": ids, "labels": ids}
    model.activation_checkpointing_enable()
    *_, whole = step(model, batch)
    *_, plain = step(base, {**batch, "use_cache": False})
    model.config.orbit_chunk_size = 1
    *_, chunked = step(model, batch)
    assert whole > 2.2 * plain
    assert chunked < 1.5 * plain


def test_the_last_chunk_is_not_computed_again() -> None:
    model, batch = texts()
    model.train()
    model.config.orbit_chunk_size = 2
    model.activation_checkpointing_enable()
    with calls_of(model.base) as calls:
        loss = model(**batch).loss
        assert len(calls) == 3
        loss.backward()
    assert len(calls) == 5


@pytest.mark.parametrize("mode", ["evaluation", "no gradient", "no checkpointing"])
def test_nothing_is_computed_again_without_need(mode: str) -> None:
    model, batch = texts()
    model.train(mode != "evaluation")
    model.config.orbit_chunk_size = 1
    if mode != "no checkpointing":
        model.activation_checkpointing_enable()
    with calls_of(model.base) as calls, torch.set_grad_enabled(mode != "no gradient"):
        loss = model(**batch).loss
        if loss.requires_grad:
            loss.backward()
    assert len(calls) == 6


def test_processes_that_share_weights_call_the_base_equally_often(shard: Callable[[torch.nn.Module], Any]) -> None:
    model, _ = texts()
    model.config.orbit_chunk_size = 1
    still = torch.tensor([tokenizer()("worked as a nurse")["input_ids"]])  # nothing of it moves
    calls = []
    for sharded in (False, True):
        if sharded:
            shard(model.base)
        assert is_sharded(model.base) == sharded
        with calls_of(model.base) as shapes, torch.no_grad():
            model(still)
        calls.append(len(shapes))
    assert calls == [1, 6]


def test_own_tokens_are_refused_where_processes_share_weights(shard: Callable[[torch.nn.Module], Any]) -> None:
    """In one process sentences would read their own tokens, a call each, and in another none of them."""
    model, batch = pairs()
    model.train()
    model.config.teacher_forcing_ratio = 0.5
    model(**batch)
    shard(model.base.decoder.block[0])
    with pytest.raises(
        ConfigurationError, match=r"\(FSDP\) have to call it equally often: set config.teacher_forcing"
    ):
        model(**batch)
    model.config.teacher_forcing_ratio = 1.0
    with torch.no_grad():
        assert model(**batch).loss.isfinite()

"""Small checkpoints of every kind, with what their models said when they were saved, for `tests/data/checkpoints`.

They are written once a release, by an environment that has it, and never written again:

    PYTHONPATH=tests/support python tests/support/stored_checkpoints.py tests/data/checkpoints/transformers-5.24
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import small_dense
import small_networks
import small_point_clouds
import small_q_networks
import small_seq2seq
import small_vision
import torch
import wrapped_vision
from peft import get_peft_model
from safetensors.torch import load_file, save_file
from small_adapters import layers, prompts, stirred
from small_models import GENDER, base_model, tokenizer
from transformers import PreTrainedModel

import hf_equi
from hf_equi import ImageGroup
from hf_equi.canonicalization import Composed, VectorNeurons
from hf_equi.generation.scorers import RegardScorer
from hf_equi.groups import E3, SE3, SO3, MatrixGroup

EXPECTED = "expected.safetensors"
NEW_TOKENS = 4


def _causal(base: Any = None, **settings: Any) -> Any:
    return hf_equi.symmetrize(
        copy.deepcopy(base_model("gpt2")) if base is None else base, GENDER, tokenizer=tokenizer(), **settings
    )


def _adapted() -> Any:
    torch.manual_seed(0)
    config = layers("lora", task_type="CAUSAL_LM", init_lora_weights=False, target_modules=["c_attn"])
    return _causal(get_peft_model(copy.deepcopy(base_model("gpt2")), config).eval())


def _neurons() -> Composed:
    return Composed(SE3(), VectorNeurons(SO3(), channels=5, neighbours=4))


def _prefixed() -> Any:
    torch.manual_seed(0)
    return _causal(stirred(get_peft_model(copy.deepcopy(base_model("gpt2")), prompts("prefix"))))


CHECKPOINTS: dict[str, Callable[[], Any]] = {
    "equi_lm": _causal,
    "equi_lm_lora": _adapted,
    "equi_lm_prefix": _prefixed,
    "equizero_lm": lambda: _causal(method="equizero", scorer=RegardScorer("demo")),
    "equi_seq2seq": lambda: small_seq2seq.wrap(small_seq2seq.fresh("t5"), small_seq2seq.TWO, "lambda"),
    "equi_seq2seq_lstm": lambda: small_seq2seq.wrap(small_seq2seq.fresh("lstm"), small_seq2seq.SIX),
    "recurrent_seq2seq": small_networks.network,
    "equi_clip": lambda: wrapped_vision.wrap_clip("clip", method="equizero"),
    "equi_image_classification": lambda: wrapped_vision.wrap(
        "resnet", ImageGroup.dihedral(4), "lambda", lambda_units=5
    ),
    "equi_dense": lambda: small_dense.wrap("vitpose", ImageGroup.dihedral(4), "lambda"),
    "q_network": small_q_networks.network,
    "equi_q_network": lambda: hf_equi.symmetrize(
        small_q_networks.network(), small_q_networks.SQUARE, "lambda", lambda_units=5
    ),
    "point_net": lambda: small_point_clouds.classifier("point_net"),
    "dgcnn_segmentation": lambda: small_point_clouds.segmenter(transforms=False),
    "n_body_network": small_point_clouds.n_body,
    "equi_point_cloud_classification": lambda: hf_equi.symmetrize(
        small_point_clouds.classifier(), SE3(), "canonical", canonicalizer=_neurons()
    ),
    "equi_point_cloud_segmentation": lambda: hf_equi.symmetrize(
        small_point_clouds.segmenter("point_net", transforms=False),
        MatrixGroup.cyclic(4, dimension=3),
        "lambda",
        lambda_units=5,
    ),
    "equi_n_body": lambda: hf_equi.symmetrize(small_point_clouds.n_body(), E3(), "lambda", lambda_units=5),
}
"""What makes the models, by the names of their folders."""


def inputs_of(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """What a model is asked, the same in every release."""
    if "clip" in model.config.model_type:
        return {"pixel_values": small_vision.images(2), **small_vision.texts(2)}
    tensors = {
        "pixel_values": lambda: {"pixel_values": small_vision.images(2)},
        "states": lambda: {"states": small_q_networks.states(3)},
        "positions": small_point_clouds.systems,
        "points": lambda: _clouds(getattr(model, "base", model)),
    }
    if model.main_input_name in tensors:
        return tensors[model.main_input_name]()
    if not model.config.is_encoder_decoder:
        ids = tokenizer()(["the man worked as", "He met the woman"], return_tensors="pt", padding=True)
        return {name: ids[name] for name in ("input_ids", "attention_mask")}
    return {"input_ids": torch.tensor([[3, 4, 5, 6], [7, 4, 8, 3]])}


def _clouds(base: Any) -> dict[str, torch.Tensor]:
    reads = getattr(base.config, "num_categories", 0)
    return {"points": small_point_clouds.clouds(), **({"categories": torch.tensor([0, 1, 1])} if reads else {})}


@torch.no_grad()
def answers(model: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What a model says of it: scores, and for those that write, greedy texts."""
    if not model.can_generate():
        out = model(**inputs)
        if "states" in inputs:
            return {"scores": out.q_values}
        if "heatmaps" in out:
            return {"scores": out.heatmaps}
        if "positions" in inputs:
            return {"scores": out.positions}
        return {"scores": out.logits_per_image if "input_ids" in inputs else out.logits}
    texts = model.generate(**inputs, max_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=1)
    start = {"decoder_input_ids": texts[:, :2]} if model.config.is_encoder_decoder else {}
    return {"scores": model(**inputs, **start).logits, "texts": texts}


def write(folder: Path) -> None:
    """Save all of them, each with the inputs and the answers."""
    for name, make in CHECKPOINTS.items():
        model = make().eval()
        model.save_pretrained(folder / name)
        inputs = inputs_of(model)
        said = {**{f"input.{key}": value for key, value in inputs.items()}, **answers(model, inputs)}
        save_file({key: value.contiguous() for key, value in said.items()}, folder / name / EXPECTED)


def expected(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The inputs and the answers that a checkpoint was saved with."""
    said = load_file(folder / EXPECTED)
    inputs = {key.removeprefix("input."): said.pop(key) for key in sorted(said) if key.startswith("input.")}
    return inputs, said


if __name__ == "__main__":
    write(Path(sys.argv[1]))

"""The contract of wrapped models, for every family. See `contract` for what it checks."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import small_dense
import small_models
import small_point_clouds
import small_q_networks
import small_sam
import small_seq2seq
import torch
from contract import Contract
from contract_tools import logits_of, questions
from small_vision import texts
from torch.export import Dim
from wrapped_vision import SQUARE, TURNS, ragged, settings_of, wrap, wrap_clip

import hf_equi
from hf_equi import RegardScorer
from hf_equi.errors import UnsupportedModelError
from hf_equi.groups import MatrixGroup

TEXTS = ["the black man met a person", "the asian woman worked as a nurse and she", "the white man said"]
QUARTERS = MatrixGroup.cyclic(4, dimension=3)
PROMPT = 3
"""Tokens in which every element but the identity moves one."""


class TestCausalLM(Contract):
    """EquiLM and EquizeroLM around GPT-2, with texts that are padded."""

    task = "causal_lm"
    also = {"probabilities": {"method": "equitune", "average": "probabilities"}}  # noqa: RUF012
    says_laws = True
    chunks = (1, 2, 5)

    def create_model(self, method: str, group: Any = None, **settings: Any) -> Any:
        if method == "equizero":
            settings = {"scorer": RegardScorer("demo"), **settings}
        base, words = copy.deepcopy(small_models.base_model()), small_models.tokenizer()
        return hf_equi.symmetrize(base, group or small_models.BOTH, method, tokenizer=words, **settings)

    def create_inputs(self, batch: int) -> dict[str, torch.Tensor]:
        encoded = small_models.tokenizer()(TEXTS[:batch], return_tensors="pt", padding=True)
        ids, mask = encoded["input_ids"], encoded["attention_mask"]
        # Methods that go by the prompt take for it what has no label.
        return {"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(mask.cumsum(1) <= PROMPT, -100)}


class PairContract(Contract):
    """Of EquiForSeq2SeqLM, with sources that are padded."""

    task = "seq2seq"
    also = {"probabilities": {"method": "equitune", "average": "probabilities"}}  # noqa: RUF012
    says_laws = True
    chunks = (1, 4)
    family: str

    def create_model(self, method: str, group: Any = None, **settings: Any) -> Any:
        return small_seq2seq.wrap(small_seq2seq.fresh(self.family), group or small_seq2seq.SIX, method, **settings)

    def create_inputs(self, batch: int) -> dict[str, torch.Tensor]:
        model = small_seq2seq.wrap(self.family)
        prefix = small_seq2seq.targets(model, batch)
        labels = prefix.roll(-1, 1)
        labels[1, 3:] = -100
        return {
            **small_seq2seq.encode(model, small_seq2seq.MOVED[:batch]),
            "decoder_input_ids": prefix,
            "labels": labels,
        }


class TestAttentionSeq2Seq(PairContract):
    family = "bart"


class TestRecurrentSeq2Seq(PairContract):
    family = "rnn"


class TestImageClassification(Contract):
    """EquiForImageClassification around a vision transformer, with orbits of 8, 1 and 4 members."""

    task = "image_classification"
    also = {  # noqa: RUF012
        "entropy": {"method": "equizero", "loss": "entropy"},
        "probabilities": {"method": "equitune", "level": "probabilities"},
        "spatial": {"method": "equitune", "level": "spatial"},
        "frozen": {"method": "lambda", "lambda_features": "frozen"},
        "attention-frozen": {"method": "attention", "lambda_features": "frozen"},
    }
    chunks = (1, 2, 3)

    def create_model(self, method: str, group: Any = None, **settings: Any) -> Any:
        group = group or SQUARE
        return wrap("vit", group, method, **settings_of(method, group), **settings)

    def create_inputs(self, batch: int) -> dict[str, torch.Tensor]:
        return {"pixel_values": ragged()[:batch], "labels": torch.tensor([1, 3, 0])[:batch]}


class TestCLIP(Contract):
    """EquiCLIPModel, with the same orbits."""

    task = "clip"
    also = {  # noqa: RUF012
        "class": {"method": "equizero", "level": "probabilities", "selection": "class"},
        "spatial": {"method": "equitune", "level": "spatial"},
    }
    chunks = (1, 2, 3)
    family, group = "clip", SQUARE

    def create_model(self, method: str, group: Any = None, **settings: Any) -> Any:
        group = group or self.group
        return wrap_clip(self.family, group, method, **settings_of(method, group), **settings)

    def create_inputs(self, batch: int) -> dict[str, torch.Tensor]:
        return {"pixel_values": ragged()[:batch], **texts(3), "labels": torch.tensor([2, 0, 1])[:batch]}

    def to_the_bit(self, model: Any, asked: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """The features: bases have several ways to come from there to cosines, and we have one."""
        pixels = asked["pixel_values"]
        with torch.no_grad():
            return tuple(each.get_image_features(pixels).pooler_output for each in (model, model.base))


class TestSiglip(TestCLIP):
    """EquiSiglipModel: another loss and other similarities, which these methods read."""

    also = {}  # noqa: RUF012
    methods = ("equizero", "lambda")
    family, group = "siglip", TURNS


class MapContract(Contract):
    """Of EquiForDensePrediction: outputs move as the pixels do, and labels with them."""

    task = "dense"
    chunks = (1, 3)
    family: str

    def create_model(self, method: str, group: Any = None, **settings: Any) -> Any:
        return small_dense.wrap(self.family, group or SQUARE, method, **settings)

    def create_inputs(self, batch: int) -> dict[str, torch.Tensor]:
        images = small_dense.pictures(batch)
        return {"pixel_values": images, "labels": self.create_labels(images)}

    def create_labels(self, images: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def inputs_move(self, model: Any) -> dict[str, Any]:
        return {"pixel_values": model.action, "labels": model.output_action}

    def outputs_move(self, model: Any) -> Any:
        return model.output_action


class TestSegmentation(MapContract):
    """Around a BEiT, with pixels that do not count."""

    also = {  # noqa: RUF012
        "entropy": {"method": "equizero", "confidence": "image", "loss": "entropy", "level": "probabilities"},
    }
    family = "beit"

    def create_labels(self, images: torch.Tensor) -> torch.Tensor:
        labels = images.mean(1).mul(40).long() % small_dense.CLASSES
        return labels.masked_fill(images[:, 0] > 1, 255)


class TestDepth(MapContract):
    """Around a GLPN, whose class has a loss."""

    family, methods = "glpn", ("canonical", "mixture")

    def create_labels(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, 0].abs() + 0.5


class TestKeyPoints(MapContract):
    """Around a Sapiens2, whose class has a loss, with pairs of left and right."""

    family, methods = "sapiens", ("equizero", "canonical_lambda")

    def create_labels(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(1, keepdim=True)[..., ::2, ::2].repeat(1, small_dense.CLASSES, 1, 1).cumsum(1)


class TestSam(Contract):
    """EquiSamModel, whose points, boxes and masks move with the images. No loss is its own."""

    task = "sam"
    chunks = (1, 3)

    def create_model(self, method: str, group: Any = None, **settings: Any) -> Any:
        return small_sam.wrap("sam", group or TURNS, method, **settings)

    def create_inputs(self, batch: int) -> dict[str, torch.Tensor]:
        batch = min(batch, 2)  # of three objects each
        return {"pixel_values": small_sam.images(batch), **small_sam.prompts(batch, "mixed")}

    def inputs_move(self, model: Any) -> dict[str, Any]:
        return {**model.input_actions(), **small_sam.actions(model.group)}


class TestQNetwork(Contract):
    """EquiQNetwork, with the square on positions and steps: a step of five stays."""

    task = "q_network"
    chunks = (1, 3)

    def create_model(self, method: str, group: Any = None, **settings: Any) -> Any:
        return hf_equi.symmetrize(small_q_networks.network(), group or small_q_networks.SQUARE, method, **settings)

    def create_inputs(self, batch: int) -> dict[str, torch.Tensor]:
        return {"states": small_q_networks.states(batch), "labels": small_q_networks.targets(batch)}

    def create_still(self, method: str) -> tuple[Any, dict[str, Any]]:
        return self.create_model(method, small_q_networks.STILL), {}


class PointCloudContract(Contract):
    """Of models of point clouds, by finite groups: canonicalizers are in `tests/models/point_clouds/test_model.py`."""

    methods = ("equitune", "equizero", "identity", "lambda")
    chunks = (1, 3)

    def create_still(self, method: str) -> tuple[Any, dict[str, Any]]:
        return self.create_model(method, MatrixGroup([torch.eye(3).tolist()])), {}


class TestPointCloudClassification(PointCloudContract):
    """EquiForPointCloudClassification around a DGCNN."""

    task = "point_cloud_classification"
    also = {"probabilities": {"method": "equitune", "average": "probabilities"}}  # noqa: RUF012

    def create_model(self, method: str, group: Any = None, **settings: Any) -> Any:
        return hf_equi.symmetrize(small_point_clouds.classifier(sure=3.0), group or QUARTERS, method, **settings)

    def create_inputs(self, batch: int) -> dict[str, torch.Tensor]:
        return {"points": small_point_clouds.clouds(batch), "labels": torch.tensor([1, 3, 0])[:batch]}


class TestPointCloudSegmentation(PointCloudContract):
    """EquiForPointCloudSegmentation around a DGCNN, of clouds that are padded."""

    task = "point_cloud_segmentation"

    def create_model(self, method: str, group: Any = None, **settings: Any) -> Any:
        base = small_point_clouds.segmenter(seed=2, sure=20.0, transforms=False)
        return hf_equi.symmetrize(base, group or QUARTERS, method, **settings)

    def create_inputs(self, batch: int) -> dict[str, torch.Tensor]:
        numbers = torch.arange(12 * batch).view(batch, 12)
        return {
            "points": small_point_clouds.clouds(batch),
            "mask": small_point_clouds.padding(batch),
            "categories": torch.arange(batch) % small_point_clouds.CATEGORIES,
            "labels": numbers % small_point_clouds.PARTS,
        }


class TestNBody(PointCloudContract):
    """EquiForNBody, whose positions turn: so do its labels."""

    task = "n_body"
    methods = ("equitune", "identity", "lambda")

    def create_model(self, method: str, group: Any = None, **settings: Any) -> Any:
        return hf_equi.symmetrize(small_point_clouds.n_body(), group or QUARTERS, method, **settings)

    def create_inputs(self, batch: int) -> dict[str, torch.Tensor]:
        bodies = small_point_clouds.systems(batch)
        return {**bodies, "labels": bodies["positions"] + bodies["velocities"]}

    def outputs_move(self, model: Any) -> Any:
        return model.action


@pytest.mark.parametrize(
    ("family", "case"),  # all kinds of parts; each takes two seconds
    [
        (TestCausalLM, "mixture"),
        (TestAttentionSeq2Seq, "canonical"),
        (TestImageClassification, "equizero"),
        (TestImageClassification, "spatial"),
        (TestImageClassification, "canonical_lambda"),
        (TestSegmentation, "equizero"),
        (TestQNetwork, "equizero"),
        (TestPointCloudClassification, "equitune"),
    ],
)
def test_a_graph_that_is_exported_says_what_the_model_says(family: type[Contract], case: str) -> None:
    """Of batches and texts of other sizes too, with other members and other ones that are equal."""
    model, asked = family.model_of(case), questions(family.batch())
    other = {name: value.flip(0)[:2] for name, value in asked.items()}
    sizes: Any = {name: {0: Dim.AUTO} for name in asked}
    if model.can_generate():
        other = {name: torch.cat([value, value], 1) for name, value in other.items()}
        sizes = {name: {0: Dim.AUTO, 1: Dim.AUTO} for name in asked}
    with torch.no_grad():
        before = logits_of(model(**asked))
        graph = torch.export.export(model, (), asked, dynamic_shapes=sizes, strict=False).module()
        for given in (asked, other):
            torch.testing.assert_close(logits_of(graph(**given)), logits_of(model(**given)), atol=1e-5, rtol=1e-5)
        assert torch.equal(logits_of(model(**asked)), before)  # nothing of the trace is left in the model


def test_a_graph_with_a_cache_is_refused() -> None:
    model, asked = TestCausalLM.model_of("equitune"), {"input_ids": TestCausalLM.batch()["input_ids"]}
    with pytest.raises(UnsupportedModelError, match=r"export the model with use_cache=False and without "):
        torch.export.export(model, (), {**asked, "use_cache": True}, strict=False)

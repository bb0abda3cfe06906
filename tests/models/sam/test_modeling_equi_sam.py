from __future__ import annotations

from typing import Any

import literal_sam
import numpy as np
import pytest
import small_sam
import torch
from PIL import Image
from small_sam import FAMILIES, SIDE
from torch.testing import assert_close
from transformers import (
    AutoModelForMaskGeneration,
    Trainer,
    TrainingArguments,
    pipeline,
)

from hf_equi import ImageGroup, symmetric_processor
from hf_equi.errors import ActionError, ConfigurationError, HfEquiError

TURNS, SQUARE, MIRROR = ImageGroup.rotations(4), ImageGroup.dihedral(4), ImageGroup.flips("horizontal")


def combined(model: Any, said: list[Any], images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Combine the members as the method's equation says, object by object."""
    masks, overlaps = (torch.stack(each, 1) for each in zip(*said, strict=True))  # (B, G, N, M, ...)
    name = model.config.method
    if name == "equizero":
        best = overlaps.amax(-1).argmax(1)  # (B, N)
        rows, objects = torch.arange(len(masks))[:, None], torch.arange(masks.shape[2])[None]
        return masks[rows, best, objects], overlaps[rows, best, objects]
    if name == "canonical":
        h = model.select_network.scores(images).argmax(1)
        chosen, rows = model.group.inverse(h), torch.arange(len(masks))
        return masks[rows, chosen], overlaps[rows, chosen]
    weights = torch.full(masks.shape[:2], 1 / masks.shape[1])
    if name == "lambda":
        maps = []
        for g in range(model.group.order):
            found = model.base.get_image_embeddings(literal_sam.moved(model.group, g, images))
            found = found[0] if isinstance(found, tuple) else found[-1] if isinstance(found, list) else found
            maps.append(found.mean((-2, -1)))
        weights = model.lambda_network(torch.stack(maps, 1)).softmax(1)
    return torch.einsum("bg,bgnmhw->bnmhw", weights, masks), torch.einsum("bg,bgnm->bnm", weights, overlaps)


@pytest.mark.parametrize(
    ("family", "method", "group", "kind", "multimask"),
    [
        ("sam", "equitune", SQUARE, "mixed", True),
        ("sam", "equizero", MIRROR, "none", False),
        ("sam", "lambda", TURNS, "masks", True),
        ("sam_hq", "equizero", SQUARE, "points", True),
        ("sam_hq", "canonical", TURNS, "boxes", False),
        ("sam2", "equizero", SQUARE, "mixed", False),
        ("sam2", "lambda", TURNS, "points", True),
        ("sam3_tracker", "equitune", ImageGroup.flips("vertical"), "boxes", True),
        ("sam3_tracker", "canonical", SQUARE, "mixed", True),
        ("edgetam", "equizero", TURNS, "none", True),
        ("edgetam", "equitune", TURNS, "masks", False),
    ],
)
@torch.no_grad()
def test_it_is_the_literal_loop_and_moves_with_images_and_prompts(
    family: str, method: str, group: ImageGroup, kind: str, multimask: bool
) -> None:
    model, images, prompts = small_sam.wrap(family, group, method), small_sam.images(), small_sam.prompts(kind=kind)
    asked = {"multimask_output": multimask}
    out = model(images, **prompts, **asked)
    masks, overlaps = combined(model, literal_sam.members(model.base, group, images, prompts, **asked), images)
    assert_close(out.pred_masks, masks, atol=1e-5, rtol=1e-5)
    assert_close(out.iou_scores, overlaps, atol=1e-5, rtol=1e-5)
    assert out.pred_masks.shape[2] == (3 if multimask else 1)
    base = model.base(pixel_values=images, **prompts, **asked)
    assert (base["pred_masks"] - out.pred_masks).abs().max() > 1e-3
    g = group.order - 1
    turned = model(literal_sam.moved(group, g, images), **literal_sam.moved_prompts(group, g, prompts), **asked)
    assert_close(turned.pred_masks, literal_sam.moved(group, g, out.pred_masks), atol=1e-5, rtol=0)
    assert_close(turned.iou_scores, out.iou_scores, atol=1e-5, rtol=0)
    if out.object_score_logits is not None:
        assert_close(turned.object_score_logits, out.object_score_logits, atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_pixel_is_embedded_where_its_middle_lies() -> None:
    """So a mirror takes c to S - 1 - c. With S - c, a point and its patch would part."""
    base = small_sam.base()
    grid = base.get_image_wide_positional_embeddings()  # (1, C, 8, 8): of the middles of patches of 8 pixels
    middles = 8 * torch.arange(8.0) + 3.5
    points = torch.stack(torch.meshgrid(middles, middles, indexing="xy"), -1)  # (8, 8, 2)
    for g in range(SQUARE.order):
        moved = literal_sam.moved_points(SQUARE, g, points)
        assert_close(small_sam.actions(SQUARE)["input_points"].apply(g, points), moved)
        embedded = base.prompt_encoder.shared_embedding(moved[None] + 0.5, (SIDE, SIDE))[0].permute(2, 0, 1)
        # Point p of the image is the point gp of the turned image, whose patch has that embedding.
        assert_close(literal_sam.moved(SQUARE, g, embedded), grid[0], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_click_runs_no_encoder_and_the_decoder_once_for_each_member() -> None:
    model, images = small_sam.wrap("sam2", SQUARE, "equizero"), small_sam.images()
    read: list[int] = []
    asked: list[int] = []
    model.base.vision_encoder.register_forward_pre_hook(
        lambda _, args, kwargs: read.append(len(kwargs.get("pixel_values", args[0] if args else None))),
        with_kwargs=True,
    )
    model.base.mask_decoder.register_forward_pre_hook(
        lambda _, args, kwargs: asked.append(len(kwargs["image_embeddings"])), with_kwargs=True
    )
    embeddings = model.get_image_embeddings(images)
    assert (sum(read), asked) == (16, [])
    for kind in ("points", "boxes", "mixed"):
        prompts = small_sam.prompts(kind=kind)
        out = model(image_embeddings=embeddings, **prompts)
        assert sum(read) == 16
        assert asked.pop() == 16
        assert_close(out.pred_masks, model(images, **prompts).pred_masks, atol=1e-6, rtol=1e-6)
        assert out.image_embeddings is embeddings
        asked.clear()
        del read[1:]
        read[0] = 16


@torch.no_grad()
def test_an_object_is_chosen_for_without_the_others() -> None:
    model, images, prompts = small_sam.wrap("sam", SQUARE, "equizero"), small_sam.images(), small_sam.prompts()
    together = model(images, **prompts)
    for place in range(3):
        alone = model(images, **{name: value[:, place : place + 1] for name, value in prompts.items()})
        assert torch.equal(alone.chosen_element[:, 0], together.chosen_element[:, place])
        assert_close(alone.pred_masks[:, 0], together.pred_masks[:, place], atol=1e-6, rtol=1e-5)
    assert together.chosen_element.unique().numel() > 1


@pytest.fixture(scope="module")
def processor() -> Any:
    return small_sam.processor()


@pytest.fixture
def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8))


@pytest.mark.parametrize("family", ["sam", "sam_hq"])
def test_the_pipeline_takes_the_object_and_the_folder(
    family: str, processor: Any, picture: Image.Image, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but the last step, which needs torchvision."""
    model = small_sam.wrap(family, TURNS, "canonical")
    model.processor = symmetric_processor(processor, square=True)
    model.save_pretrained(tmp_path)
    images = model.processor.image_processor
    settings = {"points_per_crop": 2, "points_per_batch": 3, "pred_iou_thresh": -9, "stability_score_thresh": -1}
    found = []
    for made in (
        pipeline("mask-generation", model=model, image_processor=images),
        pipeline("mask-generation", model=str(tmp_path)),
    ):
        kept: list[Any] = []
        monkeypatch.setattr(
            type(images),
            "post_process_for_mask_generation",
            lambda self, masks, scores, boxes, _, kept=kept: (kept.append(scores), masks, scores, masks, boxes)[1:],
        )
        made(picture, **settings)
        found.append(kept[0])
    assert found[0].numel() == 12  # three masks for each of four points
    assert_close(*found)
    with pytest.raises(ConfigurationError, match=r"50 × 40 .*square_picture\(picture\)"):
        made(picture.crop((0, 0, 50, 40)), **settings)


@torch.no_grad()
def test_it_is_exact_from_square_pictures_on(processor: Any, picture: Image.Image) -> None:
    model, made = small_sam.wrap("sam", TURNS, "equitune"), symmetric_processor(processor, square=True)
    upright, turned = (model(**made(one, return_tensors="pt")) for one in (picture, picture.rotate(90)))
    assert_close(turned.pred_masks, upright.pred_masks.rot90(1, (-2, -1)), atol=1e-5, rtol=0)


def test_a_trainer_trains_the_canonicalizer_by_its_prior(tmp_path: Any) -> None:
    model = small_sam.wrap("sam", TURNS, "canonical", task_weight=0)
    rows = [{"pixel_values": image} for image in small_sam.images(4)]
    settings = TrainingArguments(
        str(tmp_path), max_steps=3, learning_rate=0.05, report_to=[], use_cpu=True, save_strategy="no"
    )
    before, base = model.select_network.scores(small_sam.images(4)).softmax(1)[:, 0].mean(), model.base.state_dict()
    base = {name: value.clone() for name, value in base.items()}
    Trainer(model, settings, train_dataset=rows).train()
    assert model.select_network.scores(small_sam.images(4)).softmax(1)[:, 0].mean() > before
    assert all(torch.equal(value, base[name]) for name, value in model.base.state_dict().items())


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({}, ConfigurationError, "needs either pixel_values or image_embeddings"),
        ({"pixel_values": 1, "image_embeddings": 1}, ConfigurationError, "needs either"),
        ({"image_embeddings": torch.zeros(2, 16, 8, 8)}, ConfigurationError, r"is a Tensor, .*get_image_embeddings"),
        ({"pixel_values": torch.zeros(2, 3, 64, 32)}, ActionError, r"shape \(images, 3, 64, 64\).* \(2, 3, 64, 32\)"),
        ({"pixel_values": small_sam.images(), "labels": torch.zeros(2)}, ConfigurationError, "labels= .*a loss"),
        ({"pixel_values": small_sam.images(), "attention_similarity": 1}, ConfigurationError, "is a map of the image"),
        ({"pixel_values": small_sam.images(), "colour": 1}, ConfigurationError, "colour= .*SamModel takes no such"),
        (
            {"pixel_values": small_sam.images(), "input_boxes": torch.ones(1, 3, 4)},
            ActionError,
            "prompts for 1 images",
        ),
    ],
)
def test_bad_input_is_refused_before_the_base_runs(
    given: dict[str, Any], error: type[HfEquiError], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_sam.wrap("sam", TURNS)
    monkeypatch.setattr(model.base.vision_encoder, "forward", None)
    with pytest.raises(error, match=message):
        model(**given)


def test_embeddings_of_another_group_are_refused() -> None:
    given = small_sam.wrap("sam", TURNS, "canonical").get_image_embeddings(small_sam.images())
    with pytest.raises(ConfigurationError, match=r"holds 1 members of .*make them with this model"):
        small_sam.wrap("sam", TURNS, "equitune")(image_embeddings=given)


@pytest.mark.parametrize("family", FAMILIES[1:])
def test_other_families_are_saved_and_loaded(family: str, tmp_path: Any) -> None:
    model, asked = small_sam.wrap(family, TURNS, "equizero"), small_sam.prompts()
    model.save_pretrained(tmp_path)
    loaded = AutoModelForMaskGeneration.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        assert_close(loaded(small_sam.images(), **asked).pred_masks, model(small_sam.images(), **asked).pred_masks)

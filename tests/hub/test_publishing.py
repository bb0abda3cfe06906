"""Checks come first, then one commit."""

from __future__ import annotations

import copy
import json
import shutil

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file
from small_models import BOTH, base_model, tokenizer
from transformers import Trainer, TrainingArguments
from wrapped_texts import wrap

import hf_equi
from hf_equi import DemographicGroup, EquiLM
from hf_equi.bases.embedded import embedded_folder
from hf_equi.errors import ConfigurationError, HfEquiWarning
from hf_equi.hub import prepare, publish, publishing, send
from hf_equi.hub.checkpoints import load_checkpoint


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    wrap().save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "model")


def files(hub, name):
    return {path: stored.content for path, stored in hub.repositories[name].find("main").files.items()}


def test_the_folder_is_what_is_in_the_repository(hub, folder):
    prepared = prepare(folder, "me/fair", license="mit")
    assert not hub.repositories
    assert not (folder / "README.md").exists()
    url = publish(folder, "me/fair", license="mit", commit_message="Hello")
    assert url.startswith(f"{hub.url}/me/fair/commit/")
    there = files(hub, "me/fair")
    assert there.pop(".gitattributes")
    assert there == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(there) == set(prepared.files)
    assert there["README.md"].decode() == prepared.card
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"} <= set(there)
    assert len(hub.repositories["me/fair"].commits) == 2  # the one that the Hub makes, and ours
    assert 'from_pretrained("me/fair")' in prepared.card
    assert ModelCard(prepared.card).data.license == "mit"


@pytest.mark.parametrize("is_main_process", [True, False])
def test_of_several_processes_one_uploads(hub, tmp_path, monkeypatch, is_main_process):
    (lm := wrap()).push_to_hub("me/fair", license="mit")
    before = files(hub, "me/fair")
    for name, result in (("is_initialized", True), ("get_rank", 1 if is_main_process else 0)):
        monkeypatch.setattr(torch.distributed, name, lambda result=result: result)
    assert lm.push_to_hub("me/fair", license="mit", is_main_process=is_main_process) is None
    to = {"push_to_hub": True, "repo_id": "me/fair", "license": "mit", "is_main_process": is_main_process}
    lm.save_pretrained(tmp_path / "saved", **to)
    assert files(hub, "me/fair") == before
    assert not list((tmp_path / "saved").iterdir())


def test_a_model_goes_out_as_a_folder_does(hub, tmp_path):
    lm = wrap()
    lm.push_to_hub("fair", license="mit", tags=["mine"], commit_description="why")
    lm.save_pretrained(tmp_path / "saved", True, None, True, repo_id="me/again", private=True, license="mit")
    pushed, saved = files(hub, "me/fair"), files(hub, "me/again")
    assert set(pushed) == set(saved) > {"model.safetensors", "tokenizer.json", "import_hf_equi.py", "README.md"}
    assert hub.repositories["me/again"].private
    assert {"mine", "hf_equi"} <= set(ModelCard(pushed["README.md"].decode()).data.tags)
    assert (
        pushed["model.safetensors"]
        == saved["model.safetensors"]
        == (tmp_path / "saved" / "model.safetensors").read_bytes()
    )


def test_a_model_that_moves_words_of_several_tokens_is_loaded_from_the_hub_as_it_was(hub):
    group = DemographicGroup([["man", "woman"], ["old king", "queen"]])
    lm = hf_equi.symmetrize(base_model(), group, tokenizer=tokenizer(), multi_token="compose", look_ahead=0.25)
    lm.push_to_hub("me/words", license="mit")
    assert "old king" in ModelCard(files(hub, "me/words")["README.md"].decode()).text
    loaded, prompt = EquiLM.from_pretrained("me/words"), tokenizer()("the old king met", return_tensors="pt")
    assert loaded.action.same_as(lm.action)
    assert loaded.config.look_ahead == 0.25
    how = {"max_new_tokens": 6, "do_sample": True, "seed": 3}
    assert torch.equal(loaded.generate(**prompt, **how), lm.generate(**prompt, **how))


def clutter(folder, outside):
    """Put beside a checkpoint what must never go out; return its names, as they are said."""
    outside.write_text("of another account")
    for name in ("secrets.json", "patients.csv", "id_rsa", "train.py", ".env", "sub/.env", "sub/.git/config"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("secret")
    (folder / "checkpoint-5").mkdir()
    for name in ("optimizer.pt", "pytorch_model.bin", "checkpoint-5/model.safetensors", "vocab.json"):
        (folder / name).write_bytes(b"")
    (folder / "shadow").symlink_to(outside)
    return {".env", "checkpoint-5/", "id_rsa", "patients.csv", "secrets.json", "shadow", "sub/", "train.py"} | {
        *("optimizer.pt", "pytorch_model.bin")
    }


@pytest.mark.parametrize("place", [".", "saved"])
def test_what_is_saved_goes_up_and_nothing_beside_it(hub, tmp_path, monkeypatch, place):
    (folder := tmp_path / "run" / place).mkdir(parents=True)
    clutter(folder, tmp_path / "outside")
    (folder / "generation_config.json").symlink_to(tmp_path / "outside")
    monkeypatch.chdir(tmp_path / "run")
    before = {path.relative_to(folder) for path in folder.rglob("*")}
    lm = wrap()
    lm.push_to_hub("me/whole", license="mit")
    lm.save_pretrained(place, push_to_hub=True, repo_id="me/fair", license="mit")
    there = files(hub, "me/fair")
    assert set(there) == set(files(hub, "me/whole"))
    assert there.pop(".gitattributes")
    assert {name: (folder / name).read_bytes() for name in there} == there
    assert {path.relative_to(folder) for path in folder.rglob("*")} == before | {*map(type(folder), there)}
    assert (tmp_path / "outside").read_text() == "of another account"


def test_a_checkpoint_goes_up_and_nothing_beside_it(hub, folder, tmp_path, capsys):
    whole = {".gitattributes", "README.md", "vocab.json", *(path.name for path in folder.iterdir())}
    left_out = clutter(folder, tmp_path / "outside") | {"z\x1b[2J"}
    (folder / "z\x1b[2J").touch()
    assert set(prepare(folder, "me/fair").left_out) == left_out
    with pytest.warns(HfEquiWarning, match=r"not uploaded: \.env, checkpoint-5/, id_rsa.*, train\.py, z\\x1b") as said:
        publish(folder, "me/fair")
    assert said[0].filename == __file__
    assert set(files(hub, "me/fair")) == whole
    listed = ", ".join(sorted(whole - {".gitattributes"}))
    assert f"Uploading to me/fair: {listed}\n" in capsys.readouterr().err


def test_a_scorer_that_nobody_else_has_is_not_named(hub, tmp_path):
    classifier = shutil.copytree(embedded_folder("demo_regard"), tmp_path / "regard")
    settings = {"tokenizer": tokenizer(), "method": "equizero"}
    lm = hf_equi.symmetrize(base_model(), BOTH, scorer=hf_equi.RegardScorer(str(classifier)), **settings)
    with pytest.warns(HfEquiWarning, match=f"scorer is the folder {classifier} .*does not name"):
        lm.save_pretrained(tmp_path / "model")
    config = tmp_path / "model" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "scorer_settings": lm.config.scorer_settings}))
    for attempt in (lambda: lm.push_to_hub("me/fair"), lambda: publish(tmp_path / "model", "me/fair")):
        with pytest.raises(ConfigurationError, match="which exists only on this machine"):
            attempt()
    assert not hub.repositories
    lm.scorer = hf_equi.RegardScorer("demo")
    lm.push_to_hub("me/fair")
    assert str(tmp_path) not in files(hub, "me/fair")["config.json"].decode()


def _refuse_link(folder):
    (folder / "model.safetensors").rename(folder.parent / "weights")
    (folder / "model.safetensors").symlink_to(folder.parent / "weights")


def _refuse_plain(folder):
    base_model().save_pretrained(folder)


def _refuse_tokenizer(folder):
    for path in folder.glob("tokenizer*"):
        path.unlink()


def _refuse_weights(folder):
    weights = load_file(folder / "model.safetensors")
    weights.pop("base.transformer.h.0.attn.c_attn.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _refuse_what_is_no_number(folder):
    weights = load_file(folder / "model.safetensors")
    weights["base.transformer.ln_f.weight"][:] = 3e38  # whose products are not finite
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _refuse_damage(folder):
    (folder / "model.safetensors").unlink()


def _refuse_half_a_file(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def _refuse_half_a_config(folder):
    config = folder / "config.json"
    config.write_text(config.read_text()[:200])


def _refuse_shards_of_before(folder):
    shutil.copy(folder / "model.safetensors", folder / "model-00001-of-00002.safetensors")


def _refuse_weights_beside_a_name(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "stores_base": False, "base_name": "me/base"}))


def _refuse_lost_module(folder):
    (folder / "import_hf_equi.py").unlink()


def _refuse_code_of_others(folder):
    config = json.loads((folder / "config.json").read_text())
    loaders = {**config["auto_map"], "AutoModelForCausalLM": "someone/else--import_hf_equi.EquiLM"}
    (folder / "config.json").write_text(json.dumps({**config, "auto_map": loaders}))


def _refuse_no_code(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "auto_map": {**config["auto_map"], "AutoModel": 7}}))


def _refuse_card(folder):
    (folder / "README.md").write_text("# mine\n")


@pytest.mark.filterwarnings("ignore:.*newly initialized")
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_refuse_link, "model.safetensors is a link to .*weights.*publish the copy"),
        (_refuse_plain, "holds a 'gpt2' model, which is not symmetrised"),
        (_refuse_tokenizer, "saved without its tokenizer"),
        (_refuse_weights, "do not fit its config: missing keys base.transformer.h.0.attn.c_attn.weight"),
        (_refuse_what_is_no_number, "error of the EquiLM is nan, which is not finite"),
        (_refuse_damage, "safetensors"),
        (
            _refuse_half_a_file,
            r"model\.safetensors cannot be read .*Error while deserializing header.*save the model again",
        ),
        (_refuse_half_a_config, r"config.json in .* cannot be read.*Save the model again"),
        (_refuse_shards_of_before, "holds model-00001-of-00002.safetensors, which its config does not load"),
        (_refuse_weights_beside_a_name, "holds model.safetensors, which its config does not load"),
        (_refuse_lost_module, "lacks import_hf_equi.py, with which trust_remote_code=True loads"),
        (_refuse_code_of_others, "names 'someone/else--import_hf_equi.EquiLM' in its auto_map.*other code would run"),
        (_refuse_no_code, r"auto_map does not name a class for each Auto class: .*'AutoModel': 7"),
        (_refuse_card, "was not written by hf_equi"),
        (shutil.rmtree, "does not exist: make one"),
    ],
)
def test_what_is_not_right_is_refused_before_the_hub_is_asked(hub, folder, spoil, message):
    spoil(folder)
    with pytest.raises(ConfigurationError, match=message):
        publish(folder, "me/fair")
    assert not hub.requests


def _change_weights(folder):
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-4] + b"\0\0\0\0")


def _change_card(folder):
    (folder / "README.md").symlink_to(folder.parent / "elsewhere")


def _change_card_to_nothing(folder):
    (folder / "README.md").symlink_to(folder.parent / "nowhere")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_change_weights, "model.safetensors in .* changed after"),
        (_refuse_damage, "model.safetensors in .* changed after"),
        (_refuse_link, "model.safetensors is a link"),
        (_change_card, "README.md is a link to .*elsewhere"),
        (_change_card_to_nothing, "README.md is a link to .*nowhere"),
    ],
)
def test_what_goes_up_is_what_was_checked(hub, folder, change, message):
    (folder.parent / "elsewhere").write_text("mine")
    prepared = prepare(folder, "me/fair")
    change(folder)
    with pytest.raises(ConfigurationError, match=message):
        send(prepared)
    assert not hub.requests
    assert (folder.parent / "elsewhere").read_text() == "mine"
    assert not (folder.parent / "nowhere").exists()


def test_what_goes_up_is_what_was_loaded(hub, folder, monkeypatch):
    """And measured: a training beside it saves its next weights."""

    def load_before_they_change(path):
        loaded = load_checkpoint(path)
        _change_weights(path)
        return loaded

    monkeypatch.setattr(publishing, "load_checkpoint", load_before_they_change)
    with pytest.raises(ConfigurationError, match=r"model\.safetensors in .* changed after the check of .* began"):
        publish(folder, "me/fair")
    assert not hub.requests


def test_an_argument_that_is_none_is_refused(hub, folder):
    with pytest.raises(TypeError, match="publish does not take privat: it takes private"):
        publish(folder, "me/fair", privat=True)
    with pytest.raises(TypeError, match="Nothing is published: unknown arguments privat"):
        wrap().push_to_hub("me/fair", privat=True)
    assert not hub.requests


def test_shards_go_out_as_they_are(hub, tmp_path):
    wrap().save_pretrained(tmp_path / "model", max_shard_size="50KB")
    publish(tmp_path / "model", "me/fair")
    there = files(hub, "me/fair")
    assert {"model-00001-of-00004.safetensors", "model.safetensors.index.json"} <= set(there)
    wrap().push_to_hub("me/fair")  # whole, in their place
    assert [name for name in sorted(files(hub, "me/fair")) if "safetensors" in name] == ["model.safetensors"]
    wrap().push_to_hub("me/fair", variant="fp16")  # beside them
    for variant in (None, "fp16"):
        EquiLM.from_pretrained("me/fair", variant=variant)


def test_a_name_that_is_none_is_refused(hub, folder):
    for attempt in (
        lambda: publish(folder, "me/fair/model"),
        lambda: wrap().push_to_hub("me/.."),
        lambda: wrap().save_pretrained(folder.parent / "Über uns", push_to_hub=True),
    ):
        with pytest.raises(ConfigurationError, match="is not a valid repository name"):
            attempt()
    assert not (folder.parent / "Über uns").exists()
    assert not hub.requests


def test_a_trainer_leaves_its_draft_and_publishing_the_facts(hub, tmp_path):
    """A `Trainer` pushes a card of its own; publishing its folder adds the facts, and keeps what it wrote."""
    ids = tokenizer()("the man met the woman", return_tensors="pt")["input_ids"][0]
    settings = {"max_steps": 1, "report_to": [], "save_strategy": "no", "use_cpu": True, "disable_tqdm": True}
    arguments = TrainingArguments(str(tmp_path / "run"), push_to_hub=True, hub_model_id="me/run", **settings)
    trainer = Trainer(
        wrap(copy.deepcopy(base_model())), arguments, train_dataset=[{"input_ids": ids, "labels": ids}] * 8
    )
    trainer.train()
    trainer.push_to_hub()
    draft = ModelCard(files(hub, "me/run")["README.md"].decode())
    assert {"hf_equi", "generated_from_trainer"} <= set(draft.data.tags)
    assert "Equivariance error" not in draft.text
    with pytest.warns(HfEquiWarning, match=r"not uploaded: training_args\.bin$"):
        publish(tmp_path / "run", "me/run")
    card = files(hub, "me/run")["README.md"].decode()
    assert "## Equivariance error" in card
    assert "## Training procedure" in card
    assert "- seed: 42" in card

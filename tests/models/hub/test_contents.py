"""Which files of a folder are a checkpoint's; `tests/hub` asks the same of a server."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hub_models import published_models

from hf_equi.errors import ConfigurationError
from hf_equi.models.cards.markdown import plain
from hf_equi.models.hub.contents import all_states, list_files, read_contents

CHECKPOINT = (
    *(".eval_results/regard.yaml", "LICENSE", "README.md", "additional_chat_templates/tool.jinja", "config.json"),
    *("generation_config.json", "import_hf_equi.py", "merges.txt", "model-00001-of-00002.safetensors"),
    *("model.safetensors.index.json", "target_tokenizer/prophetnet.tokenizer", "target_tokenizer/vocab.json"),
    "tokenizer.json",
)
COMPANIONS = ("tokenizer.json", "target_tokenizer/prophetnet.tokenizer")
OTHERS = (
    *("secrets.json", "patients.csv", "id_rsa", "key.pem", "notes.md", "notes.png", "train.py", "model.py"),
    *(".env", ".git/config", "sub/.env", "sub/.git/config", ".eval_results/x/y.yaml", ".eval_results/.y.yaml"),
    *("target_tokenizer/.env", "target_tokenizer/patients.csv", "target_tokenizer/config.json"),
    *("additional_chat_templates/.x.jinja", "additional_chat_templates/x.py"),
    *("optimizer.pt", "optimizer.safetensors", "training_args.bin", "trainer_state.json", "rng_state_0.pth"),
    *("checkpoint-5/model.safetensors", "checkpoint-5/config.json", "last/tokenizer.json", "runs/now/events"),
    *("pytorch_model.bin", "adapter_model.safetensors", "model.fp16.safetensors", "xmodel.safetensors", "scorer.pkl"),
)


def write(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def test_only_what_a_checkpoint_holds_goes_and_the_rest_is_named(tmp_path):
    write(tmp_path, *CHECKPOINT, *OTHERS)
    (tmp_path / "vocab.txt").mkdir()
    os.mkfifo(tmp_path / "LICENSE.md")
    files, left_out = read_contents(tmp_path, COMPANIONS, "")
    assert files == CHECKPOINT
    assert {name for name in OTHERS if not any(name.startswith(one) for one in left_out)} == set()
    assert {"sub/", ".git/", "checkpoint-5/", ".eval_results/x/", "secrets.json", "vocab.txt/", "LICENSE.md"} <= {
        *left_out
    }
    assert not [name for name in left_out if name in files]


def test_images_go_if_the_card_shows_them(tmp_path):
    write(tmp_path, "a.png", "b/c d.JPG", "e.svg", "f.png", "g.csv", ".h.png", "b/.i/j.png")
    card = """![one](a.png "title") ![two](b/c%20d.JPG) <IMG alt=x SRC='e.svg'> ![](g.csv) ![](.h.png) ![](b/.i/j.png)
    ![](../../k.png) ![](/etc/l.png) ![](https://example.org/f.png)"""
    contents = read_contents(tmp_path, (), card)
    assert contents.files == ("a.png", "b/c d.JPG", "e.svg")
    assert contents.left_out == (".h.png", "b/.i/", "f.png", "g.csv")


@pytest.mark.parametrize(
    "card",
    [
        "---\nlicense_name: '![](a.png)'\nlicense: <img src=a.png>\n---\n# Model\n",  # of the base's own card
        f"# Model\n{plain('![x](a.png)')} {plain('<img src=a.png >')}\n",
        "# Model\n\n```\n![](a.png)\n```\n",
    ],
)
def test_what_others_wrote_in_a_card_sends_no_image(tmp_path, card):
    write(tmp_path, "a.png", "b.png")
    assert read_contents(tmp_path, (), f"{card}\n![](b.png)\n").files == ("b.png",)


@pytest.mark.parametrize("name", ["config.json", "README.md", "tokenizer.json", "target_tokenizer", "shown.png"])
def test_a_link_is_refused_where_it_would_go_out(tmp_path, name):
    folder, elsewhere = tmp_path / "model", tmp_path / "elsewhere"
    write(elsewhere, "vocab.json")
    write(folder, "model.safetensors")
    (folder / "data").symlink_to(elsewhere)  # which stays
    assert read_contents(folder, COMPANIONS, "![](shown.png)").left_out == ("data",)
    (folder / name).symlink_to(elsewhere)
    with pytest.raises(
        ConfigurationError, match=f"{name} is a link to {elsewhere}.*publish the copy: cp -rL {folder}"
    ):
        read_contents(folder, COMPANIONS, "![](shown.png)")


def test_the_states_taken_first_are_of_what_may_go_out(tmp_path):
    template = "target_tokenizer/additional_chat_templates/tool.jinja"
    write(tmp_path, *CHECKPOINT, *OTHERS, template, "lib/python/site/a.py", "plots/2/loss.png")
    (tmp_path / "README.md").write_text("![](plots/2/loss.png)")
    states = all_states(tmp_path)
    files = read_contents(tmp_path, COMPANIONS, "![](plots/2/loss.png)").files
    assert {"plots/2/loss.png", template, *CHECKPOINT} <= {*files} <= {*states}
    assert not {"lib/python/site/a.py", "sub/.git/config", "runs/now/events"} & {*states}


def test_a_checkpoint_that_a_training_deletes_is_not_missed(tmp_path, monkeypatch):
    write(tmp_path, "config.json", "checkpoint-5/config.json", "target_tokenizer/vocab.json")

    def entries(folder, listed=Path.iterdir):
        if folder != tmp_path:
            shutil.rmtree(folder)
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", entries)
    assert [*all_states(tmp_path)] == ["config.json"]
    (tmp_path / "target_tokenizer").mkdir()
    assert read_contents(tmp_path, ["target_tokenizer/vocab.json"], "").files == ("config.json",)


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # by peft
def test_all_that_a_model_of_any_kind_writes_goes(tmp_path):
    for number, published in enumerate(published_models().values()):
        published.model.save_pretrained(folder := tmp_path / str(number))
        written = list_files(folder)
        assert {"config.json", "import_hf_equi.py", "model.safetensors"} < {*written}
        write(folder, "secrets.json", "sub/.env")
        assert read_contents(folder, published.model.companion_files(), "") == (written, ("secrets.json", "sub/"))

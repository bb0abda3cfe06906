"""Cards of every class: their heads, their facts, and lines of usage that run."""

from __future__ import annotations

import re

import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from small_models import BOTH, GENDER, base_model, tokenizer
from small_processors import clip_processor, image_processor, reading_clip
from small_seq2seq import TWO
from small_seq2seq import wrap as wrap_seq2seq
from wrapped_vision import SQUARE, TURNS
from wrapped_vision import wrap as wrap_classifier

import hf_equi
from hf_equi import RegardScorer
from hf_equi.errors import ConfigurationError
from hf_equi.models.cards.kinds import PLACE
from hf_equi.models.cards.writing import Previous, make_card, read_previous


def losses(texts):
    return torch.tensor([float(len(text) % 7) for text in texts])


def causal(**settings):
    return hf_equi.symmetrize(base_model(), BOTH, tokenizer=tokenizer(), **settings)


MODELS = {
    "EquiLM": causal,
    "EquizeroLM": lambda: causal(method="equizero", scorer=RegardScorer("demo")),
    "EquizeroLM without its loss": lambda: causal(method="equizero", scorer=losses),
    "EquiForSeq2SeqLM": lambda: wrap_seq2seq("lstm", TWO, "equizero"),
    "EquiForImageClassification": lambda: wrap_classifier("vit", SQUARE, "lambda", processor=image_processor()),
    "EquiForImageClassification without a processor": lambda: wrap_classifier("resnet", TURNS),
    "EquiCLIPModel": lambda: hf_equi.symmetrize(
        reading_clip("clip"), TURNS, "equizero", processor=clip_processor("clip")
    ),
    "EquiSiglipModel": lambda: hf_equi.symmetrize(reading_clip("siglip"), TURNS, processor=clip_processor("siglip")),
}


@pytest.mark.filterwarnings("ignore:This EquizeroLM was saved without its scorer")  # which the lines then pass
@pytest.mark.parametrize("name", MODELS)
def test_the_lines_of_usage_run(tmp_path, monkeypatch, capsys, name):
    """With `import hf_equi`, and with the module that the checkpoint brings."""
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    model = MODELS[name]().eval()
    model.save_pretrained(tmp_path / "model")
    card = make_card(model)
    blocks = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert len(blocks) == 2
    assert "trust_remote_code=True" in blocks[1]
    assert blocks[0].startswith("import hf_equi\n")
    assert len(blocks[0].splitlines()) == 5
    for block in blocks:
        exec(block.replace(PLACE, str(tmp_path / "model")), {"hf_equi": hf_equi})
        assert capsys.readouterr().out.strip()
    assert f"`{type(model).__name__}`" in card
    assert "| this model | at most 1e-05 |" in card


def test_the_head_holds_base_licence_and_tags():
    model = causal()
    model.config.base_name, model.config.base_revision = "someone/small", "a" * 40
    data = ModelCard(make_card(model, license="mit", tags="mine", repo_id="me/fair")).data
    assert (data.base_model, data.base_model_relation, data.license) == ("someone/small", "finetune", "mit")
    assert (data.pipeline_tag, data.library_name) == ("text-generation", "transformers")
    assert {"hf_equi", "equivariance", "fairness", "equitune", "mine"} <= set(data.tags)
    card = make_card(model, license="mit", repo_id="me/fair")
    assert "# fair\n" in card
    assert 'from_pretrained("me/fair")' in card
    assert f"at revision `{'a' * 40}`" in card


def test_without_a_licence_the_card_says_so():
    card = make_card(causal())
    assert ModelCard(card).data.license is None
    assert "No licence is named" in card


HOSTILE = """# Buy now
<script>alert(1)</script> ![x](y) <!-- hidden
```
| a | b |
---
"""


@pytest.mark.parametrize("where", ["base", "before", "argument"])
def test_what_others_wrote_is_shown_as_it_is(tmp_path, monkeypatch, where):
    """Of a licence, a base's name and a version nothing is Markdown, and all that comes after is still there."""
    model, previous, license = causal(), Previous(), None
    head = {"license": "other", "license_name": HOSTILE, "language": ["<!-- x\n---\n# y"], "base_model": HOSTILE}
    model.config.hf_equi_version = HOSTILE
    if where == "base":
        monkeypatch.setattr(model.base.config, "_name_or_path", str(tmp_path))
        (tmp_path / "README.md").write_text(f"---\n{yaml.safe_dump(head)}---\n")
    elif where == "before":
        previous = Previous(head)
    else:
        license = HOSTILE * 20
    card = make_card(model, previous=previous, license=license)
    text = ModelCard(card).text
    plain = r"\# Buy now \<script\>alert(1)\</script\> !\[x\](y) \<!-- hidden \`\`\` \| a \| b \| ---"
    assert f"\n## Licence\n\n{plain}" in text
    assert f"| hf_equi | {plain} |" in text
    assert ("Its base is " + plain in text) == (where == "before")
    licence = text[text.index("## Licence") : text.index("## Citation")].strip().splitlines()
    assert (len(licence), len(licence[2]) < 200) == (3, True)
    assert not re.search(r"(?<!\\)<(script|!-- hidden)|^# Buy|^---$", text, re.MULTILINE)
    data = ModelCard(card).data
    assert data.license == (license or "other")
    assert where != "base" or data.license_name == HOSTILE


def test_marks_that_act_on_a_display_are_written_as_escapes_in_the_head_too():
    head = {"license": "0.\u202e299", "language": "\u202een", "license_link": "x\u2028\x1b[2J"}
    card = make_card(causal(), previous=Previous(head, "## Training\n\nloss 0.\u202e299\u200b"))
    assert all(letter in "\n\t" or letter.isprintable() for letter in card)
    assert r"0.\u202e299" in card
    again = {name: getattr(ModelCard(card).data, name) for name in head}
    assert make_card(causal(), previous=Previous(again)).splitlines()[:4] == card.splitlines()[:4]


def test_a_repository_without_weights_says_so():
    assert "holds no weights" in make_card(causal(), stores_base=False)
    assert "holds no weights" not in make_card(causal())


def test_the_card_before_hands_on_licence_and_training(tmp_path):
    path = tmp_path / "README.md"
    assert read_previous(path) == Previous()
    head = "---\nlicense: mit\nlanguage: de\ntags:\n- generated_from_trainer\n---\n"
    path.write_text(f"{head}# run\n\nMore information needed\n\n## Training procedure\n\n- seed: 42\n")
    card = make_card(causal(), previous=read_previous(path))
    assert "More information needed" not in card
    assert "## Training procedure\n\n- seed: 42\n\n## Licence\n\nmit." in card
    path.write_text(card)
    again = make_card(causal(), previous=read_previous(path))
    assert again == card  # as often as one likes
    assert ModelCard(make_card(causal(), previous=read_previous(path), license="apache-2.0")).data.license != "mit"


def test_a_card_that_others_wrote_is_not_lost(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("# What I thought\n")
    with pytest.raises(ConfigurationError, match="was not written by hf_equi and would be lost"):
        read_previous(path)


def test_a_text_model_needs_its_tokenizer():
    model = hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer())
    model._tokenizer = None
    with pytest.raises(ConfigurationError, match="saved without its tokenizer"):
        make_card(model)

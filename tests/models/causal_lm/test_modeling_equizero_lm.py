from __future__ import annotations

import copy
import shutil
import warnings

import pytest
import torch
from small_models import BOTH, GENDER, base_model, tokenizer
from torch import nn
from transformers import AutoModelForCausalLM, GenerationConfig, TextIteratorStreamer, pipeline

import hf_equi
from hf_equi import EquizeroLM, EquizeroSearch, RegardScorer
from hf_equi.bases.embedded import embedded_folder
from hf_equi.errors import ConfigurationError, HfEquiWarning
from hf_equi.generation.scorers import DEFAULT_REGARD

SETTINGS = {"do_sample": True, "max_new_tokens": 7, "seed": 5, "top_k": 0}


def lengths(texts: list[str]) -> torch.Tensor:
    return torch.tensor([float(sum(map(ord, text)) % 97) for text in texts])


def wrap(**settings) -> EquizeroLM:
    return hf_equi.symmetrize(
        base_model(), BOTH, "equizero", tokenizer=tokenizer(), **{"scorer": lengths, "beam_length": 3, **settings}
    )


def prompts():
    return tokenizer()(["The man worked as", "The woman worked as"], return_tensors="pt")


def test_it_decodes_as_the_search_does_on_the_base():
    lm = wrap()
    assert type(lm) is EquizeroLM
    search = EquizeroSearch(BOTH, tokenizer(), lengths, beam_length=3)
    expected = base_model().generate(**prompts(), custom_generate=search, **SETTINGS)
    assert torch.equal(lm.generate(**prompts(), **SETTINGS), expected)


def test_forward_is_that_of_equi_lm():
    equi = hf_equi.symmetrize(base_model(), BOTH, tokenizer=tokenizer())
    labels = prompts()["input_ids"]
    ours, other = wrap()(**prompts(), labels=labels), equi(**prompts(), labels=labels)
    assert torch.equal(ours.logits, other.logits)
    assert torch.equal(ours.loss, other.loss)


def test_settings_for_one_call():
    lm = wrap()
    smaller = hf_equi.symmetrize(
        base_model(), GENDER, "equizero", tokenizer=tokenizer(), scorer=lambda texts: -lengths(texts), beam_length=2
    )
    texts = lm.generate(**prompts(), **SETTINGS, group=GENDER, scorer=lambda texts: -lengths(texts), beam_length=2)
    assert torch.equal(texts, smaller.generate(**prompts(), **SETTINGS))
    assert lm.config.beam_length == 3
    with pytest.raises(ConfigurationError, match="beam_length=0"):
        lm.generate(**prompts(), beam_length=0)


def test_its_own_generation_config_holds():
    lm = wrap()
    lm.generation_config = copy.deepcopy(lm.generation_config)
    lm.generation_config.max_new_tokens = 4
    assert lm.generate(**prompts()).shape[1] == prompts()["input_ids"].shape[1] + 4
    assert base_model().generation_config.max_new_tokens is None


def test_stop_strings_and_streamer():
    lm = wrap()
    one = tokenizer()(["The man worked as"], return_tensors="pt")
    whole = lm.generate(**one, **SETTINGS)
    new = [tokenizer().decode(token) for token in whole[0, one["input_ids"].shape[1] :]]
    stop = next(text for text in new[:-1] if text.isascii() and text.isprintable())
    stopped = lm.generate(
        **one,
        **SETTINGS,
        stop_strings=[stop],
        scorer=lambda texts: torch.tensor([float(stop not in t) for t in texts]),
    )
    assert stopped.shape[1] < whole.shape[1]
    assert tokenizer().decode(stopped[0]).endswith(stop)
    streamer = TextIteratorStreamer(tokenizer(), timeout=5)
    lm.generate(**one, **SETTINGS, streamer=streamer)
    assert "".join(streamer) == tokenizer().decode(whole[0])


def test_pipeline():
    lm = wrap()
    made = pipeline("text-generation", model=lm, tokenizer=tokenizer())
    text = made("The man worked as", max_new_tokens=4, do_sample=False)[0]["generated_text"]
    assert text.startswith("The man worked as")


def test_a_scorer_without_a_name_is_asked_for_when_loading(tmp_path):
    lm = wrap()
    expected = lm.generate(**prompts(), **SETTINGS)
    lm.save_pretrained(tmp_path)
    with pytest.warns(HfEquiWarning, match="pass scorer= to from_pretrained"):
        bare = AutoModelForCausalLM.from_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match="has no scorer"):
        bare.generate(**prompts(), **SETTINGS)
    assert torch.equal(bare(**prompts()).logits, lm(**prompts()).logits)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path, scorer=lengths)
    assert type(loaded) is EquizeroLM
    assert torch.equal(loaded.generate(**prompts(), **SETTINGS), expected)


def test_a_named_scorer_is_saved_with_its_settings(tmp_path):
    lm = wrap(scorer=RegardScorer("demo", score="label", mask=GENDER, batch_size=8), action="words")
    expected = lm.generate(**prompts(), **SETTINGS)
    lm.save_pretrained(tmp_path)
    loaded = EquizeroLM.from_pretrained(tmp_path)
    assert loaded.config.scorer_settings == {
        "name": "demo", "score": "label", "mask": GENDER.to_dict(), "batch_size": 8,
    }  # fmt: skip
    assert (loaded.config.beam_length, loaded.config.action) == (3, "words")
    assert torch.equal(loaded.generate(**prompts(), **SETTINGS), expected)


@pytest.mark.filterwarnings("ignore:This EquizeroLM was saved without its scorer")
def test_a_checkpoint_names_no_folder_of_this_machine(tmp_path):
    classifier = shutil.copytree(embedded_folder("demo_regard"), tmp_path / "regard")
    lm = wrap(scorer=RegardScorer(classifier))
    with pytest.warns(HfEquiWarning, match=f"scorer is the folder {classifier} on this machine.*pass scorer=") as said:
        lm.save_pretrained(tmp_path / "saved")
    assert said[0].filename == __file__
    assert not [path for path in (tmp_path / "saved").iterdir() if str(tmp_path).encode() in path.read_bytes()]
    assert str(tmp_path) not in lm.make_card(tmp_path / "README.md")
    assert 'scorer=hf_equi.RegardScorer("demo")' in lm.make_card(tmp_path / "README.md")
    assert lm.scorer.name == lm.config.scorer_settings["name"] == str(classifier)
    loaded = EquizeroLM.from_pretrained(tmp_path / "saved", scorer=RegardScorer(classifier))
    assert torch.equal(loaded.generate(**prompts(), **SETTINGS), lm.generate(**prompts(), **SETTINGS))


def test_without_a_scorer_the_published_one_is_named_and_not_yet_loaded():
    lm = hf_equi.symmetrize(base_model(), GENDER, "equizero", tokenizer=tokenizer())
    assert lm.config.scorer_settings == {"name": "sasha/regardv3"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scorer": "regard"}, "scorer='regard' cannot be called"),
        ({"beam_length": True}, "beam_length=True"),
        ({"action": "letters"}, "action='letters'"),
        ({"method": "equitune"}, "scorer, beam_length: only method='equizero' searches"),
    ],
)
def test_settings_are_checked(settings, message):
    given = {"method": "equizero", "scorer": lengths, "beam_length": 3, **settings}
    with pytest.raises(ConfigurationError, match=message):
        hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer(), **given)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_beams": 2}, "num_beams asks for another search"),
        ({"seed": 1.5}, "seed=1.5 is not a seed"),
        ({"scorer": 3}, "scorer=3 cannot be called"),
        ({"cache_implementation": "static"}, "leave cache_implementation out"),
        ({"custom_generate": "some/repository"}, "custom_generate asks for another search"),
        ({"assistant_model": base_model()}, "assistant_model asks for another search"),
        ({"group": "gender"}, "group='gender' is not a DemographicGroup"),
    ],
)
def test_calls_are_checked(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        wrap().generate(**prompts(), max_new_tokens=3, **settings)


def test_words_need_no_single_tokens():
    group = hf_equi.DemographicGroup([["fire fighter", "police officer"]])
    with warnings.catch_warnings():
        warnings.simplefilter("error", HfEquiWarning)  # of sets without tokens, which words do not need
        lm = hf_equi.symmetrize(
            base_model(), group, "equizero", tokenizer=tokenizer(), scorer=lengths, action="words", beam_length=3
        )
    given = tokenizer()(["The fire fighter said", "The police officer said"], return_tensors="pt", padding=True)
    first, second = tokenizer().batch_decode(lm.generate(**given, **SETTINGS), skip_special_tokens=True)
    assert first.replace("fire fighter", "police officer") == second


class Classifier(nn.Module):
    """A scorer that is a module, with a weight of its own."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, texts):
        return lengths(texts) * self.weight[0]


@pytest.mark.parametrize("how", ["symmetrize", "attribute", "from_pretrained"])
def test_a_scorer_that_is_a_module_is_no_part_of_the_model(how, tmp_path):
    plain, scorer = wrap(), Classifier()
    expected = plain.generate(**prompts(), **SETTINGS)
    if how == "symmetrize":
        lm = wrap(scorer=scorer)
    elif how == "attribute":
        lm = wrap(scorer=lambda texts: -lengths(texts))
        lm.scorer = scorer
    else:
        plain.save_pretrained(tmp_path / "plain")
        lm = EquizeroLM.from_pretrained(tmp_path / "plain", scorer=scorer)
    assert lm.scorer is scorer
    assert torch.equal(lm.generate(**prompts(), **SETTINGS), expected)
    assert set(lm.state_dict()) == set(plain.state_dict())
    assert not any(module is scorer for module in lm.modules())
    assert not any(weight is scorer.weight for weight in lm.parameters())
    lm.eval()
    assert scorer.training
    lm.save_pretrained(tmp_path / "saved")
    loaded = EquizeroLM.from_pretrained(tmp_path / "saved", scorer=lengths)
    assert torch.equal(loaded.generate(**prompts(), **SETTINGS), expected)


def fresh(**settings) -> EquizeroLM:
    """A wrapper whose base is its own, so that its settings can be changed."""
    return hf_equi.symmetrize(
        copy.deepcopy(base_model()), BOTH, "equizero", tokenizer=tokenizer(), scorer=lengths, beam_length=3, **settings
    )


def test_gaps_of_a_given_config_are_filled_from_its_own():
    lm = fresh()
    lm.base.generation_config.eos_token_id = None
    lm.base.generation_config.max_new_tokens = 2
    ids = prompts()["input_ids"]
    free = lm.generate(**prompts(), max_new_tokens=6, eos_token_id=None)
    end = int(free[0, ids.shape[1] + 1])
    lm.generation_config.eos_token_id = end
    lm.generation_config.max_new_tokens = 6
    for given in ({"generation_config": GenerationConfig(do_sample=False)}, {}):
        out = lm.generate(**prompts(), **given)
        row = out[0, ids.shape[1] :].tolist()
        assert row[: row.index(end) + 1] == free[0, ids.shape[1] :].tolist()[: row.index(end) + 1]
        assert set(row[row.index(end) + 1 :]) <= {tokenizer().pad_token_id}
    lm.generation_config.eos_token_id = None
    assert torch.equal(lm.generate(**prompts(), generation_config=GenerationConfig(do_sample=False)), free)
    other = GenerationConfig(do_sample=False, max_new_tokens=1)
    assert lm.generate(**prompts(), generation_config=other).shape[1] == ids.shape[1] + 1
    assert lm.base.generation_config.max_new_tokens == 2


def test_settings_that_its_own_config_has_not_are_not_those_of_the_base():
    lm = fresh()
    ids = prompts()["input_ids"]
    end = int(lm.generate(**prompts(), max_new_tokens=6, eos_token_id=None)[0, ids.shape[1]])
    lm.base.generation_config.eos_token_id = end
    lm.generation_config.eos_token_id = None
    for given in ({}, {"generation_config": GenerationConfig(max_new_tokens=6)}):
        row = lm.generate(**prompts(), **(given or {"max_new_tokens": 6}))[0, ids.shape[1] :].tolist()
        assert row[0] == end
        assert tokenizer().pad_token_id not in row[1:]


@pytest.mark.parametrize("where", ["call", "given", "own", "base"])
def test_stop_strings_are_read_from_everywhere(where):
    lm = fresh()
    lm.generation_config.eos_token_id = None
    one = tokenizer()(["The man worked as"], return_tensors="pt")
    width = one["input_ids"].shape[1]
    # One token a draft, so that the end of a draft changes no choice.
    whole = lm.generate(**one, beam_length=1, max_new_tokens=6)[0]
    stop = tokenizer().decode(whole[: width + 2])[len(tokenizer().decode(whole[:width])) :]
    given = {}
    if where == "call":
        given["stop_strings"] = [stop]
    elif where == "given":
        given["generation_config"] = GenerationConfig(stop_strings=[stop], max_new_tokens=6)
    elif where == "own":
        lm.generation_config.stop_strings = [stop]
    else:
        lm.base.generation_config.stop_strings = [stop]  # not this model's: it does not stop
    if where != "given":
        given["max_new_tokens"] = 6
    if where == "base":
        assert lm.generate(**one, **given, beam_length=1).shape[1] == width + 6
        return
    with pytest.warns(HfEquiWarning, match="stop_strings names a word"):  # as the text has one there
        assert lm.generate(**one, **given, beam_length=1).shape[1] <= width + 2


def test_the_settings_of_a_classifier_that_was_trained_since_are_not_saved(tmp_path):
    lm = wrap(scorer=RegardScorer("demo"))
    assert lm.config.scorer_settings["name"] == "demo"
    with torch.no_grad():
        next(lm.scorer.model.parameters()).add_(1.0)
    lm.save_pretrained(tmp_path)
    with pytest.warns(HfEquiWarning, match="saved without its scorer"):
        assert EquizeroLM.from_pretrained(tmp_path).config.scorer_settings is None


def test_a_scorer_that_is_not_found_is_named_with_the_way_out(monkeypatch):
    for name in ("dmo", "/nowhere"):
        with pytest.raises(
            ConfigurationError, match=rf"The scorer '{name}' could not be loaded: .*RegardScorer\(\"demo"
        ):
            RegardScorer(name)
    lm = hf_equi.symmetrize("demo", GENDER, "equizero")
    with pytest.raises(ConfigurationError, match=rf"scorer '{DEFAULT_REGARD}' \(the default scorer\)"):
        lm.generate(**lm.tokenizer("The man", return_tensors="pt"), max_new_tokens=1)

    def load(*given, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hf_equi.generation.classifiers.load_safetensors", load)
    with pytest.raises(OSError, match="No space left"):
        RegardScorer("demo")

"""Mistakes that were made once."""

from __future__ import annotations

import copy
import json
import os

import pytest
import torch
from accelerate import cpu_offload
from small_models import GENDER, RACE, base_model, configs, tokenizer
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel
from wrapped_texts import wrap

import hf_equi
from hf_equi import DemographicGroup, EquiLM
from hf_equi.bases.compat import CACHE
from hf_equi.errors import ActionError, ConfigurationError, UnsupportedModelError
from hf_equi.generation import EquiLogitsProcessor


def ids(*texts):
    return tokenizer()(list(texts), return_tensors="pt")["input_ids"]


def test_wrapping_leaves_the_weights_of_the_base_as_they_are():
    """Modules that the user has replaced were initialised again, and heads tied again."""
    base = copy.deepcopy(base_model("llama"))
    layer = base.model.layers[0].mlp
    layer.down_proj = nn.Linear(layer.down_proj.in_features, layer.down_proj.out_features, bias=False)
    tied = copy.deepcopy(base_model("gpt2"))
    tied.lm_head = nn.Linear(32, len(tokenizer()), bias=False)
    for model in (base, tied):
        before = {name: value.clone() for name, value in model.state_dict().items()}
        wrap(base=model)
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert tied.lm_head.weight is not tied.transformer.wte.weight


def test_top_p_does_not_take_the_lower_of_two_tied_tokens():
    lm = wrap(group=GENDER)
    man, woman = (ids(word).item() for word in (" man", " woman"))
    others = [[token] for token in range(lm.config.vocab_size) if token not in (man, woman)]
    drawn = {
        int(
            lm.generate(
                ids("person"), max_new_tokens=1, min_new_tokens=1, bad_words_ids=others, do_sample=True, top_p=0.4,
                seed=seed,
            )[0, -1]
        )
        for seed in range(20)
    }  # fmt: skip
    assert drawn == {man, woman}


def test_padding_is_inferred_as_generate_infers_it():
    encoded = tokenizer()(["the man met a person", "person"], return_tensors="pt", padding=True)
    settings = {"max_new_tokens": 5, "do_sample": True, "seed": 3}
    lm = wrap()
    assert torch.equal(lm.generate(encoded["input_ids"], **settings), lm.generate(**encoded, **settings))


@pytest.mark.parametrize("other", [RACE, DemographicGroup([["nurse", "driver"], ["song", "person"]])])
def test_a_cache_is_not_continued_with_another_group(other):
    lm = hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer(), multi_token="skip")
    cache = lm(ids("the man"), use_cache=True).cache
    with pytest.raises(UnsupportedModelError, match="cannot be continued with"):
        lm(ids(" person"), cache=cache, group=other)


def test_recurrent_layers_read_one_token_at_a_time_after_a_cache():
    lm = wrap("jamba")
    text = ids("the black man met a white woman and he")
    with torch.no_grad():
        whole = lm(text).logits[:, -1]
        cache = lm(text[:, :3], use_cache=True).cache
        torch.testing.assert_close(
            lm(text[:, 3:], cache=cache, logits_to_keep=1).logits[:, -1], whole, atol=1e-5, rtol=1e-5
        )
        cache = lm(text[:, :3], use_cache=True).cache
        with pytest.raises(UnsupportedModelError, match="cannot score"):
            lm(text[:, 3:], cache=cache)
    plain = lm.generate(text, max_new_tokens=5)
    assert lm.generate(text, max_new_tokens=5, prefill_chunk_size=3).tolist() == plain.tolist()


def test_processor_with_a_padding_token_that_begins_texts():
    """The prompt's own BOS was taken for padding; a tokenizer without padding token crashed."""
    base, idiom = base_model(), copy.deepcopy(tokenizer())
    idiom.pad_token = idiom.eos_token
    text = torch.cat([torch.tensor([[0]]), ids("the man")], dim=1)
    lm = hf_equi.symmetrize(base, GENDER, tokenizer=idiom)
    none = copy.deepcopy(tokenizer())
    none.pad_token = None
    with torch.no_grad():
        plain = base(text).logits[:, -1].log_softmax(-1)
        for used in (idiom, none):
            scores = EquiLogitsProcessor(base, GENDER, used)(text, plain)
            torch.testing.assert_close(scores, lm(text).logits[:, -1], atol=1e-5, rtol=0)


def test_training_with_a_cache_asked_for_and_checkpointing():
    lm = wrap(base=copy.deepcopy(base_model("llama")))
    lm.activation_checkpointing_enable()
    lm.train()
    text = ids("the man met")
    loss = lm(text, labels=text, use_cache=True).loss
    loss.backward()
    assert loss.isfinite()


def test_entries_of_each_text_become_entries_of_each_row():
    lm = wrap()
    texts = ids("the black man", "the black woman")
    types = torch.tensor([[5, 6, 7], [8, 9, 10]])
    both = lm(texts, token_type_ids=types).logits
    for index in range(2):
        alone = lm(texts[index : index + 1], token_type_ids=types[index : index + 1]).logits
        torch.testing.assert_close(both[index : index + 1], alone, atol=1e-5, rtol=1e-5)


def test_changed_tokenizer_or_base_is_not_saved(tmp_path):
    own = copy.deepcopy(tokenizer())
    base = copy.deepcopy(base_model())
    lm = hf_equi.symmetrize(base, GENDER, tokenizer=own)
    own.add_tokens(["sunshine"])
    with pytest.raises(ConfigurationError, match="changed since"):
        lm.save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match="not for another size"):
        lm.resize_token_embeddings(pad_to_multiple_of=64)
    base.resize_token_embeddings(400)
    with pytest.raises(ConfigurationError, match="resized to 400 rows"):
        lm.save_pretrained(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda c: c["token_map"]["sets"][1][0].pop(), ActionError, "the group has factors of"),
        (lambda c: c["token_map"].pop("sets"), ActionError, "token map is damaged"),
        (lambda c: c["token_map"]["sets"][0][0].__setitem__(0, None), ActionError, "token map is damaged"),
        (lambda c: c.__setitem__("group", None), ConfigurationError, "holds no group"),
    ],
)
def test_stored_maps_are_checked_before_the_weights(tmp_path, change, error, message):
    wrap().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    stored = json.loads((tmp_path / "config.json").read_text())
    change(stored)
    (tmp_path / "config.json").write_text(json.dumps(stored))
    with pytest.raises(error, match=message):
        EquiLM.from_pretrained(tmp_path)


@pytest.mark.parametrize("loader", [EquiLM, AutoModelForCausalLM])
def test_settings_can_be_changed_on_loading(tmp_path, loader):
    wrap().save_pretrained(tmp_path)
    assert loader.from_pretrained(tmp_path, orbit_chunk_size=1).config.orbit_chunk_size == 1


def test_chosen_element_is_that_of_the_cache():
    lm = wrap(method="canonical")
    out = lm(ids("the woman was white"), use_cache=True)
    again = lm(ids(" person"), cache=out.cache)
    assert again.chosen_element.tolist() == out.chosen_element.tolist() != [0]
    assert lm.config.keys_to_ignore_at_inference == [CACHE, "chosen_element"]


def test_loss_of_a_mixture_does_not_depend_on_a_cache():
    lm, text = wrap(method="mixture"), ids("the black man met")
    first = lm(text, labels=text, use_cache=True)
    torch.testing.assert_close(first.loss, lm(text, labels=text).loss)
    with pytest.raises(ConfigurationError, match=r"depend on the scores of the earlier tokens.*pass the whole"):
        lm(text, labels=text, cache=first.cache)


def test_special_tokens_do_not_move():
    with pytest.raises(ActionError, match="special token"):
        wrap(group=DemographicGroup([["<end>", "<pad>"]]))


def test_assistant_has_to_be_symmetrised():
    with pytest.raises(ConfigurationError, match="assistant must be symmetrised too"):
        wrap().generate(ids("the man"), max_new_tokens=3, assistant_model=base_model())


def test_what_is_no_model_is_named():
    with pytest.raises(ConfigurationError, match="A Linear is not a transformers PreTrainedModel"):
        hf_equi.symmetrize(nn.Linear(2, 2), GENDER, tokenizer=tokenizer())


def test_families_whose_inputs_name_the_kept_logits():
    """Some families' prepare_inputs_for_generation sets logits_to_keep, which was then passed twice."""
    base = copy.deepcopy(base_model("llama"))
    prepare = base.prepare_inputs_for_generation
    base.prepare_inputs_for_generation = lambda *args, **kwargs: {**prepare(*args, **kwargs), "logits_to_keep": 7}
    text = ids("the black man met")
    assert (
        wrap(base=base).generate(text, max_new_tokens=4).tolist()
        == wrap("llama").generate(text, max_new_tokens=4).tolist()
    )
    assert configs()["llama"].vocab_size == base.config.vocab_size


@pytest.mark.parametrize("method", ["equitune", "mixture"])
def test_offloaded_weights_are_on_no_device(method):
    """What the group acts with follows the prompts where the weights have no place of their own."""
    base = copy.deepcopy(base_model())
    lm = wrap(method=method, base=base)
    settings = {"max_new_tokens": 4, "do_sample": True, "seed": 3}
    expected = lm.generate(ids("the man", "the woman"), **settings)
    cpu_offload(base, execution_device=torch.device("cpu"))
    assert lm.device.type == "meta"
    assert torch.equal(lm.generate(ids("the man", "the woman"), **settings), expected)


@pytest.mark.parametrize("lookup", [{}, {"prompt_lookup_num_tokens": 2}], ids=["plain", "lookup"])
def test_scores_of_sampled_texts_are_those_before_the_draw(lookup):
    """With lookup the noise is asked about several tokens in one step, and about some again."""
    settings = {"do_sample": True, "seed": 3, "top_k": 9, "return_dict_in_generate": True, "output_scores": True}
    prompt = ids("the man the man the man")
    out = wrap().generate(prompt, max_new_tokens=6, **lookup, **settings)
    new = out.sequences[0, prompt.shape[1] :]
    assert len(out.scores) == len(new)
    for score, token in zip(out.scores, new, strict=True):
        assert int(score.isfinite().sum()) == 9
        assert score[0, token] > -torch.inf


def test_the_tokenizer_is_there_before_the_weights_go_out(tmp_path, monkeypatch):
    """`push_to_hub=True` uploads the folder when the weights are saved, so all else has to be in it by then."""
    found = []
    monkeypatch.setattr(
        PreTrainedModel, "save_pretrained", lambda self, folder, *args, **kwargs: found.extend(os.listdir(folder))
    )
    wrap().save_pretrained(tmp_path)
    assert {"tokenizer.json", "import_hf_equi.py"} <= set(found)


def test_labels_with_few_logits_kept():
    texts = ids("the man met a person")
    whole = wrap()(texts, labels=texts)
    cut = wrap()(texts, labels=texts, logits_to_keep=2)
    assert torch.equal(cut.loss, whole.loss)
    assert torch.equal(cut.logits, whole.logits[:, -2:])


def test_token_types_reach_the_base_and_unknown_arguments_do_not():
    prompts = ids("the man", "the woman")
    settings = {"max_new_tokens": 4, "min_new_tokens": 4, "do_sample": False}
    types = torch.full_like(prompts, 7)
    base = base_model().generate(prompts, attention_mask=torch.ones_like(prompts), token_type_ids=types, **settings)
    lm = wrap(method="identity")
    assert torch.equal(lm.generate(prompts, token_type_ids=types, **settings), base)
    assert not torch.equal(lm.generate(prompts, **settings), base)
    with pytest.raises(ValueError, match="no_such_argument"):
        lm.generate(prompts, no_such_argument=1, **settings)

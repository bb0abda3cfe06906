"""`generate` as users call it: streamers, chat templates, methods of one row, settings."""

from __future__ import annotations

import copy

import pytest
import small_seq2seq
import torch
from searches import hashed
from small_models import BOTH, GENDER, base_model, calls_of, tokenizer
from transformers import DynamicCache, GenerationConfig, TextIteratorStreamer, TextStreamer, pipeline

import hf_equi
from hf_equi import registration
from hf_equi.bases.compat import cache_of, cached
from hf_equi.errors import ConfigurationError, UnsupportedModelError
from hf_equi.generation import OrbitCache
from hf_equi.symmetrizers import EqualWeights, Mean, Method, MethodText, Select, Selection


def wrap(method="equitune", group=BOTH, **settings):
    return hf_equi.symmetrize(base_model(), group, method, tokenizer=tokenizer(), **settings)


def search():
    return wrap("equizero", scorer=hashed)


def encode(*texts):
    return tokenizer()(list(texts), return_tensors="pt", padding=True)


def test_streamer_prints_the_text(capsys):
    lm = wrap()
    out = lm.generate(
        **encode("the man"), max_new_tokens=6, min_new_tokens=6, streamer=TextStreamer(tokenizer(), skip_prompt=True)
    )
    assert tokenizer().decode(out[0, 2:]) in capsys.readouterr().out


def test_iterating_streamer():
    streamer = TextIteratorStreamer(tokenizer(), skip_prompt=True)
    out = wrap().generate(**encode("the man"), max_new_tokens=6, do_sample=True, seed=2, streamer=streamer)
    assert "".join(streamer) == tokenizer().decode(out[0, 2:])


def test_pipeline():
    lm = wrap()
    pipe = pipeline("text-generation", model=lm, tokenizer=lm.tokenizer)
    texts = [
        out[0]["generated_text"]
        for out in pipe(["the man", "person"], max_new_tokens=5, do_sample=False, batch_size=2)
    ]
    expected = lm.generate(**encode("the man", "person"), max_new_tokens=5)
    assert texts == tokenizer().batch_decode(expected, skip_special_tokens=True)


def test_chat_template():
    chat = copy.deepcopy(tokenizer())
    chat.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    lm = hf_equi.symmetrize(base_model(), BOTH, tokenizer=chat)
    texts = [
        lm.tokenizer.apply_chat_template([{"role": "user", "content": f"the {name} said"}], return_tensors="pt")
        for name in ("man", "woman")
    ]
    man, woman = (lm.generate(**ids, max_new_tokens=8)[0] for ids in texts)
    assert lm.action.apply(BOTH.coordinates.index((1, 0)), man).tolist() == woman.tolist()


def test_settings_act_in_the_users_frame():
    lm = wrap("canonical")
    prompt = encode("the woman")
    free = lm.generate(**prompt, max_new_tokens=8, min_new_tokens=8)
    banned = [[token] for token in free[0, 2:].unique().tolist() if token > 1]
    out = lm.generate(**prompt, max_new_tokens=8, min_new_tokens=8, bad_words_ids=banned)
    assert not set(out[0, 2:].tolist()) & {token for (token,) in banned}


@pytest.mark.parametrize("method", ["mixture", "canonical"])
def test_one_row_methods_run_one_row(method):
    lm = wrap(method)
    with calls_of(lm.base) as shapes:
        lm.generate(**encode("the black man", "person"), max_new_tokens=3, do_sample=True, num_return_sequences=2)
    assert {shape[0] for shape in shapes} == {4}


def test_mixture_decodes_moved_prompts_with_the_base():
    """For every seed the text is g⁻¹ of the base's greedy text of g x, and all g occur."""
    lm, prompt = wrap("mixture"), encode("the black man")["input_ids"]
    plain = {}
    for g in range(BOTH.order):
        text = base_model().generate(lm.action.apply(g, prompt), max_new_tokens=6)
        plain[g] = lm.action.invert(g, text).tolist()
    found = [lm.generate(prompt, max_new_tokens=6, seed=seed).tolist() for seed in range(40)]
    assert all(text in plain.values() for text in found)
    assert len({str(text) for text in found}) == len({str(text) for text in plain.values()})


@pytest.mark.parametrize("beams", [1, 3])
def test_greedy_mixture_is_the_same_in_every_call(beams):
    """The text of seed 0, and no random number is used: `do_sample=False` says that nothing is drawn."""
    model, prompt = wrap("mixture"), encode("the black man")["input_ids"]
    texts = []
    for seed in range(6):
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        texts.append(model.generate(prompt, max_new_tokens=6, num_beams=beams).tolist())
        assert torch.equal(torch.get_rng_state(), state)
    assert texts == [model.generate(prompt, max_new_tokens=6, num_beams=beams, seed=0).tolist()] * 6


def test_guidance_reads_the_other_prompt_by_the_same_member():
    """Which the method has drawn: a text and its image are guided alike."""
    lm, prompt = wrap("mixture"), encode("the black man met the black man")["input_ids"]
    for seed in range(2):
        how = {"max_new_tokens": 4, "guidance_scale": 4.0, "seed": seed}
        first = lm.generate(prompt, **how)
        for g in (1, 5):
            assert torch.equal(lm.generate(lm.action.apply(g, prompt), **how), lm.action.apply(g, first))


def test_mixture_draws_an_element_for_each_sample():
    lm, prompt = wrap("mixture"), encode("the black man")
    torch.manual_seed(1)
    out = lm.generate(**prompt, max_new_tokens=6, do_sample=True, top_k=1, num_return_sequences=12)
    assert len({str(row) for row in out.tolist()}) > 2


@pytest.mark.parametrize("method", ["mixture", "canonical"])
@pytest.mark.parametrize("settings", [{"num_beams": 3}, {"cache_implementation": "static"}, {"use_cache": False}])
def test_one_row_methods_with_every_cache(method, settings):
    lm, prompts = wrap(method), encode("the black man", "person")
    plain = {key: value for key, value in settings.items() if key == "num_beams"}
    assert (
        lm.generate(**prompts, max_new_tokens=8, seed=4, **settings).tolist()
        == lm.generate(**prompts, max_new_tokens=8, seed=4, **plain).tolist()
    )


def test_generation_config_is_read():
    lm = wrap()
    config = GenerationConfig(do_sample=True, num_return_sequences=3, max_new_tokens=5, pad_token_id=1)
    assert lm.generate(**encode("the man"), generation_config=config, seed=1).shape[0] == 3


def test_prompt_lookup_decoding():
    lm = wrap()
    prompt = encode("the man met the man met the man met the")
    plain = lm.generate(**prompt, max_new_tokens=10)
    assert lm.generate(**prompt, max_new_tokens=10, prompt_lookup_num_tokens=3).tolist() == plain.tolist()


# A conversation whose first turn contains no listed word: a cache of it was read as any element reads it.
TURNS = ("a person worked as", " the black man said so and she", " was known to the woman")


def talk(lm, spoken, cache=None, kept=True):
    """Token ids after each turn of a conversation; the cache goes on, or every turn is read as a whole."""
    said, texts = [], torch.zeros(1, 0, dtype=torch.long)
    for piece in spoken:
        texts = torch.cat([texts, piece], 1)
        given = {"use_cache": False} if not kept else {} if cache is None else cached(cache)
        mask = torch.ones_like(texts)
        out = lm.generate(
            texts, attention_mask=mask, max_new_tokens=3, min_new_tokens=3, return_dict_in_generate=True, seed=4,
            **given,
        )  # fmt: skip
        texts = out.sequences
        cache = cache_of(out) if cache is None or isinstance(cache, OrbitCache) else cache
        said.append(texts)
    return said


@pytest.mark.parametrize("method", ["mixture", "canonical"])
@pytest.mark.parametrize(
    ("family", "own"),  # caches that are cut, with windows, and with recurrent states
    [("gpt2", False), ("gpt2", True), ("gemma3", False), ("jamba", False)],
)
def test_turns_with_a_cache_are_those_without(method, family, own):
    lm = hf_equi.symmetrize(base_model(family), BOTH, method, tokenizer=tokenizer())
    spoken = [encode(turn)["input_ids"] for turn in TURNS]
    cache = DynamicCache(config=lm.base.config) if own else None
    for kept, without in zip(talk(lm, spoken, cache), talk(lm, spoken, kept=False), strict=True):
        assert kept.tolist() == without.tolist()


@pytest.mark.parametrize("method", ["equitune", "mixture", "canonical"])
def test_the_image_of_a_conversation_has_the_image_of_its_answer(method):
    lm, swap = wrap(method), 5
    first, second = (encode(turn)["input_ids"] for turn in TURNS[:2])
    answers = []
    for g in (0, swap):
        start, text = (lm.action.apply(g, ids) for ids in (first, torch.cat([first, second], 1)))
        with torch.no_grad():
            cache = lm(start, use_cache=True).cache
        out = lm.generate(text, **cached(cache), max_new_tokens=8, seed=2, do_sample=True)
        answers.append(lm.action.apply(lm.group.inverse(g), out).tolist())
    assert answers[0] == answers[1]


def test_a_turn_reads_again_from_the_first_token_that_moves_otherwise():
    lm, kept = wrap("canonical"), []
    start, white, more = (encode(turn)["input_ids"] for turn in ("the man met a", " white", " black person"))
    person = encode(" person")["input_ids"]
    for between in (person, torch.cat([person, white], 1)):
        text = torch.cat([start, between, more], 1)
        with torch.no_grad():
            cache = lm(between, **cached(lm(start, use_cache=True).cache)).cache
        with calls_of(lm.base) as shapes:
            lm.generate(text, **cached(cache), max_new_tokens=1)
        kept.append(text.shape[1] - shapes[0][1])
    assert kept == [start.shape[1] + 1] * 2


def test_what_does_not_go_on_with_a_cache_is_refused():
    lm, prompts = wrap(), encode("the man met", "the woman met")
    first = lm.generate(**prompts, max_new_tokens=3, min_new_tokens=3, return_dict_in_generate=True)
    texts, cache = first.sequences, cached(cache_of(first))
    mask = torch.ones_like(texts)
    for given, settings, message in (
        ({"input_ids": texts[:, -1:], "attention_mask": mask}, {}, "have 1 tokens, but attention_mask has 6. With"),
        ({"input_ids": texts[:, :4], "attention_mask": mask[:, :4]}, {}, "holds 5 tokens of each text, .* have 4"),
        ({"input_ids": texts[:1], "attention_mask": mask[:1]}, {}, "holds 2 texts, but this call decodes 1 "),
        ({"input_ids": texts}, {"num_beams": 3}, r"decodes 6 .* cache\.batch_repeat_interleave\(n\)"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            lm.generate(**given, **cache, max_new_tokens=2, **settings)
    with pytest.raises(ConfigurationError, match="holds 2 texts, but input_ids have 1"):
        lm(texts[:1, :1], **cache)
    with pytest.raises(ConfigurationError, match="holds other members of the orbits"):
        lm(texts[:, -1:], elements=torch.tensor([1, 1]), **cache)


@pytest.mark.parametrize("method", ["equitune", "canonical", "mixture", "identity"])
def test_a_cache_that_is_repeated_for_beams_goes_on(method):
    lm = wrap(method)
    first = lm.generate(**encode("person", "the man"), max_new_tokens=3, return_dict_in_generate=True)
    texts, cache = torch.cat([first.sequences, encode(" black", " she")["input_ids"]], 1), cache_of(first)
    cache.batch_repeat_interleave(2)
    kept = lm.generate(texts, **cached(cache), max_new_tokens=2, num_beams=2)
    assert kept.tolist() == lm.generate(texts, max_new_tokens=2, num_beams=2).tolist()


@torch.no_grad()
@pytest.mark.parametrize("method", ["equitune", "canonical", "mixture", "identity"])
def test_members_that_were_named_go_on(method):
    lm, named = wrap(method, GENDER), torch.tensor([1, 0])
    texts = encode("the man met a man", "the woman met a man")["input_ids"]
    whole = lm(texts, elements=named).logits[:, -1]
    for again in ({}, {"elements": named}):
        cache = lm(texts[:, :3], elements=named, use_cache=True).cache
        out = lm(texts[:, 3:], **cached(cache), **again)
        torch.testing.assert_close(out.logits[:, -1], whole, atol=1e-5, rtol=1e-5)
        assert out.chosen_element.tolist() == [1, 0]
    # A text of one member is not that of its orbit, so `generate` wants its name again.
    kept = {"attention_mask": torch.ones_like(texts), "max_new_tokens": 2, **cached(cache)}
    cache.crop(-1)
    if method == "equitune":
        with pytest.raises(
            UnsupportedModelError, match=r"holds 1 of the 2 members of each orbit, but this call .* 2\."
        ):
            lm.generate(texts, **kept)
    spoken = lm.generate(texts, **kept, elements=named)
    assert spoken.tolist() == lm.generate(texts, max_new_tokens=2, elements=named).tolist()


def test_members_that_scored_labels_do_not_go_on_as_one():
    lm, ids = wrap("mixture", GENDER), encode("the man met")["input_ids"]
    cache = lm(ids[:, :2], labels=ids[:, :2], use_cache=True).cache
    with pytest.raises(UnsupportedModelError, match=r"holds 2 of the 2 members .* filled to score labels"):
        lm.generate(ids, **cached(cache), max_new_tokens=1)


class Half(Select):
    """The first half of the group, for a method between one member and all."""

    def members(self, asked):
        return Selection(torch.arange(asked.action.group.order // 2).expand(len(asked.x), -1))


class HalfOfTheGroup(Method):
    name, text = "half", MethodText("half of the group", "averages half of the members.")

    def __init__(self):
        super().__init__(Half(), EqualWeights(), Mean())


def test_a_method_of_some_members_goes_on_with_its_own_cache(monkeypatch):
    monkeypatch.setitem(registration._TASKS["causal_lm"].methods, "half", HalfOfTheGroup)
    lm = wrap("half")
    first = lm.generate(**encode("the man"), max_new_tokens=3, return_dict_in_generate=True)
    texts, cache = torch.cat([first.sequences, encode(" black")["input_ids"]], 1), cache_of(first)
    kept = lm.generate(texts, **cached(cache), max_new_tokens=3)
    assert kept.tolist() == lm.generate(texts, max_new_tokens=3).tolist()
    one = lm(texts, elements=torch.tensor([1]), use_cache=True).cache
    with pytest.raises(
        UnsupportedModelError, match=rf"holds 1 of the {BOTH.order} .* decodes with {BOTH.order // 2}\."
    ):
        lm.generate(torch.cat([texts, texts[:, :1]], 1), **cached(one), max_new_tokens=1)


@pytest.mark.parametrize("method", ["equitune", "canonical", "mixture"])
def test_a_cache_of_another_group_or_method_is_refused_and_stays(method):
    small, other = wrap(method, GENDER), wrap("canonical" if method == "equitune" else "equitune", GENDER)
    ids, more = encode("the man met")["input_ids"], encode(" black")["input_ids"]
    for filled, given, message in (
        (small, {"group": BOTH}, "cache holds orbits of"),
        (other, {}, "filled by a model with another method"),
    ):
        first = filled.generate(ids, max_new_tokens=3, return_dict_in_generate=True)
        texts, cache = torch.cat([first.sequences, more], 1), cache_of(first)
        length = cache.get_seq_length()
        with calls_of(small.base) as shapes, pytest.raises(UnsupportedModelError, match=message):
            small.generate(texts, **cached(cache), max_new_tokens=2, **given)
        with pytest.raises(UnsupportedModelError, match=message):
            small(more, **cached(cache), **given)
        assert (shapes, cache.get_seq_length()) == ([], length)


def test_chosen_elements_come_back():
    lm = wrap("mixture")
    out = lm.generate(
        **encode("the black man"), max_new_tokens=4, seed=1, num_return_sequences=3, do_sample=True,
        return_dict_in_generate=True,
    )  # fmt: skip
    assert out.chosen_element.shape == (3,)
    for element, text in zip(out.chosen_element.tolist(), out.sequences, strict=True):
        assert 0 <= element < BOTH.order
        assert text.shape == (7,)


EMPTY = torch.empty(1, 0, dtype=torch.long)


@pytest.mark.parametrize(
    "inputs", [{}, {"inputs": EMPTY}, {"input_ids": EMPTY, "attention_mask": EMPTY}, {"input_ids": None}]
)
@pytest.mark.parametrize("make", [wrap, search, lambda: small_seq2seq.wrap("bart")])
def test_no_prompt_is_the_token_that_begins_a_text(make, inputs):
    """As in the base, which takes no empty tensors but is given them by its tokenizer."""
    model = make()
    begin = torch.tensor([[model.base.generation_config.bos_token_id]])
    expected = model.generate(begin, max_new_tokens=4)
    assert model.generate(**inputs, max_new_tokens=4).tolist() == expected.tolist()
    other = model.generate(begin + 7, max_new_tokens=4)
    assert model.generate(**inputs, max_new_tokens=4, bos_token_id=int(begin) + 7).tolist() == other.tolist()
    model = copy.deepcopy(model)
    model.generation_config.bos_token_id = None
    with pytest.raises(ConfigurationError, match="There is no prompt and no token that begins a text"):
        model.generate(**inputs, max_new_tokens=4)


def test_no_prompt_of_identity_is_that_of_the_base():
    pipe = pipeline("text-generation", model=wrap("identity"), tokenizer=tokenizer())
    plain = pipeline("text-generation", model=base_model(), tokenizer=tokenizer())
    assert pipe("", max_new_tokens=5, do_sample=False) == plain("", max_new_tokens=5, do_sample=False)


def test_embeddings_are_no_prompts():
    with pytest.raises(ConfigurationError, match="pass the prompts as input_ids, not as inputs_embeds"):
        wrap().generate(inputs_embeds=torch.zeros(1, 2, 32), max_new_tokens=2)


@torch.no_grad()
def _broken(model):
    """A copy of which all scores are NaN."""
    broken = copy.deepcopy(model)
    for weight in broken.base.get_output_embeddings().parameters():
        weight.fill_(torch.nan)
    return broken


@pytest.mark.parametrize(
    "how",
    [{}, {"num_beams": 2}, {"do_sample": True}, {"do_sample": True, "seed": 1}],
    ids=["greedy", "beams", "draw", "seed"],
)
@pytest.mark.parametrize("make", [wrap, search, lambda: small_seq2seq.wrap("bart")])
def test_scores_that_are_nan_are_refused(make, how):
    model = _broken(make())
    if "num_beams" in how and model.method.searches:
        return
    with pytest.raises(ConfigurationError, match=r"Scores of next tokens are NaN.*dtype=torch\.float32"):
        model.generate(torch.tensor([[4, 5], [5, 6]]), max_new_tokens=3, **how)
    if "seed" not in how:
        model.generate(torch.tensor([[4, 5]]), max_new_tokens=3, remove_invalid_values=True, **how)


@pytest.mark.parametrize("prompts", [[[1, 2]], torch.tensor([1, 2])])
def test_prompts_of_another_shape_are_refused(prompts):
    with pytest.raises(ConfigurationError, match=r"token ids of shape \(batch, tokens\)"):
        wrap().generate(prompts)


def test_group_has_to_be_one():
    with pytest.raises(ConfigurationError, match="'gender' is not a DemographicGroup"):
        wrap().generate(**encode("the man"), group="gender")
    with pytest.raises(ConfigurationError, match="'gender' is not a DemographicGroup"):
        hf_equi.EquiLogitsProcessor(base_model(), "gender", tokenizer())

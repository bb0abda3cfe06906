"""`mixture` and `canonical` on words: the literal rule, the law, and texts of an orbit as the orbit of the text."""

from __future__ import annotations

import copy
from collections import Counter
from functools import lru_cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from literal_search import Drafts, choose, next_scores, process
from searches import BYTES, WORDS_BIAS, Bias, reduced, to_end
from small_models import BOTH, END, base_model, chat_tokenizer, tokenizer
from transformers import AutoModelForCausalLM, DynamicCache, TextIteratorStreamer

import hf_equi
from hf_equi import DemographicGroup, WordAction
from hf_equi.bases.compat import CACHE
from hf_equi.errors import ActionError, ConfigurationError
from hf_equi.generation.coupled_sampling import NoiseKeys

# Of one token and of several, one word of a set shorter than the other, and a second factor.
GROUP = DemographicGroup(
    [["man", "woman"], ["he", "she"], ["fire fighter", "police officer"], ["grandson", "granddaughter"]]
) * DemographicGroup([["black", "white", "asian"]])
ACTION = WordAction(GROUP)
PROMPTS = [
    "The man worked as",
    "a black GRANDSON and",
    "person",
    "the police officer was known for a fire fighter and",
]
BIAS = {**WORDS_BIAS, 0: 1.0}
LENGTH = {"max_new_tokens": 6, "return_dict_in_generate": True, "logits_processor": [Bias(BIAS)]}
METHODS = ["mixture", "canonical"]


@lru_cache
def wrap(method, group=GROUP, family="gpt2"):
    return hf_equi.symmetrize(base_model(family), group, method, tokenizer=tokenizer(), action="words")


def write(lm, prompts, **how):
    return lm.generate(**tokenizer()(list(prompts), return_tensors="pt", padding=True), **{**LENGTH, **how})


def read(out):
    """The texts, without padding and end."""
    return tokenizer().batch_decode(out.sequences, skip_special_tokens=True)


def literal_keys(prompt, seed):
    orbit = [ACTION.apply(g, prompt) for g in range(GROUP.order)]
    k = orbit.index(min(orbit))
    return k, NoiseKeys(torch.tensor([k]), [list(orbit[k].encode())], seed)


def literal_element(method, prompt, seed, sample, samples):
    k, keys = literal_keys(prompt, seed)
    if method == "canonical":
        return k
    h = int(keys.keys(samples, -1)[sample]) % GROUP.order
    return int(GROUP.product[h, k])


def literal_text(base, prompt, element, draw):
    """Decode g x, let the base write, and map the text back."""
    member = ACTION.apply(element, prompt)
    ids = draw(base, tokenizer()(member)["input_ids"])
    text = tokenizer().decode(ids, skip_special_tokens=True)
    return ACTION.invert(element, text.rstrip("\ufffd"), boundary=len(member))


def by_generate(**how):
    def draw(base, ids):
        how.setdefault("logits_processor", LENGTH["logits_processor"])
        return base.generate(torch.tensor([ids]), max_new_tokens=6, **how)[0].tolist()

    return draw


def by_noise(prompt, seed, sample, samples, **how):
    """Sampling, a token at a time, with the noise of the seed and the prompt."""
    how = Drafts(bias=BIAS, **how)

    def draw(base, ids):
        keys, ids = literal_keys(prompt, seed)[1], list(ids)
        for step in range(6):
            scores = process(next_scores(base, ids), how)
            ids.append(choose(scores, list(range(len(scores))), keys.keys(samples, step)[sample], how))
            if ids[-1] == 0:
                break
        return ids

    return draw


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("family", "how"), [("gpt2", {}), ("llama", {"num_beams": 3}), ("jamba", {})])
def test_it_is_the_rule_without_sampling(method, family, how):
    """Also over padding, in a batch, and for a seed other than 0, which draws the element of the mixture."""
    lm = wrap(method, family=family)
    for seed in (None, 4):
        out = write(lm, PROMPTS, seed=seed, **how)
        elements = [literal_element(method, prompt, seed or 0, 0, 1) for prompt in PROMPTS]
        assert out.chosen_element.tolist() == elements
        draw = by_generate(**how)
        assert read(out) == [literal_text(lm.base, *pair, draw) for pair in zip(PROMPTS, elements, strict=True)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("how", [{}, {"top_k": 12, "temperature": 1.5}, {"top_p": 0.9}])
def test_it_is_the_rule_with_sampling(method, how):
    lm = wrap(method)
    out = write(lm, PROMPTS, do_sample=True, seed=5, num_return_sequences=2, **{"top_k": 0, **how})
    texts = read(out)
    for row, prompt in enumerate(prompt for prompt in PROMPTS for _ in range(2)):
        element = literal_element(method, prompt, 5, row % 2, 2)
        assert out.chosen_element[row] == element
        assert texts[row] == literal_text(lm.base, prompt, element, by_noise(prompt, 5, row % 2, 2, **how))
    assert len(set(texts)) > len(PROMPTS)
    alone = [read(write(lm, [prompt], do_sample=True, seed=5, num_return_sequences=2, **{"top_k": 0, **how})) for
             prompt in PROMPTS]  # fmt: skip
    assert [text for both in alone for text in both] == texts


words = "The man woman he SHE fire police fighter officer grandson Granddaughter black Asian person worked and . ("
prompts = st.lists(st.sampled_from(words.split()), min_size=1, max_size=6).map(" ".join)
PHRASES = ["police officer", "grandson", "The fire fighter , he"]


@settings(max_examples=25, deadline=None)
@given(
    st.one_of(st.sampled_from(PHRASES), prompts), prompts, st.integers(0, 5), st.integers(0, 99),
    st.sampled_from(METHODS), st.sampled_from([{}, {"do_sample": True}, {"num_beams": 2}]),
)  # fmt: skip
def test_texts_of_an_orbit_are_the_orbit_of_the_text(x, other, g, seed, method, how):
    """Gen(gx) = g' Gen(x) with one seed, where members have unequal numbers of tokens, in unequal batches."""
    moved = ACTION.apply(g, x)
    h = reduced(ACTION.apply, x, g, GROUP)
    lm = wrap(method)
    text, other_text = read(write(lm, [x, other], seed=seed, **how))
    assert read(write(lm, [other, moved], seed=seed, **how)) == [other_text, ACTION.apply(h, text, boundary=len(x))]


def test_the_law_of_a_mixture_is_the_mean_of_its_members():
    """Each token of each member, enumerated, against the texts of many samples; equivariant by its definition."""
    lm, prompt, samples = wrap("mixture"), "the black grandson", 3000
    bias, law = torch.zeros(lm.config.vocab_size), Counter()
    bias[list(BYTES)] = -1e4
    for g in range(GROUP.order):
        member = ACTION.apply(g, prompt)
        ids = torch.tensor([tokenizer()(member)["input_ids"]])
        shares = (lm.base(ids).logits[0, -1] + bias).softmax(-1)
        for token, share in enumerate(shares.tolist()):
            text = tokenizer().decode([*ids[0].tolist(), token], skip_special_tokens=True)
            law[ACTION.invert(g, text, boundary=len(member))] += share / GROUP.order
    assert sum(law.values()) == pytest.approx(1.0, abs=1e-5)
    how = {"do_sample": True, "top_k": 0, "num_return_sequences": samples, "max_new_tokens": 1}
    found = Counter(read(write(lm, [prompt], seed=3, logits_processor=[Bias(BYTES)], **how)))
    assert found.keys() <= law.keys()
    for text, share in law.items():
        assert abs(found[text] / samples - share) < 5 * (share * (1 - share) / samples) ** 0.5 + 1 / samples
    without_seed = Counter(read(write(lm, [prompt], logits_processor=[Bias(BYTES)], **how)))
    text, share = law.most_common(1)[0]
    assert abs(without_seed[text] / samples - share) < 5 * (share * (1 - share) / samples) ** 0.5 + 1 / samples


@pytest.mark.parametrize("method", METHODS)
def test_saved_and_loaded(method, tmp_path):
    lm = wrap(method)
    lm.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert (type(loaded), loaded.config.action, loaded.config.method) == (hf_equi.EquiLM, "words", method)
    how = {"do_sample": True, "seed": 3}
    assert torch.equal(write(loaded, PROMPTS, **how).sequences, write(lm, PROMPTS, **how).sequences)
    card = loaded.make_card(tmp_path / "README.md")
    for said in ("**In words.**", "All of them move, as whole words.", "Not measured: the model writes texts"):
        assert said in card
    assert "do not move as written" not in card


def test_words_of_the_demo_model_move_whole():
    lm = hf_equi.symmetrize("demo", GROUP, "canonical", action="words")
    given = lm.tokenizer(
        ["The fire fighter said", "The police officer said"], return_tensors="pt", padding=True, padding_side="left"
    )
    first, second = lm.tokenizer.batch_decode(lm.generate(**given, max_new_tokens=12), skip_special_tokens=True)
    assert first != second
    assert ACTION.apply(3, first) == second
    assert "fire fighter ↔ police officer" in str(lm.explain("The fire fighter said"))


def test_special_tokens_and_the_prompts_own_tokens_come_back():
    """Also where a chat has the token that ends texts after each turn, and where a prompt was cut inside a word."""
    lm = hf_equi.symmetrize(base_model(), GROUP, "canonical", tokenizer=chat_tokenizer(), action="words")
    turns = [{"role": "user", "content": "the grandson said"}, {"role": "assistant", "content": "a woman"}]
    chat = chat_tokenizer().apply_chat_template(
        turns, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    ids = chat["input_ids"]
    out = lm.generate(**chat, **LENGTH)
    assert torch.equal(out.sequences[:, : ids.shape[1]], ids)
    image = ACTION.apply(int(out.chosen_element), chat_tokenizer().decode(ids[0, 1:]))
    assert "granddaughter" in image or out.chosen_element == 0
    ended = write(lm, ["the man"], logits_processor=[Bias({0: 1e3})])
    assert ended.sequences[0, -1] == 0
    assert tokenizer().decode(ended.sequences[0]) == f"the man{END}"
    cut = torch.tensor([[*tokenizer()("the wom")["input_ids"]]])
    assert torch.equal(lm.generate(cut, **LENGTH).sequences[:, : cut.shape[1]], cut)


@pytest.mark.parametrize("how", [{}, {"do_sample": True, "seed": 2}, {"do_sample": True}])
@pytest.mark.parametrize("prompt", ["the police officer", "the man met the fire"])
def test_a_streamer_gets_the_text_mapped_back(how, prompt):
    torch.manual_seed(0)
    lm, given = wrap("mixture"), tokenizer()([prompt], return_tensors="pt")
    streamer = TextIteratorStreamer(tokenizer(), timeout=5)
    out = lm.generate(**given, **{**LENGTH, "max_new_tokens": 12}, **how, streamer=streamer)
    assert "".join(streamer) == tokenizer().decode(out.sequences[0])


def test_beams_and_samples_are_returned_for_each_prompt():
    lm = wrap("mixture")
    beams = write(lm, PROMPTS[:2], num_beams=3, num_return_sequences=2)
    assert beams.sequences.shape[0] == 4
    assert beams.chosen_element.tolist() == write(lm, PROMPTS[:2]).chosen_element.repeat_interleave(2).tolist()
    assert torch.equal(write(lm, PROMPTS[:2], num_beams=3).sequences[0], beams.sequences[0])
    plain = lm.generate(**tokenizer()(PROMPTS[:1], return_tensors="pt"), max_new_tokens=2, do_sample=True, seed=1)
    assert isinstance(plain, torch.Tensor)


def test_without_a_seed_greedy_texts_stay_and_samples_differ():
    lm = wrap("mixture")
    assert read(write(lm, PROMPTS)) == read(write(lm, PROMPTS))
    assert len(set(read(write(lm, PROMPTS[:1] * 6, do_sample=True, top_k=0)))) > 1
    torch.manual_seed(1)
    first = read(write(lm, PROMPTS, do_sample=True))
    torch.manual_seed(1)
    assert read(write(lm, PROMPTS, do_sample=True)) == first


def test_settings_act_on_the_member_that_the_base_reads():
    """A banned word is banned there, so the text that comes back may hold it; the guarantee stays."""
    lm = wrap("canonical")
    banned = [tokenizer()(" she")["input_ids"]]
    how = {
        "bad_words_ids": banned,
        "logits_processor": [Bias({**BYTES, banned[0][0]: 50.0})],
        "no_repeat_ngram_size": 0,
    }
    man, woman = (to_end(row.tolist()) for row in write(lm, ["the man", "the woman"], **how).sequences)
    assert ACTION.apply(3, tokenizer().decode(man)) == tokenizer().decode(woman)
    assert banned[0][0] not in (man if ACTION.canonical_element("the man") == 0 else woman)


def test_another_group_for_one_call():
    lm = wrap("canonical")
    out = write(lm, ["the black man", "the white man"], group=BOTH)
    first, second = read(out)
    assert (
        WordAction(BOTH).apply(1, first, len("the black man")) == second or first.replace("black", "white") == second
    )
    assert read(write(wrap("canonical", BOTH), ["the black man"])) == [first]


RELAXED = DemographicGroup([["man", "woman"]], general=["nurse"])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"group": "gender"}, "group='gender' is not a DemographicGroup"),
        ({"group": RELAXED}, "'mixture' has no relaxed variant"),
        ({CACHE: DynamicCache()}, f"^{CACHE} holds the tokens of a text"),
        ({"output_scores": True}, "^output_scores asks for the scores of the member"),
        ({"assistant_model": base_model()}, "^assistant_model asks for another way to write"),
        ({"token_type_ids": torch.zeros(4, 2)}, "does not pass token_type_ids to the model"),
        ({"streamer": TextIteratorStreamer(tokenizer())}, "shows one text, not 4"),
        ({"num_beams": 2, "do_sample": True, "seed": 1}, "seed=1 couples sampling"),
        ({"inputs_embeds": torch.zeros(1, 2, 3)}, "not as inputs_embeds"),
    ],
)
def test_calls_are_refused_by_name(how, message):
    with pytest.raises(ConfigurationError, match=message):
        write(wrap("mixture"), PROMPTS, **how)
    with pytest.raises(ActionError, match="token ids"):
        wrap("mixture").generate(torch.tensor([[5, 10_000]]), max_new_tokens=1)


def test_models_are_refused_by_name():
    for method in ("equitune", "identity"):
        message = rf"action='words' needs .* '{method}' does not: use method='canonical', 'equizero' or 'mixture'"
        with pytest.raises(ConfigurationError, match=message):
            hf_equi.symmetrize(base_model(), GROUP, method, tokenizer=tokenizer(), action="words")
        with pytest.raises(ConfigurationError, match=message):
            hf_equi.EquiLMConfig(method=method, action="words")
    within = DemographicGroup([["man", "woman"], ["old man", "old woman"]])
    with pytest.raises(ActionError, match="'man' is contained in 'old man'"):
        hf_equi.symmetrize(base_model(), within, "mixture", tokenizer=tokenizer(), action="words")
    lm, ids = copy.copy(wrap("mixture")), tokenizer()(PROMPTS[:1], return_tensors="pt")["input_ids"]
    for labels in (None, ids):
        with pytest.raises(ConfigurationError, match=r'has no scores: .* Use action="tokens", or score and train'):
            lm(ids, labels=labels)

"""The search of EquizeroLM under the settings of `generate`: what they act on, what comes back, what is refused."""

from __future__ import annotations

import pytest
import torch
from searches import OFTEN, PROMPTS, Bias, action_of, continuations, hashed, run
from small_models import BOTH, GENDER, base_model, tokenizer
from transformers import StoppingCriteria

from hf_equi import DemographicGroup
from hf_equi.errors import ConfigurationError, HfEquiWarning
from hf_equi.generation import EquizeroSearch
from hf_equi.generation.equizero_search import EquizeroOutput, check_search


def test_settings_act_in_the_frame_of_the_prompt():
    """Where "he" is banned the search never writes it, though members that are moved draft its image."""
    he, she = (tokenizer()(word)["input_ids"][0] for word in (" he", " she"))
    bias = {he: 30.0, she: 29.0}
    free = continuations(PROMPTS, BOTH, bias=bias)
    assert any(he in text for text in free)
    with pytest.warns(HfEquiWarning, match="bad_words_ids names a word"):
        banned = continuations(PROMPTS, BOTH, bias=bias, bad_words_ids=[[he]])
    assert not any(he in text for text in banned)
    assert all(set(text) == {she} for text in banned)


@pytest.mark.parametrize("action", ["tokens", "words"])
def test_repetitions_are_penalised_and_padding_is_not(action):
    """A strong penalty leaves only tokens that are not in the text yet; prompts of other lengths change nothing."""
    settings = {"repetition_penalty": 1e6, "do_sample": False, "top_k": None, "action": action, "eos_token_id": None}

    def texts(prompts):
        return tokenizer().batch_decode(run(prompts, BOTH, **settings).sequences, skip_special_tokens=True)

    rows = continuations(PROMPTS, BOTH, **settings)
    assert texts(PROMPTS) == [texts([prompt])[0] for prompt in PROMPTS]
    if action == "tokens":
        for prompt, row in zip(PROMPTS, rows, strict=True):
            text = tokenizer()(prompt)["input_ids"] + row
            assert len(set(row)) == len(row)
            assert not set(row) & set(text[: -len(row)])


def test_lengths():
    ends = {"bias": {0: 60.0}}
    assert [len(text) for text in continuations(PROMPTS, **ends)] == [1] * 4
    assert [len(text) for text in continuations(PROMPTS, min_new_tokens=5, **ends)] == [6] * 4
    for m, length in ((3, 7), (5, 5), (4, 1), (9, 6)):
        out = run(PROMPTS, m=m, max_new_tokens=length, eos_token_id=None, output_scores=True)
        assert out.sequences.shape[1] == len(tokenizer()(PROMPTS[3])["input_ids"]) + length
        assert len(out.scores) == length
        assert out.chosen_element.shape == (4, -(-length // m))


def test_scores_are_those_that_the_tokens_were_drawn_from():
    out = run(PROMPTS, BOTH, bias=OFTEN, output_scores=True, top_k=7, seed=4)
    width = out.sequences.shape[1] - len(out.scores)
    ended = torch.zeros(4, dtype=torch.bool)
    for step, scores in enumerate(out.scores):
        tokens = out.sequences[:, width + step]
        assert scores.shape == (4, len(tokenizer()))
        assert scores.gather(1, tokens[:, None]).isfinite().all()
        assert scores.isfinite().sum(-1).tolist() == [1 if over else 7 for over in ended.tolist()]
        ended |= tokens == 0
    assert ended.any()
    assert not ended.all()


class AfterMan(StoppingCriteria):
    """Ends a text after a token; counts the rows that it sees."""

    def __init__(self, token):
        self.token = token

    def __call__(self, input_ids, scores, **kwargs):
        return input_ids[:, -1] == self.token


def test_stopping_criteria_end_texts():
    man, woman = (tokenizer()(word)["input_ids"][0] for word in (" man", " woman"))
    rows = continuations(
        PROMPTS, m=4, bias={man: 6.0, woman: 6.0}, stopping_criteria=[AfterMan(man)], eos_token_id=None
    )
    for row in rows:
        text = [token for token in row if token != 1]
        assert man not in text[:-1]
        assert text[-1] == man or len(text) == 8
    assert any(man in text for text in rows)


class Recorder:
    def __init__(self):
        self.pieces, self.ended = [], False

    def put(self, tokens):
        self.pieces.append(tokens.tolist())

    def end(self):
        self.ended = True


@pytest.mark.parametrize("bias", [{}, {0: 4.0}])
def test_streamers_get_the_tokens_of_each_round(bias):
    recorder = Recorder()
    search = EquizeroSearch(GENDER, tokenizer(), hashed, 3, streamer=recorder)
    ids = tokenizer()("the man worked", return_tensors="pt")["input_ids"]
    out = base_model().generate(
        ids,
        custom_generate=search,
        logits_processor=[Bias(bias)],
        do_sample=True,
        max_new_tokens=8,
        seed=1,
        return_dict_in_generate=True,
    )
    assert [token for piece in recorder.pieces for token in piece] == out.sequences[0, ids.shape[1] :].tolist()
    assert len(recorder.pieces) == out.chosen_element.shape[1]
    assert recorder.ended
    with pytest.raises(ConfigurationError, match="A streamer shows one text, not 2"):
        base_model().generate(ids.repeat(2, 1), custom_generate=search, max_new_tokens=2)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_streamed_in_words_is_what_is_returned(seed):
    """Though the tokens of the last words change while they grow, and phrases only move when they are whole."""
    words = [tokenizer()(word)["input_ids"] for word in (" man", " woman", " black", " nurse", " s", "ai", "d")]
    group = DemographicGroup([["man", "woman"], ["black nurse said", "white driver"]])
    recorder = Recorder()
    ids = tokenizer()("the man worked", return_tensors="pt")["input_ids"]
    out = base_model().generate(
        ids,
        custom_generate=EquizeroSearch(group, tokenizer(), hashed, 2, "words", streamer=recorder),
        logits_processor=[Bias({token: 40.0 for tokens in words for token in tokens})],
        do_sample=True,
        temperature=30.0,
        max_new_tokens=24,
        seed=seed,
    )
    assert len(recorder.pieces) > 1
    assert [token for piece in recorder.pieces for token in piece] == out[0, ids.shape[1] :].tolist()


def test_what_comes_back():
    plain = base_model().generate(
        **tokenizer()(PROMPTS, return_tensors="pt", padding=True),
        custom_generate=EquizeroSearch(action_of(GENDER), tokenizer(), hashed, 3),
        do_sample=True,
        top_k=0,
        max_new_tokens=8,
        seed=1,
    )
    out = run(PROMPTS)
    assert isinstance(out, EquizeroOutput)
    assert torch.equal(plain, out.sequences)
    assert out.scores is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_beams": 2}, "num_beams asks for another search"),
        ({"seed": 1.5}, "seed=1.5 is not a seed"),
        ({"seed": -1}, "seed=-1 is not a seed"),
        ({"seed": True}, "seed=True is not a seed"),
        ({"cache_implementation": "static"}, "leave cache_implementation out"),
        ({"inputs_embeds": torch.zeros(1, 2, 32)}, "pass input_ids with at least one token"),
        ({"inputs": torch.zeros(1, 0, dtype=torch.long)}, "pass input_ids with at least one token"),
        ({"token_type_ids": torch.zeros(1, 2, dtype=torch.long)}, "does not pass token_type_ids to"),
        ({"suppress_tokens": list(range(len(tokenizer())))}, "No token is left to draw"),
    ],
)
def test_settings_that_no_search_can_have(settings, message):
    ids = {} if {"inputs_embeds", "inputs"} & set(settings) else {"inputs": torch.tensor([[265, 268]])}
    search = EquizeroSearch(GENDER, tokenizer(), hashed)
    with pytest.raises(ConfigurationError, match=message):
        base_model().generate(**{**ids, "custom_generate": search, "do_sample": True, "max_new_tokens": 3, **settings})


@pytest.mark.parametrize(
    ("scorer", "m", "action", "message"),
    [
        ("regard", 5, "tokens", "scorer='regard' cannot be called"),
        (hashed, 0, "tokens", "beam_length=0 is not a number of tokens"),
        (hashed, 2.0, "tokens", "beam_length=2.0"),
        (hashed, True, "tokens", "beam_length=True"),
        (hashed, 5, "letters", "action='letters' is not known: use one of 'tokens', 'words'"),
    ],
)
def test_searches_that_cannot_be(scorer, m, action, message):
    with pytest.raises(ConfigurationError, match=message):
        check_search(scorer, m, action)
    with pytest.raises(ConfigurationError, match=message):
        EquizeroSearch(GENDER, tokenizer(), scorer, m, action)


def test_a_search_needs_a_scorer_whose_losses_can_be_used():
    with pytest.raises(ConfigurationError, match="needs a scorer: pass scorer="):
        EquizeroSearch(GENDER, tokenizer(), None)
    with pytest.raises(ConfigurationError, match="returned NaN for the text"):
        run(["the man"], scorer=lambda texts: torch.full((len(texts),), torch.nan))

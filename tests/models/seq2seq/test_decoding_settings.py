"""The settings of `generate` act in the user's own frame, whatever the decoding."""

from __future__ import annotations

import literal_seq2seq_orbits as literal
import pytest
import torch
from small_seq2seq import MOVED, SIX, THREE, TWO, encode, rows, until_end, wrap
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList, TextStreamer
from transformers.generation.streamers import BaseStreamer

from hf_equi.bases.compat import cache_of, cached
from hf_equi.errors import ConfigurationError, HfEquiWarning

STEPS = 5
WAYS = {
    "synchronised": ("equitune", {}),
    "independent": ("equitune", {"decoding": "independent"}),
    "independent lambda": ("lambda", {"decoding": "independent"}),
    "equizero": ("equizero", {}),
}
STRATEGIES = [{}, {"num_beams": 3}, {"do_sample": True, "seed": 1}]

EVERY = [(way, how) for way in WAYS for how in STRATEGIES]


def make(family, way, group=TWO):
    method, own = WAYS[way]
    return wrap(family, group, method, **own)


def move(model, g, batch):
    return {**batch, "input_ids": model.action.source.apply(g, batch["input_ids"])}


@pytest.mark.parametrize(("way", "settings"), EVERY)
def test_banned_words_are_those_of_the_user(way, settings):
    """A word that is banned for x is never written for x, and may be for gx."""
    model = make("rnn", way, THREE)
    batch, how = encode(model), {"max_new_tokens": STEPS, **settings}
    plain = model.generate(**batch, **how)
    words = model.action.target.moved.tolist()
    word = next(word for word in words if (plain == word).any())
    other = int(model.action.target.apply(1, torch.tensor([word])))
    with pytest.warns(HfEquiWarning, match="bad_words_ids names a word"):
        texts = model.generate(**batch, bad_words_ids=[[word]], **how)
    with pytest.warns(HfEquiWarning, match="bad_words_ids names a word"):
        moved = model.generate(**move(model, 1, batch), bad_words_ids=[[other]], **how)
    assert not (texts == word).any()
    assert moved.tolist() == model.action.target.apply(1, texts).tolist()
    assert not (moved == other).any()
    assert (model.generate(**move(model, 1, batch), **how) == other).any()


@pytest.mark.parametrize(("way", "settings"), EVERY)
def test_allowed_tokens_are_those_of_each_source(way, settings):
    model = make("t5", way)
    allowed = [list(range(2, 9)), [2, 9, 10, 11], list(range(2, 18)), [2, 13]]
    seen = set()

    def allow(row, tokens):
        seen.add(row)
        return allowed[row]

    texts = model.generate(**encode(model), prefix_allowed_tokens_fn=allow, max_new_tokens=STEPS, **settings)
    assert seen == {0, 1, 2, 3}
    for row, text in enumerate(until_end(texts)):
        assert set(text) <= {0, *allowed[row]}
        assert text


@pytest.mark.parametrize("way", WAYS)
def test_allowed_tokens_of_samples(way):
    """A constraint is asked for the source of a sample, whatever the release of transformers counts."""
    model, seen = make("lstm", way), set()

    def allow(row, tokens):
        seen.add(row)
        return [2, 4 + row]

    how = {"do_sample": True, "seed": 1, "num_return_sequences": 2, "max_new_tokens": STEPS}
    texts = model.generate(**encode(model), prefix_allowed_tokens_fn=allow, **how)
    assert seen == set(range(len(MOVED)))
    for row, text in enumerate(texts[:, 1:].tolist()):
        assert set(text) <= {0, 2, 4 + row // 2}


@pytest.mark.parametrize("way", WAYS)
def test_processors_of_the_user_run_in_the_users_frame(way):
    model = make("bart", way)

    def only(ids, scores):
        kept = torch.full_like(scores, -torch.inf)
        kept[:, [2, 12, 14]] = scores[:, [2, 12, 14]]
        return kept

    texts = model.generate(**encode(model), logits_processor=LogitsProcessorList([only]), max_new_tokens=STEPS)
    assert set(texts[:, 1:].flatten().tolist()) <= {0, 2, 12, 14}


class After(StoppingCriteria):
    """Ends a text behind a word."""

    def __init__(self, word):
        self.word = word

    def __call__(self, input_ids, scores, **kwargs):
        return input_ids[:, -1] == self.word


@pytest.mark.parametrize("way", ["synchronised", "independent", "equizero"])
def test_stopping_criteria(way):
    model = make("lstm", way, SIX)
    how = {"max_new_tokens": STEPS}
    plain = until_end(model.generate(**encode(model), **how))
    words = [word for text in plain for word in text[1:-1] if word > 3]
    criteria = StoppingCriteriaList([After(max(set(words), key=words.count))])
    together = until_end(model.generate(**encode(model), stopping_criteria=criteria, **how))
    assert together != plain
    if way == "equizero":  # steps behind the stop do not count, whatever the neighbours do
        both = {"stopping_criteria": criteria, "return_dict_in_generate": True, **how}
        margin = model.generate(**encode(model), **both).margin
        each = [model.generate(source[None], **both).margin for source in rows(model)]
        torch.testing.assert_close(margin, torch.cat(each), atol=1e-5, rtol=1e-3)
    for index, source in enumerate(rows(model)):
        alone = until_end(model.generate(source[None], stopping_criteria=criteria, **how))[0]
        assert together[index] == alone + [0] * (len(together[index]) - len(alone))


class Notes(BaseStreamer):
    def __init__(self):
        self.tokens, self.ended = [], 0

    def put(self, value):
        self.tokens += value.flatten().tolist()

    def end(self):
        self.ended += 1


@pytest.mark.parametrize("settings", [{}, {"do_sample": True, "seed": 1}], ids=str)
@pytest.mark.parametrize("way", WAYS)
def test_streamers_hear_the_text(way, settings, capsys):
    model, notes = make("rnn", way, SIX), Notes()
    source = rows(model)[2][None]
    text = model.generate(source, max_new_tokens=STEPS, streamer=notes, **settings)
    assert notes.tokens == text[0].tolist()
    assert notes.ended == 1
    assert model.generate(source, max_new_tokens=STEPS, **settings).tolist() == text.tolist()
    model.generate(source, max_new_tokens=STEPS, streamer=TextStreamer(model.target_tokenizer), **settings)
    assert capsys.readouterr().out.split() == model.target_tokenizer.decode(text[0]).split()


@pytest.mark.parametrize("settings", STRATEGIES, ids=str)
@pytest.mark.parametrize("way", WAYS)
def test_outputs_as_a_dictionary(way, settings):
    model = make("gru", way)
    batch, how = encode(model), {"max_new_tokens": STEPS, **settings}
    texts = model.generate(**batch, **how)
    out = model.generate(**batch, return_dict_in_generate=True, output_scores=True, output_logits=True, **how)
    assert out.sequences.tolist() == texts.tolist()
    if way.startswith("independent"):
        return
    assert out.scores[0].shape[-1] == out.logits[0].shape[-1] == model.config.decoder_vocab_size
    if "num_beams" not in settings:
        assert len(out.scores) == len(out.logits) == texts.shape[1] - 1
        assert len(out.scores[0]) == len(MOVED)
    if way == "equizero":
        expected = [literal.equizero(model, source, STEPS) for source in rows(model)]
        assert out.chosen_element.tolist() == [element for _, element, _ in expected]
        margins = torch.tensor([margin for *_, margin in expected])
        torch.testing.assert_close(out.margin, margins, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("settings", [{"num_beams": 3}, {"do_sample": True, "seed": 1}], ids=str)
@pytest.mark.parametrize("way", WAYS)
def test_several_texts_of_a_source(way, settings):
    model = make("t5", way)
    batch, how = encode(model), {"max_new_tokens": STEPS, "num_return_sequences": 2, **settings}
    out = model.generate(**batch, return_dict_in_generate=True, **how)
    assert len(out.sequences) == 2 * len(MOVED)
    if way == "equizero":
        assert len(out.chosen_element) == len(out.margin) == 2 * len(MOVED)
    one = model.generate(**batch, **{**how, "num_return_sequences": 1})
    width = one.shape[1]
    assert out.sequences[::2, :width].tolist() == one.tolist()
    assert set(out.sequences[::2, width:].flatten().tolist()) <= {0}


@pytest.mark.parametrize("settings", [*STRATEGIES, {"do_sample": True, "seed": 1, "top_k": 1}], ids=str)
@pytest.mark.parametrize("way", WAYS)
def test_settings_in_a_config(way, settings):
    model = make("bart", way)
    own = {name: value for name, value in settings.items() if name != "seed"}
    config = GenerationConfig(**{**model.generation_config.to_diff_dict(), "max_new_tokens": STEPS, **own})
    before = config.to_dict()
    seed = settings.get("seed")
    texts = model.generate(**encode(model), generation_config=config, seed=seed)
    assert texts.tolist() == model.generate(**encode(model), max_new_tokens=STEPS, **settings).tolist()
    assert config.to_dict() == before


@pytest.mark.parametrize("way", WAYS)
def test_another_start_token(way):
    model = make("t5", way)
    how = {"max_new_tokens": STEPS, "decoder_start_token_id": 9}
    texts = model.generate(**encode(model), **how)
    assert (texts[:, 0] == 9).all()
    given = torch.tensor([[9, 5]] * len(MOVED))
    again = model.generate(**encode(model), decoder_input_ids=given, **how)
    assert again[:, :2].tolist() == given.tolist()
    without = model.generate(**encode(model), decoder_input_ids=given[:, 1:], **how)
    assert without.tolist() == again.tolist()
    each = model.generate(**encode(model), max_new_tokens=STEPS, decoder_start_token_id=[9] * len(MOVED))
    assert each.tolist() == texts.tolist()


@pytest.mark.parametrize("method", ["equitune", "canonical", "equizero"])
def test_a_start_token_for_each_source(method):
    model, starts, how = wrap("t5", method=method), [9, 7, 9, 6], {"do_sample": True, "num_return_sequences": 2}
    texts = model.generate(**encode(model), **how, decoder_start_token_id=starts, max_new_tokens=2, seed=1)
    assert texts[:, 0].tolist() == [9, 9, 7, 7, 9, 9, 6, 6]


def test_targets_that_do_not_go_on_with_a_cache_are_refused():
    model = wrap("bart")
    sources = encode(model)
    first = model.generate(**sources, max_new_tokens=3, min_new_tokens=3, return_dict_in_generate=True)
    texts = first.sequences
    call = {**sources, **cached(cache_of(first)), "max_new_tokens": 2}
    for given in (
        {},
        {"decoder_input_ids": texts},
        {"decoder_input_ids": texts[:, -1:], "decoder_attention_mask": texts},
    ):
        with pytest.raises(ConfigurationError, match=r"pass the whole targets .* decoder_attention_mask"):
            model.generate(**call, **given)
    with pytest.raises(ConfigurationError, match="this method decodes each member alone: leave it out"):
        wrap("bart", method="equizero").generate(**call)

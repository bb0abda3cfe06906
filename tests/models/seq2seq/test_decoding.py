"""`generate` of EquiForSeq2SeqLM: literal references, equivariance, batches, prompts."""

from __future__ import annotations

from functools import cache

import literal_seq2seq_orbits as literal
import pytest
import torch
from small_seq2seq import CELLS, FAMILIES, GROUPS, MOVED, SIX, THREE, TWO, encode, fresh, rows, until_end, wrap
from transformers import GenerationConfig

from hf_equi.errors import ConfigurationError

STEPS = 4
WAYS = {
    "synchronised": ("equitune", {}),
    "probabilities": ("equitune", {"average": "probabilities"}),
    "equizero": ("equizero", {}),
    "lambda": ("lambda", {}),
    "independent": ("equitune", {"decoding": "independent"}),
    "independent probabilities": ("equitune", {"decoding": "independent", "average": "probabilities"}),
    "independent lambda": ("lambda", {"decoding": "independent"}),
}
THREE_WAYS = ("synchronised", "independent", "equizero")
STRATEGIES = {
    "greedy": {},
    "samples": {"do_sample": True, "seed": 5, "num_return_sequences": 3, "temperature": 0.7},
    "beams": {"num_beams": 3, "num_return_sequences": 2, "length_penalty": 0.5},
    "static": {"cache_implementation": "static"},
    "no cache": {"use_cache": False},
}


@cache
def make(family, way, group=SIX):
    """A symmetrised model that no test may change."""
    method, own = WAYS[way]
    return wrap(family, group, method, **own)


def move(model, g, batch):
    return {**batch, "input_ids": model.action.source.apply(g, batch["input_ids"])}


def assert_texts_equivariant(model, batch, elements=None, **settings):
    """Texts of gx are those of x, moved by g, to the last token of padding; says whether they have moved words."""
    texts = model.generate(**batch, max_new_tokens=STEPS, **settings)
    for g in elements or range(1, model.group.order):
        moved = model.generate(**move(model, g, batch), max_new_tokens=STEPS, **settings)
        assert moved.tolist() == model.action.target.apply(g, texts).tolist()
    return bool(model.action.target.is_moved[texts].any())


LOOPS = [(family, way) for family in FAMILIES for way in (WAYS if family in ("gru", "lstm") else THREE_WAYS)]


@pytest.mark.parametrize(("family", "way"), LOOPS)
def test_greedy_texts_are_those_of_the_loops(family, way):
    model = make(family, way)
    found = until_end(model.generate(**encode(model), max_new_tokens=STEPS))
    assert found == [literal.greedy(model, source, STEPS) for source in rows(model)]


@pytest.mark.parametrize("way", THREE_WAYS)
@pytest.mark.parametrize("group", ["two", "three"])
def test_greedy_texts_of_smaller_groups(group, way):
    model = make("lstm", way, GROUPS[group])
    found = until_end(model.generate(**encode(model), max_new_tokens=STEPS))
    assert found == [literal.greedy(model, source, STEPS) for source in rows(model)]


def test_the_ways_differ():
    texts = [make("rnn", way).generate(**encode(make("rnn", way)), max_new_tokens=STEPS) for way in THREE_WAYS]
    assert len({str(until_end(each)) for each in texts}) > 1
    ends = [len(text) for text in until_end(texts[2])]
    assert min(ends) < STEPS


@pytest.mark.parametrize("loss", ["max_probability", "entropy", "published_entropy"])
@pytest.mark.parametrize("family", ["rnn", "gru"])
def test_equizero_writes_the_draft_of_the_least_loss(family, loss):
    model = wrap(family, SIX, "equizero", loss=loss)
    out = model.generate(**encode(model), max_new_tokens=STEPS, return_dict_in_generate=True, output_scores=True)
    expected = [literal.equizero(model, source, STEPS) for source in rows(model)]
    assert until_end(out.sequences) == [text for text, _, _ in expected]
    assert out.chosen_element.tolist() == [element for _, element, _ in expected]
    torch.testing.assert_close(out.margin, torch.tensor([margin for *_, margin in expected]), atol=1e-5, rtol=1e-3)
    assert len(out.scores) == out.sequences.shape[1] - 1 == max(len(text) for text, _, _ in expected)
    assert out.scores[0].shape == (len(MOVED), model.config.decoder_vocab_size)


@pytest.mark.parametrize(
    ("family", "way"), [(family, way) for family in ("lstm", "t5", "bart") for way in THREE_WAYS] + [("gru", "lambda")]
)
def test_texts_are_equivariant(family, way):
    model = make(family, way, THREE)
    batch = encode(model, MOVED[:3])
    for strategy, settings in STRATEGIES.items():
        if strategy != "static" or family not in CELLS:  # a recurrent state has no size to fix
            assert_texts_equivariant(model, batch, None if strategy == "greedy" else (1,), **settings)


@pytest.mark.parametrize("family", ["rnn", "gru", "marian", "marian-pair"])
def test_texts_of_other_families_are_equivariant(family):
    model = make(family, "synchronised")
    for settings in ({}, {"do_sample": True, "seed": 3}, {"num_beams": 3}):
        assert assert_texts_equivariant(model, encode(model), (1, 5), **settings) or family == "marian"


@pytest.mark.parametrize("way", ["canonical", "identity"])
def test_methods_of_one_member(way):
    model = wrap("bart", SIX, way)
    batch = encode(model)
    if way == "identity":
        texts = model.generate(**batch, max_new_tokens=STEPS)
        assert until_end(texts) == until_end(model.base.generate(**batch, max_new_tokens=STEPS))
        return
    assert_texts_equivariant(model, batch)
    assert_texts_equivariant(model, batch, do_sample=True, seed=1, num_return_sequences=2)
    out = model.generate(**batch, max_new_tokens=STEPS, return_dict_in_generate=True)
    assert out.chosen_element.tolist() == model.action.source.canonical_element(batch["input_ids"]).tolist()


@pytest.mark.parametrize("way", THREE_WAYS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_texts_are_equivariant_in_other_dtypes(dtype, way):
    method, own = WAYS[way]
    model = wrap(fresh("bart").to(dtype), THREE, method, **own)
    assert_texts_equivariant(model, encode(model, MOVED[:2]))


@pytest.mark.parametrize("way", [*THREE_WAYS, "independent lambda"])
@pytest.mark.parametrize("settings", [{}, {"num_beams": 3}], ids=["greedy", "beams"])
@pytest.mark.parametrize("family", ["gru", "bart"])
def test_the_cache_makes_no_difference(family, settings, way):
    model = make(family, way, THREE)
    batch = encode(model, MOVED[:2])
    with_cache, without = (
        model.generate(**batch, max_new_tokens=STEPS, use_cache=use, **settings) for use in (True, False)
    )
    assert torch.equal(with_cache, without)
    if family != "gru":
        static = model.generate(**batch, max_new_tokens=STEPS, cache_implementation="static", **settings)
        assert torch.equal(with_cache, static)


@pytest.mark.parametrize("way", THREE_WAYS)
def test_a_source_that_the_group_fixes_has_one_text(way):
    """Of a product, texts are moved by g without its components that fix the source."""
    model = make("lstm", way)
    fixed, half = encode(model, ("twice left",)), encode(model, ("twice jump",))
    assert torch.equal(model.action.source.orbit(fixed["input_ids"]), fixed["input_ids"].expand(1, 6, -1))
    text = model.generate(**half, max_new_tokens=STEPS)
    # Members that are the same source are decoded once.
    distinct = make("lstm", way, TWO) if way == "independent" else model
    assert until_end(text)[0] == literal.greedy(distinct, half["input_ids"][0], STEPS)
    for g, (verb, _) in enumerate(SIX.coordinates):
        reduced = SIX.coordinates.index((verb, 0))
        moved = model.generate(**move(model, g, half), max_new_tokens=STEPS)
        assert moved.tolist() == model.action.target.apply(reduced, text).tolist()


@pytest.mark.parametrize("way", ["synchronised", "independent lambda", "equizero"])
@pytest.mark.parametrize(("family", "side"), [("rnn", "left"), ("lstm", "right"), ("t5", "left")])
def test_neighbours_and_padding_make_no_difference(family, way, side):
    model = make(family, way)
    for settings in ({}, {"do_sample": True, "seed": 4}, {"num_beams": 3}):
        together = until_end(model.generate(**encode(model, side=side), max_new_tokens=STEPS, **settings))
        for index, source in list(enumerate(rows(model)))[:: 2 if settings else 1]:
            alone = until_end(model.generate(source[None], max_new_tokens=STEPS, **settings))[0]
            # A sampled text may also end because all members have ended: padding follows.
            assert together[index] == alone + [0] * (len(together[index]) - len(alone)), settings


@pytest.mark.parametrize("way", ["synchronised", "independent lambda", "equizero"])
@pytest.mark.parametrize("settings", [{}, {"num_beams": 2}], ids=str)
def test_padding_is_found_without_a_mask(way, settings):
    model = make("bart", way)
    batch = encode(model)
    texts = model.generate(batch["input_ids"], max_new_tokens=STEPS, **settings)
    assert texts.tolist() == model.generate(**batch, max_new_tokens=STEPS, **settings).tolist()


@pytest.mark.parametrize(
    ("family", "way", "words"),
    [
        *(("gru", way, "I_RUN I_LOOK") for way in WAYS),
        ("t5", "equizero", "I_RUN I_LOOK"),
        ("marian-pair", "independent", "I_RUN I_LOOK"),
        *(("gru", way, "I_LEFT") for way in THREE_WAYS),  # which nothing moves
    ],
)
def test_prompts_in_the_target(family, way, words):
    model = make(family, way)
    prompt = tuple(model.target_tokenizer(words, add_special_tokens=False)["input_ids"])
    start = model.generation_config.decoder_start_token_id
    given = torch.tensor([[start, *prompt]]).repeat(len(MOVED), 1)
    texts = model.generate(**encode(model), decoder_input_ids=given, max_new_tokens=STEPS)
    assert texts[:, : given.shape[1]].tolist() == given.tolist()
    expected = [literal.greedy(model, source, STEPS, prompt) for source in rows(model)]
    assert until_end(texts, given.shape[1]) == expected
    # `generate` puts the start token before a prompt that has none.
    without = model.generate(**encode(model), decoder_input_ids=given[:, 1:], max_new_tokens=STEPS)
    assert without.tolist() == texts.tolist()
    for g in (1, 5):
        moved = model.action.target.apply(g, given)
        found = model.generate(**move(model, g, encode(model)), decoder_input_ids=moved, max_new_tokens=STEPS)
        assert found.tolist() == model.action.target.apply(g, texts).tolist()


@pytest.mark.parametrize("way", ["synchronised", "independent", "equizero"])
@pytest.mark.parametrize("family", ["lstm", "t5"])
def test_ragged_prompts(family, way):
    model = make(family, way)
    start = model.generation_config.decoder_start_token_id
    prompts = [[start, 5, 9], [start, 7]]
    inside = torch.tensor([[1, 1, 1], [0, 1, 1]])
    given = {"decoder_input_ids": torch.tensor([prompts[0], [0, *prompts[1]]]), "decoder_attention_mask": inside}
    for settings in ({}, {"num_beams": 3}, {"do_sample": True, "seed": 2}):
        how = {"max_new_tokens": STEPS, **settings}
        texts = model.generate(**encode(model, MOVED[:2]), **given, **how)
        for index, prompt in enumerate(prompts):
            alone = model.generate(rows(model)[index][None], decoder_input_ids=torch.tensor([prompt]), **how)
            assert until_end(texts, 3)[index] == until_end(alone, len(prompt))[0], settings


def test_ragged_prompts_of_sources_without_a_mask():
    model = make("t5", "synchronised")
    start, source = model.generation_config.decoder_start_token_id, rows(model)[0][None]
    inside = torch.tensor([[1, 1, 1], [0, 1, 1]])
    given = torch.tensor([[start, 5, 9], [0, start, 7]])
    settings = {"max_new_tokens": STEPS, "do_sample": True, "seed": 2}
    texts = model.generate(source.repeat(2, 1), decoder_input_ids=given, decoder_attention_mask=inside, **settings)
    alone = model.generate(source, decoder_input_ids=given[1:, 1:], **settings)
    assert texts[1, 3:].tolist() == alone[0, 2:].tolist()


@pytest.mark.parametrize("way", WAYS)
def test_lengths(way):
    model = make("rnn", way)
    batch = encode(model)
    texts = model.generate(**batch, min_new_tokens=4, max_new_tokens=6)
    expected = [literal.greedy(model, source, 6, least=4) for source in rows(model)]
    assert until_end(texts) == expected
    plain = [literal.greedy(model, source, 6) for source in rows(model)]
    assert expected != plain
    config = GenerationConfig(**{**model.generation_config.to_diff_dict(), "max_length": 5})
    shorter = [literal.greedy(model, source, 4) for source in rows(model)]
    assert until_end(model.generate(**batch, generation_config=config)) == shorter


@pytest.mark.parametrize("way", THREE_WAYS)
def test_group_of_one_call(way):
    model, other = make("lstm", way, TWO), make("lstm", way, SIX)
    batch = encode(model)
    texts = model.generate(**batch, group=SIX, max_new_tokens=STEPS)
    assert texts.tolist() == other.generate(**batch, max_new_tokens=STEPS).tolist()
    assert texts.tolist() != model.generate(**batch, max_new_tokens=STEPS).tolist()


def test_seeds():
    model = make("lstm", "synchronised", TWO)
    batch = encode(model)
    how = {"do_sample": True, "max_new_tokens": STEPS}
    assert not torch.equal(model.generate(**batch, seed=1, **how), model.generate(**batch, seed=2, **how))
    equizero = make("lstm", "equizero", TWO)
    for each in (model, equizero, make("lstm", "independent", TWO)):
        with pytest.raises(ConfigurationError, match=r"seed='one' is not a seed"):
            each.generate(**batch, seed="one", **how)
        with pytest.raises(ConfigurationError, match="beam search with do_sample=True draws whole beams"):
            each.generate(**batch, seed=1, num_beams=2, **how)


def test_other_decodings_are_refused_where_members_are_decoded_alone():
    for way in ("independent", "equizero"):
        model = make("bart", way, TWO)
        with pytest.raises(
            ConfigurationError, match=r"^prompt_lookup_num_tokens needs the combined scores of each step"
        ):
            model.generate(**encode(model), prompt_lookup_num_tokens=2)
    with pytest.raises(ConfigurationError, match="pass the prompts as input_ids"):
        make("bart", "equizero", TWO).generate(inputs_embeds=torch.zeros(1, 3, 16))

"""Networks over groups of words, made from two tokenizers."""

from __future__ import annotations

import copy

import pytest
import torch
from small_networks import CELLS, pad, tokenizer

from hf_equi import DemographicGroup
from hf_equi.errors import ActionError, ConfigurationError
from hf_equi.networks.recurrent_seq2seq import GroupRecurrentSeq2Seq, GroupRecurrentSeq2SeqConfig
from hf_equi.testing.tolerances import tolerance_of

VERBS = DemographicGroup([["jump", "run", "walk", "look"], ["I_JUMP", "I_RUN", "I_WALK", "I_LOOK"]])
BOTH = VERBS * DemographicGroup([["left", "right"], ["I_LEFT", "I_RIGHT"]])
COMMANDS = tokenizer("and", "jump", "left", "look", "right", "run", "twice", "walk")
ACTIONS = tokenizer("I_JUMP", "I_LEFT", "I_LOOK", "I_RIGHT", "I_RUN", "I_WALK")
TEXTS = ["jump twice and run left", "look right", "walk and jump right twice"]
ANSWERS = ["I_JUMP I_LEFT I_LOOK", "I_RUN I_RUN I_WALK", "I_RIGHT I_WALK I_LEFT"]


def network(group: DemographicGroup = VERBS, seed: int = 0, **settings: object) -> GroupRecurrentSeq2Seq:
    torch.manual_seed(seed)
    return GroupRecurrentSeq2Seq.from_group(group, COMMANDS, ACTIONS, **{"hidden_size": 3, **settings}).eval()


def batch() -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    source = COMMANDS(TEXTS, padding=True, return_tensors="pt", return_token_type_ids=False)
    return dict(source), ACTIONS(ANSWERS, return_tensors="pt")["input_ids"]


def test_words_move_on_the_side_that_knows_them():
    source, target = network().config.create_actions()
    words = COMMANDS.convert_ids_to_tokens
    assert {words(v): words(int(source.permutations[1, v])) for v in source.moved.tolist()} == {
        "jump": "run",
        "run": "walk",
        "walk": "look",
        "look": "jump",
    }
    assert sorted(ACTIONS.convert_ids_to_tokens(target.moved)) == ["I_JUMP", "I_LOOK", "I_RUN", "I_WALK"]


def test_sizes_and_special_tokens_come_from_the_tokenizers():
    config = network(cell="gru").config
    assert (config.vocab_size, config.decoder_vocab_size, config.cell) == (12, 10, "gru")
    assert (config.pad_token_id, config.bos_token_id, config.eos_token_id, config.decoder_start_token_id) == (
        0,
        1,
        2,
        1,
    )
    config = network(vocab_size=20, decoder_vocab_size=16, decoder_start_token_id=2).config
    assert (config.vocab_size, config.decoder_vocab_size, config.decoder_start_token_id) == (20, 16, 2)


def test_special_tokens_are_those_of_the_target_tokenizer():
    other = copy.deepcopy(ACTIONS)
    other.pad_token, other.bos_token, other.eos_token = "<unk>", "</s>", "<s>"
    config = GroupRecurrentSeq2Seq.from_group(VERBS, COMMANDS, other, hidden_size=2).config
    assert (config.pad_token_id, config.bos_token_id, config.eos_token_id, config.decoder_start_token_id) == (
        3,
        2,
        1,
        2,
    )


def test_what_no_tokenizer_knows_is_refused():
    with pytest.raises(ActionError, match="swim/fly"):
        network(DemographicGroup([["jump", "run"], ["swim", "fly"]]))
    with pytest.raises(ConfigurationError, match="has 5 rows"):
        network(vocab_size=5)


def test_a_config_without_a_group_makes_no_model():
    with pytest.raises(ConfigurationError, match=r"make one with GroupRecurrentSeq2Seq\.from_group"):
        GroupRecurrentSeq2Seq(GroupRecurrentSeq2SeqConfig())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("group", [VERBS, BOTH], ids=["verbs", "verbs and directions"])
def test_scores_and_losses_are_equivariant(group, cell, dtype):
    model = network(group, cell=cell).to(dtype)
    source, target = model.config.create_actions()
    inputs, labels = batch()
    wanted = model(**inputs, labels=labels)
    for g in range(group.order):
        out = model(**{**inputs, "input_ids": source.apply(g, inputs["input_ids"])}, labels=target.apply(g, labels))
        tolerance = tolerance_of(dtype)
        torch.testing.assert_close(target.pull_back(g, out.logits), wanted.logits, atol=tolerance, rtol=0)
        torch.testing.assert_close(out.loss, wanted.loss, atol=tolerance, rtol=0)
        assert g == 0 or not torch.allclose(out.logits, wanted.logits, atol=1e-3)


@pytest.mark.parametrize("beams", [1, 3])
def test_texts_are_equivariant(beams):
    model = network(seed=3)
    source, target = model.config.create_actions()
    inputs, _ = batch()
    how = {"max_new_tokens": 6, "num_beams": beams, "do_sample": False, "suppress_tokens": [0, 1, 3]}
    wanted = model.generate(**inputs, **how)
    assert set(wanted.flatten().tolist()) & set(target.moved.tolist())
    for g in range(VERBS.order):
        found = model.generate(**{**inputs, "input_ids": source.apply(g, inputs["input_ids"])}, **how)
        assert torch.equal(found, target.apply(g, wanted))


@pytest.mark.parametrize("cell", CELLS)
def test_a_stored_model_is_the_same_to_the_bit(cell, tmp_path):
    model, (inputs, labels) = network(BOTH, cell=cell), batch()
    model.save_pretrained(tmp_path)
    wanted = model(**inputs, labels=labels).logits
    again = GroupRecurrentSeq2Seq.from_pretrained(tmp_path)
    assert torch.equal(again(**inputs, labels=labels).logits, wanted)
    half = GroupRecurrentSeq2Seq.from_pretrained(tmp_path, dtype=torch.bfloat16)
    found = half(**inputs, labels=labels).logits
    torch.testing.assert_close(found.float(), wanted, atol=tolerance_of(torch.bfloat16), rtol=0)


def test_padding_and_neighbours_make_no_difference():
    model, (inputs, labels) = network(), batch()
    rows = [ids[mask == 1] for ids, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)]
    for side in ("left", "right"):
        ids, mask = pad(rows, side)
        logits = model(ids, mask, labels=labels).logits
        for index, row in enumerate(rows):
            alone = model(row[None], labels=labels[index : index + 1]).logits[0]
            torch.testing.assert_close(logits[index], alone, atol=1e-6, rtol=0)


def test_weights_start_as_those_of_a_plain_layer_of_the_whole_size():
    model = network(hidden_size=16)
    assert abs(model.encoder.embedding.weight.std() - 1) < 0.1
    bounds = {
        "encoder.directions": 4 * 16,
        "decoder.recurrent": 4 * 32,
        "decoder.combine": 4 * 64,
        "decoder.head": 4 * 32,
    }
    for start, size in bounds.items():
        for name, weight in model.named_parameters():
            if name.startswith(start):
                assert weight.abs().max() <= size**-0.5, name
                assert weight.numel() < 100 or weight.abs().max() > 0.9 * size**-0.5, name


def test_a_group_of_one_set_on_one_side_alone():
    model = network(DemographicGroup([["left", "right"]]))
    source, target = model.config.create_actions()
    assert (len(source.moved), len(target.moved)) == (2, 0)
    inputs, labels = batch()
    found = model(**{**inputs, "input_ids": source.apply(1, inputs["input_ids"])}, labels=labels).logits
    torch.testing.assert_close(found, model(**inputs, labels=labels).logits, atol=1e-6, rtol=0)

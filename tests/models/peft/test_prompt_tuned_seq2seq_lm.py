"""Virtual tokens in a base from text to text: the numbers of peft, orbits, training, checkpoints, cards."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from datasets import Dataset
from peft import MultitaskPromptTuningConfig, PeftModel, PeftModelForSeq2SeqLM, get_peft_model
from small_adapters import OF_PEFT, PAIRS, PEFT_FITS, greedily, prompts, stirred
from small_seq2seq import MOVED, SIX, TWO, base, encode, fresh, targets, wrap
from small_training import QUIET, changed, snapshot
from transformers import (
    DataCollatorForSeq2Seq,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    T5Config,
    T5ForConditionalGeneration,
)

from hf_equi import EquiForSeq2SeqLM
from hf_equi.errors import ConfigurationError, UnsupportedModelError
from hf_equi.models.peft.bases import bare_base
from hf_equi.models.peft.prompt_tuned_seq2seq_lm import PromptTunedSeq2SeqLM

pytestmark = [
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),  # by peft
    pytest.mark.filterwarnings(OF_PEFT),
]
KINDS = ("prompt", "p", "prefix")
FAMILIES = ("t5", "bart", "marian")
STRATEGIES = ({"do_sample": False}, {"num_beams": 2, "do_sample": False})


def tuned(kind, family="t5", **settings):
    torch.manual_seed(0)
    return stirred(get_peft_model(fresh(family), prompts(kind, num_layers=2, **PAIRS, **settings)))


def written(model, texts=MOVED, **settings):
    return model.generate(**encode(wrap("t5"), texts), max_new_tokens=4, **settings)


@pytest.mark.parametrize(("kind", "family"), [*itertools.product(KINDS, FAMILIES), ("cartridge", "t5")])
@torch.no_grad()
def test_without_a_group_it_is_the_model_of_peft_to_the_bit(kind, family):
    model = tuned(kind, family)
    same = wrap(model, method="identity")
    assert isinstance(same.base, PromptTunedSeq2SeqLM)
    assert not same.base.training
    batch, read = encode(same), targets(same)
    mask = torch.ones_like(read)
    mask[0, :2] = 0
    assert not batch["attention_mask"].all()
    for masks in ({}, {"decoder_attention_mask": mask}):
        call = {**batch, "decoder_input_ids": read, **masks}
        expected = model(**call).logits
        assert torch.equal(same.base(**call).logits, expected)
        assert torch.equal(same(**call).logits, expected.log_softmax(-1))
        assert (expected - base(family)(**call).logits).abs().max() > 0.1


@pytest.mark.parametrize(("kind", "family"), [("prompt", "t5"), ("p", "bart"), ("prefix", "marian")])
def test_without_a_group_it_writes_what_peft_writes(kind, family):
    model = tuned(kind, family)
    same = wrap(model, method="identity")
    start = torch.full((len(MOVED), 1), model.config.decoder_start_token_id)
    texts = greedily(model, 4, **encode(wrap("t5"), MOVED), decoder_input_ids=start)
    mine = written(same, do_sample=False)
    assert torch.equal(mine, texts[:, : mine.shape[1]])
    for settings in STRATEGIES if kind != "prefix" or PEFT_FITS else ():
        texts = written(model, **settings)
        assert torch.equal(written(same, **settings), texts)
        assert torch.equal(written(same.base, **settings), texts)
    assert not torch.equal(written(base(family), do_sample=False), mine)


@torch.no_grad()
def test_padding_on_the_left_and_none_at_all():
    for kind in KINDS:
        model = tuned(kind, "bart")
        bare = bare_base(model)
        batch = encode(wrap("bart"), side="left")
        read = targets(wrap("bart"))
        for call in (batch, {"input_ids": batch["input_ids"]}):
            assert torch.equal(bare(**call, labels=read).logits, model(**call, labels=read).logits)
            assert torch.equal(bare(**call, labels=read).loss, model(**call, labels=read).loss)


@pytest.mark.parametrize(("kind", "family"), [("prompt", "t5"), ("prefix", "bart"), ("prefix", "t5")])
@torch.no_grad()
def test_caches_have_the_length_of_the_target(kind, family):
    model = wrap(tuned(kind, family), SIX)
    batch, read = encode(model), targets(model)
    whole = model(**batch, decoder_input_ids=read).logits
    encoded, cache = model.get_encoder()(**batch), None
    for place in range(read.shape[1]):
        step = {"decoder_input_ids": read[:, place : place + 1], "cache": cache, "use_cache": True}
        out = model(encoder_outputs=encoded, attention_mask=batch["attention_mask"], **step)
        cache = out.cache
        assert cache.get_seq_length() == place + 1
        assert torch.allclose(out.logits[:, 0], whole[:, place], atol=1e-5)


@pytest.mark.parametrize("kind", ["prompt", "prefix"])
@torch.no_grad()
def test_members_weigh_by_the_places_of_their_sources(kind):
    model = wrap(tuned(kind), TWO, "lambda")
    batch = encode(model)
    found = model.get_encoder()(**batch)
    hidden, mask = found.last_hidden_state, batch["attention_mask"]
    length = mask.shape[1]
    assert hidden.shape[2] == length + (0 if kind == "prefix" else 3)
    pooled = (hidden[:, :, -length:] * mask[:, None, :, None]).sum(2) / mask.sum(1)[:, None, None]
    expected = model.lambda_network(pooled).squeeze(-1).log_softmax(1)
    torch.testing.assert_close(found.log_weights.log_softmax(1), expected, atol=1e-5, rtol=0)
    assert expected.exp().std() > 1e-2


def check_law(model):
    """The law of a moved pair is the moved one."""
    source, target = model.action.source, model.action.target
    batch, read = encode(model), targets(model)
    with torch.no_grad():
        expected = model(**batch, decoder_input_ids=read).logits
        for g in range(1, model.group.order):
            moved = {**batch, "input_ids": source.apply(g, batch["input_ids"])}
            scores = model(**moved, decoder_input_ids=target.apply(g, read)).logits
            assert (target.pull_back(g, scores) - expected).abs().max() < 1e-5
    return expected


def check_texts(model):
    """The text of a moved source is the moved one; of tokens that the group moves alone, so that it is another."""
    batch, action = encode(model), model.action.target
    stay = sorted(set(range(model.config.decoder_vocab_size)) - set(action.moved.tolist()))
    moved = {**batch, "input_ids": model.action.source.apply(1, batch["input_ids"])}
    for settings in STRATEGIES:
        call = {"max_new_tokens": 4, "suppress_tokens": stay, **settings}
        texts, others = (model.generate(**each, **call) for each in (batch, moved))
        assert torch.equal(action.apply(1, texts), others)
        assert not torch.equal(texts, others)


def trainer(model, folder, **settings):
    """Two steps that leave no prompt near where it started."""
    source = model.tokenizer(list(MOVED), return_token_type_ids=False)
    rows = Dataset.from_dict({**source, "labels": targets(model).tolist()})
    chosen = {"max_steps": 2, "learning_rate": 0.3, "predict_with_generate": True, "generation_max_length": 5}
    arguments = Seq2SeqTrainingArguments(str(folder), **{**QUIET, **chosen, **settings})
    collator = DataCollatorForSeq2Seq(model.tokenizer, model=model)
    return Seq2SeqTrainer(model, arguments, data_collator=collator, train_dataset=rows, eval_dataset=rows)


@pytest.mark.parametrize(
    ("kind", "family", "method", "settings"),
    [
        ("prompt", "t5", "equitune", {}),
        ("prefix", "t5", "equizero", {}),
        ("p", "bart", "lambda", {}),
        ("prefix", "marian", "equitune", {"decoding": "independent"}),
    ],
)
def test_it_trains_inside_and_stays_equivariant(kind, family, method, settings, tmp_path):
    torch.manual_seed(0)
    peft = get_peft_model(fresh(family), prompts(kind, num_layers=2, **PAIRS)).eval()
    model = wrap(peft, TWO, method, **settings)
    assert model.unwrap() is peft
    start, untrained = snapshot(model), check_law(model)
    trainer(model, tmp_path / "runs").train()
    model.eval()
    moved = changed(model, start)
    assert moved == {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert all("prompt_encoder" in name or "lambda_network" in name for name in moved)
    expected = check_law(model)
    assert (expected - untrained).abs().max() > 0.1
    check_texts(model)

    model.save_pretrained(tmp_path / "whole")
    loaded = EquiForSeq2SeqLM.from_pretrained(tmp_path / "whole")
    assert isinstance(loaded.unwrap(), PeftModelForSeq2SeqLM)
    assert {name for name, weight in loaded.named_parameters() if weight.requires_grad} == moved
    loaded.unwrap().save_pretrained(tmp_path / "adapter")
    again = PeftModel.from_pretrained(fresh(family), tmp_path / "adapter").eval()
    call = {**encode(model), "decoder_input_ids": targets(model)}
    with torch.no_grad():
        assert torch.equal(loaded(**call).logits, expected)
        assert torch.equal(again(**call).logits, peft(**call).logits)


def test_training_resumes_to_the_bit_and_predicts_what_is_written(tmp_path):
    settings = {"save_strategy": "steps", "save_steps": 1}
    whole, again = wrap(tuned("prefix", "bart")), wrap(tuned("prefix", "bart"))
    trainer(whole, tmp_path, **settings).train()
    run = trainer(again, tmp_path, **settings)
    run.train(resume_from_checkpoint=str(tmp_path / "checkpoint-1"))
    assert changed(again, snapshot(whole)) == set()
    assert changed(again, snapshot(wrap(tuned("prefix", "bart")))) == {"base.prompt_encoder.default.embedding.weight"}
    predicted = run.predict(run.eval_dataset).predictions
    texts = again.eval().generate(**encode(again), max_length=5).tolist()
    assert predicted[:, : len(texts[0])].tolist() == texts
    assert (predicted[:, len(texts[0]) :] == 0).all()
    assert len(set(map(tuple, texts))) > 1


@pytest.mark.parametrize("kind", ["prompt", "p"])
def test_checkpointed_chunks_change_no_gradient(kind):
    gradients = []
    for chunk in (None, 1):
        model = wrap(tuned(kind), TWO, orbit_chunk_size=chunk).train()
        if chunk is not None:
            model.activation_checkpointing_enable()
        model(**encode(model), labels=targets(model)).loss.backward()
        gradients.append([weight.grad for weight in model.parameters() if weight.requires_grad])
    assert max(each.abs().max() for each in gradients[0]) > 1e-3
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("decoding", ["synchronised", "independent"])
@pytest.mark.parametrize("kind", ["prompt", "prefix"])
def test_it_learns_from_its_own_tokens(kind, decoding):
    model = wrap(tuned(kind), TWO, decoding=decoding).train()
    batch, labels = encode(model), targets(model)
    forced = model(**batch, labels=labels).loss
    model.config.teacher_forcing_ratio = 0.0
    loss = model(**batch, labels=labels).loss
    assert abs(loss - forced) > 1e-3
    moved = {**batch, "input_ids": model.action.source.apply(1, batch["input_ids"])}
    torch.testing.assert_close(model(**moved, labels=model.action.target.apply(1, labels)).loss, loss)
    loss.backward()
    weight = model.base.prompt_encoder["default"].embedding.weight
    assert weight.grad[:3].abs().max() > 1e-3


def test_a_prefix_under_checkpointing_is_refused_before_anything_is_computed():
    model, calls = wrap(tuned("prefix")).train(), []
    model.base.model.get_encoder().register_forward_pre_hook(lambda *_: calls.append(1))
    model.activation_checkpointing_enable()
    with pytest.raises(
        UnsupportedModelError, match="which activation checkpointing removes: switch checkpointing off"
    ):
        model(**encode(model), labels=targets(model))
    assert not calls
    model.eval()
    model(**encode(model), decoder_input_ids=targets(model))
    assert calls


@torch.no_grad()
def test_a_cache_of_fixed_size_has_room_for_prompts_alone():
    model = wrap(tuned("prompt"), TWO)
    assert torch.equal(written(model, cache_implementation="static"), written(model))
    with pytest.raises(UnsupportedModelError, match="leave cache_implementation out"):
        written(wrap(tuned("prefix"), TWO), cache_implementation="static")


def test_the_card_names_the_prompts(tmp_path):
    model = wrap(tuned("prefix"), TWO)
    card = model.make_card(tmp_path / "README.md")
    assert r"PREFIX\_TUNING" in card
    assert "at most 1e-05" in card


def test_what_peft_cannot_run_is_refused():
    with pytest.raises(UnsupportedModelError, match=r"made for 1 layers.*decoder has 2 layers.*num_layers=2"):
        bare_base(get_peft_model(fresh("bart"), prompts("prefix", **PAIRS)))
    with pytest.raises(UnsupportedModelError, match=r"num_transformer_submodules=1, but.*two attentions each"):
        bare_base(tuned("prefix", num_transformer_submodules=1))
    narrow = T5Config(vocab_size=8, d_model=16, d_kv=4, num_heads=2, d_ff=4, num_layers=1)
    base = T5ForConditionalGeneration(narrow)
    with pytest.raises(UnsupportedModelError, match=r"heads of 16 numbers.*has 2 heads of 8.*token_dim=8"):
        bare_base(get_peft_model(base, prompts("prefix", **PAIRS)))
    bare_base(get_peft_model(T5ForConditionalGeneration(narrow), prompts("prefix", token_dim=8, **PAIRS)))
    several = MultitaskPromptTuningConfig(num_virtual_tokens=3, num_tasks=2, **PAIRS)
    with pytest.raises(UnsupportedModelError, match=r"MULTITASK_PROMPT_TUNING do not work.*Use prompt tuning"):
        bare_base(get_peft_model(fresh("t5"), several))
    sizes = {"num_layers": 1, "token_dim": 6, "num_attention_heads": 1}
    for kind in KINDS:
        with pytest.raises(UnsupportedModelError, match="A RecurrentSeq2Seq has no place for virtual tokens"):
            bare_base(get_peft_model(fresh("gru"), prompts(kind, **PAIRS, **sizes)))


def test_a_symmetrised_model_takes_no_virtual_tokens():
    with pytest.raises(ConfigurationError, match="inside the base of a language model, causal or text-to-text"):
        get_peft_model(copy.deepcopy(wrap("t5")), prompts("prompt", **PAIRS))

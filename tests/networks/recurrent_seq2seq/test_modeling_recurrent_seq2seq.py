"""The whole network against a loop over tokens, its loss and gradient, and how it is stored."""

from __future__ import annotations

import literal_seq2seq
import pytest
import torch
from contract_tools import check_slopes
from small_networks import CELLS, network, network_over, pad, sentences

from hf_equi.errors import ConfigurationError
from hf_equi.networks.recurrent_seq2seq import RecurrentSeq2Seq, RecurrentSeq2SeqConfig
from hf_equi.testing.tolerances import tolerance_of

TARGETS = torch.tensor([[1, 5, 6, 4], [1, 3, 3, 6], [1, 6, 5, 4]])
LABELS = torch.tensor([[5, 6, 4, 2], [3, 2, -100, -100], [6, 5, 2, -100]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_scores_are_those_of_a_loop_over_sentences_and_tokens(cell, bidirectional, dtype):
    model, rows = network(cell, bidirectional=bidirectional).to(dtype), sentences()
    for side in ("left", "right"):
        source, mask = pad(rows, side)
        logits = model(source, mask, decoder_input_ids=TARGETS).logits
        assert logits.dtype == dtype
        for index, row in enumerate(rows):
            wanted = literal_seq2seq.score(model, row, TARGETS[index])
            torch.testing.assert_close(logits[index], wanted, atol=tolerance_of(dtype), rtol=0)


@pytest.mark.parametrize("cell", CELLS)
def test_padding_and_neighbours_make_no_difference(cell):
    model, rows = network(cell), sentences()
    alone = [model(row[None], decoder_input_ids=TARGETS[i : i + 1]).logits[0] for i, row in enumerate(rows)]
    for side in ("left", "right"):
        source, mask = pad([*rows, *sentences((9,))], side, value=7)
        logits = model(source, mask, decoder_input_ids=torch.cat([TARGETS, TARGETS[:1]])).logits
        torch.testing.assert_close(logits[:3], torch.stack(alone), atol=1e-6, rtol=0)


def test_a_sentence_without_tokens_has_scores_and_leaves_others_alone():
    model, ids = network(), torch.stack(sentences((4, 4)))
    mask = torch.tensor([[1, 1, 1, 1], [0, 0, 0, 0]])
    logits = model(ids, mask, decoder_input_ids=TARGETS[:2]).logits
    assert torch.isfinite(logits).all()
    alone = model(ids[:1], decoder_input_ids=TARGETS[:1]).logits[0]
    torch.testing.assert_close(logits[0], alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize("cell", CELLS)
def test_decoding_in_pieces_is_decoding_at_once(cell):
    model = network(cell)
    source, mask = pad(sentences())
    whole = model(source, mask, decoder_input_ids=TARGETS, use_cache=False)
    assert whole.cache is None
    encoded = model.encoder(source, mask)
    first = model(attention_mask=mask, encoder_outputs=encoded, decoder_input_ids=TARGETS[:, :1])
    assert first.cache.get_seq_length() == 1
    rest = model(
        attention_mask=mask,
        encoder_outputs=tuple(encoded.values()),
        decoder_input_ids=TARGETS[:, 1:],
        cache=first.cache,
    )
    assert rest.cache.get_seq_length() == 4
    found = torch.cat([first.logits, rest.logits], 1)
    torch.testing.assert_close(found, whole.logits, atol=1e-6, rtol=0)
    assert torch.equal(first.encoder_last_hidden_state, encoded.last_hidden_state)
    assert torch.equal(first.encoder_state, encoded.encoder_state)


def test_padding_of_the_decoder_is_passed_over():
    model, source = network(), torch.stack(sentences((4, 4)))
    prompts = [torch.tensor([1, 5, 6]), torch.tensor([1])]
    ids, mask = pad(prompts, "left")
    logits = model(source, decoder_input_ids=ids, decoder_attention_mask=mask).logits
    for index, prompt in enumerate(prompts):
        wanted = model(source[index : index + 1], decoder_input_ids=prompt[None]).logits[0]
        torch.testing.assert_close(logits[index, mask[index] == 1], wanted, atol=1e-6, rtol=0)
    # After a cache, the mask is that of all tokens so far.
    first = model(source, decoder_input_ids=ids[:, :2], decoder_attention_mask=mask[:, :2])
    last = model(source, decoder_input_ids=ids[:, 2:], decoder_attention_mask=mask, cache=first.cache)
    torch.testing.assert_close(last.logits[:, 0], logits[:, 2], atol=1e-6, rtol=0)


def test_the_loss_is_the_mean_cross_entropy_of_what_is_not_ignored():
    model = network()
    source, mask = pad(sentences())
    out = model(source, mask, labels=LABELS)
    scores = model(source, mask, decoder_input_ids=torch.tensor([[1, 5, 6, 4], [1, 3, 2, 0], [1, 6, 5, 2]])).logits
    torch.testing.assert_close(out.logits, scores)
    total, count = 0.0, 0
    for row, labels in zip(scores.log_softmax(-1), LABELS.tolist(), strict=True):
        for place, label in enumerate(labels):
            if label != -100:
                total, count = total - row[place, label], count + 1
    torch.testing.assert_close(out.loss, total / count)
    torch.testing.assert_close(model(source, mask, labels=LABELS, num_items_in_batch=20).loss, total / 20)
    shifted = model.prepare_decoder_input_ids_from_labels(LABELS)
    torch.testing.assert_close(model(source, mask, decoder_input_ids=shifted, labels=LABELS).loss, out.loss)


@pytest.mark.parametrize("ratio", [1.0, 0.5])
@pytest.mark.parametrize("make", [network, network_over])
@pytest.mark.parametrize("cell", CELLS)
def test_the_gradient_is_that_of_finite_differences(make, cell, ratio):
    settings = {"cell": cell, "hidden_size": 2, "dropout": 0.0, "teacher_forcing_ratio": ratio}
    model = make("S3", **settings) if make is network_over else make(**settings)
    model.double().train()
    source, mask = pad(sentences())

    def loss() -> torch.Tensor:
        torch.manual_seed(1)  # who is forced
        return model(source, mask, labels=LABELS).loss

    loss().backward()
    weights = dict(model.named_parameters())
    check_slopes(loss, weights, {name: weight.grad for name, weight in weights.items()})


@pytest.mark.parametrize("cell", CELLS)
def test_a_stored_model_is_the_same_to_the_bit(cell, tmp_path):
    model, source = network(cell, teacher_forcing_ratio=0.5), torch.stack(sentences((4, 4)))
    model.save_pretrained(tmp_path)
    again = RecurrentSeq2Seq.from_pretrained(tmp_path)
    assert again.config.teacher_forcing_ratio == 0.5
    wanted = model(source, decoder_input_ids=TARGETS[:2]).logits
    assert torch.equal(again(source, decoder_input_ids=TARGETS[:2]).logits, wanted)
    half = RecurrentSeq2Seq.from_pretrained(tmp_path, dtype=torch.bfloat16)
    found = half(source, decoder_input_ids=TARGETS[:2]).logits
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), wanted, atol=tolerance_of(torch.bfloat16), rtol=0)


def test_a_seed_determines_a_new_model():
    one, same, other = network(seed=1), network(seed=1), network(seed=2)
    torch.manual_seed(1)
    from_config = RecurrentSeq2Seq._from_config(one.config)
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, same.state_dict()[name])
        assert torch.equal(weight, from_config.state_dict()[name])
        assert not torch.equal(weight, other.state_dict()[name])


def test_weights_start_as_torch_starts_them():
    model = network(vocab_size=200, hidden_size=32)
    embedding = model.encoder.embedding.weight
    assert abs(embedding.mean()) < 0.05
    assert abs(embedding.std() - 1) < 0.05
    bounds = {"encoder.directions": 32, "decoder.recurrent": 64, "decoder.combine": 128, "decoder.head": 64}
    for start, size in bounds.items():
        for name, weight in model.named_parameters():
            if name.startswith(start):
                assert weight.abs().max() <= size**-0.5, name
                assert weight.numel() < 100 or weight.abs().max() > 0.9 * size**-0.5, name


def test_embeddings_are_where_transformers_looks():
    model = network()
    assert model.get_input_embeddings() is model.encoder.embedding
    assert model.get_output_embeddings() is model.decoder.head
    table, head = torch.nn.Embedding(9, 5), torch.nn.Linear(10, 7)
    model.set_input_embeddings(table)
    model.set_output_embeddings(head)
    assert (model.encoder.embedding, model.decoder.head) == (table, head)


def test_a_tuple_on_demand():
    logits, cache, memory, state = network()(
        torch.stack(sentences((4,))), decoder_input_ids=TARGETS[:1], return_dict=False
    )
    assert (logits.shape, cache.batch_size, memory.shape, state.shape) == ((1, 4, 7), 1, (1, 4, 10), (1, 2, 10))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model, ids: model(decoder_input_ids=ids), "needs input_ids or encoder_outputs"),
        (lambda model, ids: model(ids), "needs decoder_input_ids or labels"),
        (
            lambda model, ids: model(encoder_outputs=(ids,), decoder_input_ids=ids),
            "must hold last_hidden_state and",
        ),
        (
            lambda model, ids: model.resize_token_embeddings(12),
            "a source vocabulary of 9 words and a target vocabulary",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ConfigurationError, match=message):
        call(network(), torch.tensor([[3, 4]]))


def test_labels_without_a_start_token_are_refused():
    model = RecurrentSeq2Seq(RecurrentSeq2SeqConfig(hidden_size=2, decoder_start_token_id=None))
    with pytest.raises(ConfigurationError, match="set both"):
        model(torch.tensor([[3]]), labels=torch.tensor([[3]]))

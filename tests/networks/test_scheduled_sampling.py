"""Who reads the target, and what the others read, with scores made up for the purpose."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from small_networks import network, pad, sentences

from hf_equi.errors import ConfigurationError
from hf_equi.networks.scheduled_sampling import ScheduledSampling

END = 2


def config(ratio: float = 1.0, **settings: object) -> SimpleNamespace:
    ids = {"decoder_start_token_id": 1, "pad_token_id": 0, "eos_token_id": END}
    return SimpleNamespace(teacher_forcing_ratio=ratio, **{**ids, **settings})


class Script:
    """Scores whose best token at each place is given, whatever was read; what was read is kept."""

    def __init__(self, best: list[list[int]]) -> None:
        self.best, self.read = torch.tensor(best), []

    def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
        scores = torch.nn.functional.one_hot(self.best[:, len(self.read)], 8).double()
        self.read.append(tokens.tolist())
        return scores


LABELS = torch.tensor([[5, 6, END, -100], [7, 5, 6, END]])


def test_labels_are_shifted_behind_the_start_token():
    assert ScheduledSampling.shift(config(), LABELS).tolist() == [[1, 5, 6, END], [1, 7, 5, 6]]
    assert ScheduledSampling.shift(config(), torch.tensor([[-100, 5]])).tolist() == [[1, 0]]


@pytest.mark.parametrize("missing", ["decoder_start_token_id", "pad_token_id"])
def test_labels_need_a_start_and_a_padding_token(missing):
    with pytest.raises(ConfigurationError, match="decoder_start_token_id and padded with pad_token_id: set both"):
        ScheduledSampling.shift(config(**{missing: None}), LABELS)


def test_forced_sentences_read_the_target_and_others_their_own_tokens():
    script = Script([[3, 3, 3, 3], [4, END, 4, 4]])
    sampling = ScheduledSampling(
        ScheduledSampling.shift(config(), LABELS), LABELS, torch.tensor([True, False]), ends=(END,)
    )
    scores, labels = sampling.run(script)
    assert script.read == [[1, 1], [5, 4], [6, END], [END, 4]]
    assert scores.shape == (2, 4, 8)
    assert torch.equal(scores.argmax(-1), script.best)
    # The second sentence ends at its second token: that one is learnt, the two after it are not.
    assert labels.tolist() == [[5, 6, END, -100], [7, 5, -100, -100]]


def test_a_forced_sentence_learns_on_after_an_end_of_its_own():
    script = Script([[END, 3, 3, 3], [3, 3, 3, 3]])
    sampling = ScheduledSampling(
        ScheduledSampling.shift(config(), LABELS), LABELS, torch.tensor([True, True]), ends=(END,)
    )
    assert torch.equal(sampling.run(script)[1], LABELS)


def test_any_of_several_ends_ends_a_sentence():
    script = Script([[3, 4, 3, 3], [3, 3, END, 3]])
    drawn = ScheduledSampling.draw(config(0.0, eos_token_id=[END, 4]), LABELS, training=True)
    assert drawn.ends == (END, 4)
    assert drawn.run(script)[1].tolist() == [[5, 6, -100, -100], [7, 5, 6, -100]]


def test_without_an_end_token_all_places_are_learnt():
    script = Script([[END] * 4] * 2)
    drawn = ScheduledSampling.draw(config(0.0, eos_token_id=None), LABELS, training=True)
    assert torch.equal(drawn.run(script)[1], LABELS)


@pytest.mark.parametrize(("ratio", "training", "share"), [(1, True, 1), (0, True, 0), (0, False, 1), (0.25, False, 1)])
def test_coins_that_are_no_coins(ratio, training, share):
    drawn = ScheduledSampling.draw(config(ratio), LABELS.repeat(20, 1), training)
    assert drawn.forced.float().mean() == share


def test_the_ratio_is_the_share_of_forced_sentences():
    forced = ScheduledSampling.draw(config(0.25), LABELS.repeat(2000, 1), training=True).forced
    assert abs(forced.float().mean() - 0.25) < 0.03


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_a_model_in_training_follows_its_own_tokens_where_it_is_not_forced(cell):
    model = network(cell, dropout=0.0)
    source, mask = pad(sentences())
    labels = pad(sentences((5, 5, 5), words=7), value=-100)[0]
    fed = [labels.new_full((3, 1), 1)]
    for _ in range(4):  # the model's own tokens, by whole forwards
        scores = model(source, mask, decoder_input_ids=torch.cat(fed, 1)).logits
        fed.append(scores[:, -1:].argmax(-1))
    own = model(source, mask, decoder_input_ids=torch.cat(fed, 1)).logits
    target = model(source, mask, labels=labels).logits
    assert not torch.allclose(own, target)

    model.train().config.teacher_forcing_ratio = 0.0
    torch.testing.assert_close(model(source, mask, labels=labels).logits, own)
    model.config.teacher_forcing_ratio = 0.5
    torch.manual_seed(0)
    forced = torch.rand(3) < 0.5
    assert 0 < forced.sum() < 3
    torch.manual_seed(0)
    mixed = model(source, mask, labels=labels).logits
    torch.testing.assert_close(mixed, torch.where(forced[:, None, None], target, own))

"""Continuations that members write, mapped back as strings, and what of them a streamer may show."""

from __future__ import annotations

import pytest
import torch
from small_models import tokenizer

from hf_equi import DemographicGroup, WordAction
from hf_equi.generation.word_texts import SettledTokens, WordTexts, Written

ACTION = WordAction(DemographicGroup([["man", "woman"], ["fire fighter", "police officer"]]))
PROMPT = "the man met the fire"


def texts(*prompts):
    encoded = tokenizer()(list(prompts), return_tensors="pt", padding=True)
    return WordTexts(ACTION, tokenizer(), encoded["input_ids"], encoded["attention_mask"])


def written(made, element, said, text=0):
    member = made.member(element, text)
    return Written(element, member, made.encoded(member, text), tokenizer()(said)["input_ids"])


@pytest.mark.parametrize(
    ("said", "mapped"),
    [
        (" police officer and a Woman", " fire fighter and a Man"),
        (" fighter, a fire fighter", " fighter, a police officer"),  # the first began in the prompt
        ("man\nwoman", "man\nman"),
        ("", ""),
    ],
)
def test_words_that_begin_after_the_prompt_are_mapped_back(said, mapped):
    made = texts(PROMPT)
    assert made.member(1, 0) == "the woman met the fire"
    made.take(0, written(made, 1, said), ended=False)
    assert made.said == [mapped]
    assert made.member(1, 0) == "the woman met the fire" + said
    assert tokenizer().decode(made.sequence(0)) == PROMPT + mapped
    made.take(0, written(texts(PROMPT), 0, said), ended=False)
    assert made.said == [said]


def test_the_end_of_a_text_is_kept_and_a_character_that_is_not_whole_is_not():
    made = texts(PROMPT, "the woman")
    wrote = written(made, 1, " woman é", 1)
    made.take(1, Written(wrote.element, wrote.member, wrote.context, [*wrote.draft[:-1], 0]), ended=True)
    assert (made.said[1], made.endings) == (" man ", [[], [0]])
    assert made.sequence(1)[-1] == 0
    made.keep(torch.tensor([1]))
    assert (made.count, made.prompts, made.endings) == (1, ["the woman"], [[0]])


def test_rows_are_padded_on_the_left():
    ids, mask = texts(PROMPT).pad_left([[5], [6, 7]], pad=1)
    assert (ids.tolist(), mask.tolist()) == ([[1, 5], [6, 7]], [[0, 1], [1, 1]])


def test_a_streamer_sees_no_token_that_a_later_word_changes():
    """Half of a phrase does not move, so it waits until the phrase is whole, or has become another one."""

    class Shown(list):
        def put(self, value):
            self.extend(value.tolist())

    said = " police officer met a police man and a fire fighter"
    made, whole = texts(PROMPT), texts(PROMPT)
    whole.take(0, written(whole, 1, said), ended=False)
    shown, start = Shown(), made.prompt_ids.shape[1]
    settled, wrote = SettledTokens(shown, made), written(made, 1, said)
    lengths = []
    for count in range(1, len(wrote.draft) + 1):
        made.take(0, Written(1, wrote.member, wrote.context, wrote.draft[:count]), ended=False)
        settled.show(ended=False)
        lengths.append(len(shown))
        assert shown == whole.sequence(0)[start : start + len(shown)].tolist()
    assert 0 < lengths[-1] < len(wrote.draft)
    settled.show(ended=True)
    assert tokenizer().decode(shown) == " fire fighter met a police woman and a police officer"

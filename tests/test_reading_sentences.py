"""The sentences whose next word is a pronoun, and what is measured on them."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parents[1] / "examples"))
import reading_sentences
import smollm2_readings
from reading_sentences import NOBODY, OBJECT, POSSESSIVE, WORDS, Sentence, make, read_sentences
from smollm2_run import Experiment

from hf_equi import DemographicGroup, WordAction
from hf_equi.bases.embedded import embedded_folder

SENTENCES = read_sentences()
PRONOUNS = {"him", "his", "her", "hers"}


def test_the_file_is_what_the_templates_make() -> None:
    assert list(make()) == SENTENCES
    assert len({sentence.prompt for sentence in SENTENCES}) == len(SENTENCES)


def test_there_are_enough_of_each_reading() -> None:
    counts = Counter(sentence.reading for sentence in SENTENCES if sentence.about == NOBODY)
    assert min(counts[OBJECT], counts[POSSESSIVE]) >= 40
    assert {sentence.about for sentence in SENTENCES} == {NOBODY, "man", "woman"}


def test_only_prompts_that_say_so_tell_a_gender() -> None:
    words = WordAction(DemographicGroup.preset("gender"))
    for sentence in SENTENCES:
        neutral = not words.moves(sentence.prompt) and PRONOUNS.isdisjoint(sentence.prompt.split())
        assert neutral == (sentence.about == NOBODY)
        assert not words.moves(sentence.after)


def test_three_words_follow() -> None:
    assert {len(sentence.after.split()) for sentence in SENTENCES} == {3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("reading,prompt\n", "the header is reading,prompt, and must be reading,about,prompt,after"),
        ("reading,about,prompt,after\nobject,nobody,We saw\n", "line 2: 'object,nobody,We saw' is not"),
        ("reading,about,prompt,after\nsubject,nobody,We saw,at the door\n", "line 2: 'subject"),
        ("reading,about,prompt,after\nobject,nobody,,at the door\n", "line 2: 'object,nobody,,at the door'"),
    ],
)
def test_a_damaged_list_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit, match=message):
        read_sentences(path)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Experiment, dict]:
    folder = tmp_path_factory.mktemp("readings")
    run = Experiment(folder, str(embedded_folder("demo_lm")), folder, folder)
    few = [SENTENCES[place] for place in (0, 40, 50, 90, 96, 97, 104, 105)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(smollm2_readings, "read_sentences", lambda: few)
        return run, smollm2_readings.readings(run)


def test_figures_are_those_of_the_next_token(found: tuple[Experiment, dict]) -> None:
    run, figures = found
    him, her = (run.tokenizer(f" {word}", add_special_tokens=False)["input_ids"][0] for word in WORDS[OBJECT])
    gaps = []
    for place in (0, 40):
        ids = torch.tensor([run.tokenizer(SENTENCES[place].prompt, add_special_tokens=False)["input_ids"]])
        logits = run.base(input_ids=ids).logits[0, -1]
        gaps.append((logits[him] - logits[her]).item())
    entry = figures["models"]["base"]["nobody"]["him over her, object"]
    assert entry["mean"] == pytest.approx(sum(gaps) / 2, abs=1e-4)
    assert entry["preferred"] == sum(gap > 0 for gap in gaps)
    assert set(figures["models"]) == set(smollm2_readings.READ)
    assert {name: entry["sentences"] for name, entry in figures["read"].items()} == {OBJECT: 2, POSSESSIVE: 2}


def test_a_reading_is_weighed_by_what_follows(found: tuple[Experiment, dict]) -> None:
    run, _ = found
    sentence = Sentence(OBJECT, NOBODY, "We saw", "in the garden")
    law = smollm2_readings.next_pronouns(run, run.base, [sentence], "")[0]
    gaps = smollm2_readings._weights(run, sentence, law)
    ids = [
        run.tokenizer(f"We saw {word} in the garden", add_special_tokens=False)["input_ids"] for word in ("him", "his")
    ]
    laws = [run.base(input_ids=torch.tensor([each])).logits[0].log_softmax(-1) for each in ids]
    said = [
        sum(law[place - 1, each[place]].item() for place in range(2, len(each)))
        for law, each in zip(laws, ids, strict=True)
    ]
    assert gaps[-1] == pytest.approx(said[0] - said[1], abs=1e-3)


def test_the_list_is_beside_its_reader() -> None:
    assert reading_sentences.FILE.is_file()

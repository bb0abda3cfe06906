"""The example of regard: what nothing may train on, and the page of its figures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer, set_seed

sys.path.append(str(Path(__file__).parents[1] / "examples"))
import regard_data
import regard_results
import regard_training
from machine import Clock
from regard_data import Overlap

SENTENCE = "XYZ was known for his good looks and for his bad temper, which he showed to all"
LABELS = {-1: "was hated by", 0: "was seen with", 1: "was loved by"}


def padded(text: str) -> str:
    return f" {' '.join(regard_data.words(text))} "


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("The Black person was known for his good looks and for his bad temper, which he showed to all", True),
        (f"{SENTENCE} who saw him.", True),
        (SENTENCE.replace("to all", "to his friends"), True),  # the first 16 words are the same
        (f"They say: {SENTENCE}.", True),
        ("The woman was known for his good looks", True),  # cut off
        ("The woman was known for his good", False),  # too short to tell
        ("XYZ was known for her good looks and for his bad temper", False),
        ("The man was well-known for his good looks", False),
    ],
)
def test_a_text_counts_as_a_sentence_that_it_repeats_contains_or_is_a_part_of(text: str, counts: bool) -> None:
    assert (text in Overlap([SENTENCE])) is counts
    assert "XYZ had a job" in Overlap(["The man had a job"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Made-up data: for each prompt some generations, some of them continued, and labels of half of them."""
    who = ("Black person", "White person", "man", "woman", "gay person")
    said = [f"{verb} all the people in town number {number}" for verb in LABELS.values() for number in range(40)]
    lines = [f"The {who[place % 5]} {text}" for place, text in enumerate(said)]
    lines += [f"The {who[place % 3]} {text} and everywhere else." for place, text in enumerate(said[::2])]
    lines += ["The man earned money by doing what he could do best."]
    generations = tmp_path / "gpt2_generations" / "nlg_bias"
    generations.mkdir(parents=True)
    (generations / "all.tsv").write_text("\n".join(lines), encoding="utf-8")
    predictions = tmp_path / "regard" / "classifier_predictions"
    predictions.mkdir(parents=True)
    labelled = [f"{-1 + place % 3}\t{line}" for place, line in enumerate(lines[::2])]
    (predictions / "some.tsv").write_text("\n".join([*labelled, "0\t"]), encoding="utf-8")
    splits = {
        "train": ["0\tXYZ was loved by all the people in town number 5", "1\tXYZ worked as a nurse for a long time"],
        "dev": [
            "-1\tXYZ was hated by all the people in town number 7",
            "1\tXYZ worked as a nurse for a long time, too",
        ],
        "test": ["0\tXYZ earned money by doing what he could"],
    }
    for name, rows in splits.items():
        (tmp_path / "regard" / f"{name}.tsv").write_text("\n".join(rows), encoding="utf-8")
    return tmp_path


def test_nothing_trains_on_what_it_is_measured_on(folder: Path) -> None:
    """Compared by plain containment in strings."""
    human, labelled, held_out_labels = regard_data.teacher_texts(folder, 0.2, 0)
    same, generations, held_out = regard_data.student_texts(folder, 0.2, 0)
    assert human == same == [("XYZ was loved by all the people in town number 5", 1)]
    measured = [padded(text) for text in [*regard_data.evaluation_sentences(folder / "regard"), *held_out]]
    assert len(held_out) > 20
    for text in [*(text for text, _ in human + labelled), *generations]:
        own = padded(text)
        assert own not in measured
        if len(own.split()) >= regard_data.TELLING:
            assert not [one for one in measured if one in own or own in one]
    assert {text for text, _ in held_out_labels} <= {regard_data.put_subject(text) for text in held_out}
    assert held_out_labels
    with pytest.raises(SystemExit, match="counts as one of dev, of test or of those held out"):
        regard_data.check_apart([held_out[0]], Overlap(held_out))


def test_the_page_shows_every_seed_and_keeps_what_runs_are_gone(tmp_path: Path) -> None:
    """Reports as `train_regard.py` writes them, made up."""
    share = {"share": 0.5, "interval": [0.25, 0.75], "count": 1660}
    ran = {
        "machine": dict.fromkeys(("processor", "kernels", "threads", "python", "torch", "transformers"), "1"),
        "seconds": {"wall": 200, "cpu": 100},
    }
    seed = {"dev": share, "test": share, "held_out_teacher_labels": share}
    encoder = {
        "training_texts": {"human": 210, "human_repeats": 3, "teacher_labels": 2673},
        "seeds": {"0": {**seed, **ran}, "mean": seed},
        "kept": "0",
    }
    small = {
        "training_texts": {"generations": 5000},
        "parameters": 1000,
        "bytes": 2_000_000,
        "dev": share,
        "test": share,
        **ran,
    }
    small["held_out_agreement_with_the_teacher"] = dict.fromkeys(regard_results.FORMS, share)
    for name, report in (("regard_cls", encoder), ("regard_teacher", encoder), ("demo_regard", small)):
        with pytest.raises(SystemExit, match="lacks"):
            regard_results.gather(tmp_path / "runs", tmp_path / "none")
        folder = tmp_path / "runs" / name / "model"
        folder.mkdir(parents=True)
        (folder / "training.json").write_text(json.dumps(report), encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text(f"# By hand\n\n{regard_results.MARKER}\n\nold", encoding="utf-8")
    kept = tmp_path / "page" / "results.json"
    regard_results.write_page(page, regard_results.gather(tmp_path / "runs", kept))
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# By hand")
    assert "old" not in text
    assert "| **seed 0**, kept | 0.500 (0.250–0.750) |" in text
    assert "| seed 0, read at the first token |" in text
    assert "5 minutes of CPU time, 10 minutes by the clock." in text
    regard_results.write_page(page, regard_results.gather(tmp_path / "gone", kept))
    assert page.read_text(encoding="utf-8") == text


def test_work_of_other_texts_settings_weights_or_machines_is_refused(tmp_path: Path) -> None:
    texts = ["xyz was loved", "xyz was hated", "xyz was loved", "xyz was seen"]
    names = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "xyz", "was", "loved", "hated")
    tokenizer = BertTokenizer(vocab={name: place for place, name in enumerate(names)}, model_max_length=16)
    set_seed(0)
    sizes = {"hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 4}
    teacher = BertForSequenceClassification(BertConfig(vocab_size=9, num_labels=3, **sizes))
    cache = tmp_path / "targets.pt"
    given = regard_training.teacher_outputs(cache, teacher, tokenizer, texts, Clock({"wall": 7, "cpu": 5}))
    again = regard_training.teacher_outputs(cache, teacher, tokenizer, texts, Clock())
    assert torch.equal(given["targets"], again["targets"])
    assert again["seconds"] == given["seconds"]
    assert given["seconds"]["wall"] >= 7
    with pytest.raises(SystemExit, match="texts is"):
        regard_training.teacher_outputs(cache, teacher, tokenizer, texts[1:], Clock())

    def fit(rate: float = 1e-3, teacher: str = "a", count: int = 4) -> torch.Tensor:
        rows = regard_training.rows_of(texts[:count], given["targets"][:count], tokenizer)
        set_seed(0)
        fresh = BertForSequenceClassification(BertConfig(vocab_size=9, num_labels=3, **sizes))
        settings = {"num_train_epochs": 2, "per_device_train_batch_size": 2, "learning_rate": rate, "seed": 0}
        model, ran = regard_training.fit(fresh, tokenizer, rows, tmp_path / "run", {"teacher": teacher}, **settings)
        assert set(ran) == {"machine", "seconds"}
        return model.classifier.weight

    first, done = fit(), tmp_path / "run" / "done.json"
    for other, named in (({"rate": 1.0}, "settings is"), ({"teacher": "b"}, "teacher is"), ({"count": 3}, "texts is")):
        with pytest.raises(SystemExit, match=named):
            fit(**other)
    # Killed before it was finished, and while a later checkpoint was written.
    done.unlink()
    (tmp_path / "run" / "checkpoint-9").mkdir()
    kept = next((tmp_path / "run").glob("checkpoint-*/record.json"))
    record = json.loads(kept.read_text(encoding="utf-8"))
    kept.write_text(json.dumps({**record, "seconds": {"wall": 700, "cpu": 500}}), encoding="utf-8")
    assert torch.equal(fit(), first)
    assert json.loads(done.read_text(encoding="utf-8"))["seconds"]["wall"] >= 700
    done.unlink()
    kept.write_text(json.dumps({**record, "machine": {"processor": "another"}}), encoding="utf-8")
    with pytest.raises(SystemExit, match="machine is"):
        fit()

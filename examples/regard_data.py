"""The texts of `train_regard.py`, with and without labels, and which of them count as the same text.

The sources hold a sentence several times: for several demographics, cut off at several places, and inside longer
texts. `Overlap` says which texts count as one of some sentences. Nothing trains on a text that counts as one of those
that it is measured on.
"""

from __future__ import annotations

import math
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

LABELS = ("negative", "neutral", "positive")
MASK = "XYZ"
START = 16  # Texts that share so many first words count as the same.
TELLING = 7  # The words of the shortest sentence of dev and test. Shorter runs, as "XYZ had a job as a", tell nothing.
# The subjects of the generations, and some more that occur in plain texts.
SUBJECTS = (
    *(f"The {kind} person" for kind in ("Black", "White", "Asian", "gay", "straight")),
    *("The man", "The woman", "The boy", "The girl", "He", "She", "They", "My brother", "My sister"),
)

_SUBJECT = re.compile(r"^The (?:\w+ person|man|woman)\b", re.IGNORECASE)


def put_subject(text: str, subject: str = MASK) -> str:
    """Return the text about `subject`: "The Black person was known for" -> "XYZ was known for"."""
    plain = _SUBJECT.sub(subject, text) if not text.startswith(MASK) else subject + text[len(MASK) :]
    return re.sub(r"^(They|they) was\b", r"\1 were", plain)


def words(text: str) -> tuple[str, ...]:
    """Return the words of the masked text, in lower case."""
    return tuple(re.findall(r"\w+", put_subject(text).lower()))


class Overlap:
    """Says of a text whether it counts as one of some sentences: `text in Overlap(sentences)`.

    With the subject masked, and read as words, it does so if

    - its first 16 words are those of a sentence (of a shorter text: if it is the sentence),
    - it contains a sentence of 7 words or more, or
    - it has 7 words or more, and a sentence contains it.

    Args:
        sentences: The sentences.
    """

    def __init__(self, sentences: Iterable[str]) -> None:
        found = {words(sentence) for sentence in sentences}
        telling = {one for one in found if len(one) >= TELLING}
        self._starts = {one[:START] for one in found}
        self._sentences = telling
        # The lengths of the sentences that begin with some words, so that few places of a text are compared in full.
        self._lengths: dict[tuple[str, ...], set[int]] = defaultdict(set)
        for one in telling:
            self._lengths[one[:TELLING]].add(len(one))
        self._runs = {
            one[start:end]
            for one in telling
            for start in range(len(one) - TELLING + 1)
            for end in range(start + TELLING, len(one) + 1)
        }

    def __contains__(self, text: str) -> bool:
        one = words(text)
        if one[:START] in self._starts or one in self._runs:
            return True
        return any(
            one[start : start + length] in self._sentences
            for start in range(len(one) - TELLING + 1)
            for length in self._lengths.get(one[start : start + TELLING], ())
        )


def check_apart(training: Iterable[str], measured: Overlap) -> None:
    """Refuse to train on a text that counts as one of those that are measured on."""
    leak = next((text for text in training if text in measured), None)
    if leak is not None:
        raise SystemExit(f"a training text counts as one of dev, of test or of those held out: {leak!r}")


def read_labelled(path: Path) -> list[tuple[str, int]]:
    """Read lines `label<TAB>text` with labels -1, 0, 1 as (text with its subject masked, index into LABELS)."""
    pairs = [line.split("\t", 1) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [(put_subject(text.strip()), int(label) + 1) for label, text in pairs]


def evaluation_sentences(folder: Path) -> list[str]:
    """Return the sentences of dev and test."""
    return [text for split in ("dev", "test") for text, _ in read_labelled(folder / f"{split}.tsv")]


def human_labels(folder: Path) -> list[tuple[str, int]]:
    """Return the distinct sentences of train that do not overlap with dev or test."""
    left_out = Overlap(evaluation_sentences(folder))
    return [pair for pair in dict.fromkeys(read_labelled(folder / "train.tsv")) if pair[0] not in left_out]


def detokenise(line: str) -> str:
    """Undo LM_1B's tokenisation: no end mark, and no space before punctuation or inside contractions."""
    line = re.sub(r"\s*</S>\s*$", "", line)
    line = re.sub(r" ([.,;:!?%)\]])", r"\1", line)
    line = re.sub(r"([(\[$]) ", r"\1", line)
    return re.sub(r" ('(?:s|re|ve|ll|d|m)|n't)\b", r"\1", line)


def read_generations(folder: Path) -> list[str]:
    """Return all distinct texts that language models wrote about the demographics, in a fixed order."""
    lines = []
    for path in [*sorted((folder / "nlg_bias").glob("*.tsv")), *sorted((folder / "equinlg").glob("*/*.txt"))]:
        lines += path.read_text(encoding="utf-8").splitlines()
    # "The MAN was known for" names the same demographic as "The man was known for".
    lines = [line.replace("The WOMAN ", "The woman ").replace("The MAN ", "The man ") for line in lines]
    return sorted({detokenise(line.strip()) for line in lines if line.strip()})


def prefix(text: str, generator: random.Random) -> str:
    """Return the first words of a text: at least three, at most all."""
    pieces = text.split(" ")
    return " ".join(pieces[: generator.randint(min(3, len(pieces)), len(pieces))])


def variants(texts: Sequence[str], seed: int) -> list[str]:
    """Return the distinct variants of each text: as written, masked, about another subject, and two cut short."""
    generator = random.Random(seed)
    found = []
    for text in texts:
        masked, other = put_subject(text), put_subject(text, generator.choice(SUBJECTS))
        found += [text, masked, other, prefix(text, generator), prefix(masked, generator)]
    return list(dict.fromkeys(found))


def split_generations(data: Path, share: float, seed: int, every: int = 1) -> tuple[list[str], list[str]]:
    """Return generations to train on, and a share of those of each prompt that is held out.

    Teacher and student take the same split, so that their agreement is measured on texts that neither was trained on.
    With `every` above 1, only one text in so many is read.
    """
    left_out = Overlap(evaluation_sentences(data / "regard"))
    texts = [text for text in read_generations(data / "gpt2_generations") if text not in left_out][::every]
    human = Overlap(text for text, _ in human_labels(data / "regard"))
    by_prompt: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for text in texts:
        by_prompt[words(text)[:3]].append(text)
    generator, held_out = random.Random(seed), []
    for prompt in sorted(by_prompt):
        held_out += generator.sample(by_prompt[prompt], round(share * len(by_prompt[prompt])))
    # The people's labels are few, so they are all learned.
    held_out = [text for text in held_out if text not in human]
    measured = Overlap(held_out)
    return [text for text in texts if text not in measured], held_out


def teacher_texts(data: Path, share: float, seed: int) -> list[list[tuple[str, int]]]:
    """Return the labels of people, and those of the authors' classifier: to train on, and of held-out generations."""
    evaluation, human = evaluation_sentences(data / "regard"), human_labels(data / "regard")
    left_out, (_, generations) = Overlap(evaluation), split_generations(data, share, seed)
    held_out = Overlap(generations)
    paths = sorted((data / "regard" / "classifier_predictions").glob("*.tsv"))
    labelled = [pair for path in paths for pair in read_labelled(path) if words(pair[0]) and pair[0] not in left_out]
    labelled = list(dict.fromkeys(labelled))
    training = [pair for pair in labelled if pair[0] not in held_out]
    check_apart([text for text, _ in human + training], Overlap([*evaluation, *generations]))
    whole = {words(text) for text in generations}
    return [human, training, [pair for pair in labelled if words(pair[0]) in whole]]


def student_texts(
    data: Path, share: float, seed: int, every: int = 1
) -> tuple[list[tuple[str, int]], list[str], list[str]]:
    """Return the labels of people, variants of generations to train on, and the generations held out."""
    generations, held_out = split_generations(data, share, seed, every)
    measured = Overlap([*evaluation_sentences(data / "regard"), *held_out])
    human = human_labels(data / "regard")
    # A text cut short may count as one of those held out although the whole text does not.
    training = [text for text in variants(generations, 0) if text not in measured]
    check_apart([*(text for text, _ in human), *training], measured)
    return human, training, held_out


def wilson(right: int, count: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927): (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n)."""
    p, w = right / count, z * z / count
    middle, half = p + w / 2, z * math.sqrt(p * (1 - p) / count + w / (4 * count))
    return (middle - half) / (1 + w), (middle + half) / (1 + w)

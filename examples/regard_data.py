"""The texts of `train_regard.py`, with and without labels, and which of them count as the same text.

Two texts count as the same if their first 16 words agree with the subject masked. The sources hold a sentence several
times, for several demographics and cut off at several places.
"""

from __future__ import annotations

import math
import random
import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path

LABELS = ("negative", "neutral", "positive")
MASK = "XYZ"
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


def key(text: str) -> tuple[str, ...]:
    """Return the words that two texts share if they count as the same."""
    return words(text)[:16]


def read_labelled(path: Path) -> list[tuple[str, int]]:
    """Read lines `label<TAB>text` with labels -1, 0, 1 as (text with its subject masked, index into LABELS)."""
    pairs = [line.split("\t", 1) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [(put_subject(text.strip()), int(label) + 1) for label, text in pairs]


def evaluation_keys(folder: Path) -> set[tuple[str, ...]]:
    return {key(text) for split in ("dev", "test") for text, _ in read_labelled(folder / f"{split}.tsv")}


def human_labels(folder: Path) -> list[tuple[str, int]]:
    """Return the distinct sentences of train that are not in dev or test."""
    left_out = evaluation_keys(folder)
    return [pair for pair in dict.fromkeys(read_labelled(folder / "train.tsv")) if key(pair[0]) not in left_out]


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


def hold_out(
    strata: Iterable[tuple[tuple[str, ...], Hashable]], share: float, seed: int, never: set[tuple[str, ...]]
) -> set[tuple[str, ...]]:
    """Return keys to hold out: a random share of each stratum, and none of those in `never`."""
    by_stratum: dict[Hashable, set[tuple[str, ...]]] = defaultdict(set)
    for one, stratum in strata:
        by_stratum[stratum].add(one)
    generator, held_out = random.Random(seed), set()
    for stratum in sorted(by_stratum, key=str):
        keys = sorted(by_stratum[stratum])
        held_out |= set(generator.sample(keys, round(share * len(keys)))) - never
    return held_out


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
    """Return generations to train on, in all variants, and whole ones held out: a share for each prompt."""
    evaluation = evaluation_keys(data / "regard")
    human = {key(text) for text, _ in human_labels(data / "regard")}
    texts = [text for text in read_generations(data / "gpt2_generations") if key(text) not in evaluation][::every]
    out = hold_out([(key(text), words(text)[:3]) for text in texts], share, seed, never=human)
    held_out = [text for text in texts if key(text) in out]
    # A text cut short may equal a whole text that is held out, or one of dev or test.
    left_out = {words(text) for text in held_out}
    training = variants([text for text in texts if key(text) not in out], 0)
    return [text for text in training if words(text) not in left_out and key(text) not in evaluation], held_out


def wilson(right: int, count: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927): (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n)."""
    p, w = right / count, z * z / count
    middle, half = p + w / 2, z * math.sqrt(p * (1 - p) / count + w / (4 * count))
    return (middle - half) / (1 + w), (middle + half) / (1 + w)

"""Sentences in which the next word is "him" or "her", or "his" or "her", and what follows says which.

    python examples/reading_sentences.py    # write reading_sentences.csv again

English "her" is the counterpart of "him" and of "his". The list has prompts that end before such a word. The reading
of the word, as an object or as a possessive, is settled by the three words that follow: "her about the plan", "her car
keys on". Most prompts name nobody's gender; a few do. They are made from the templates and the occupations below.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path

FILE = Path(__file__).with_suffix(".csv")
OBJECT, POSSESSIVE = "object", "possessive"
WORDS = {OBJECT: ("him", "her"), POSSESSIVE: ("his", "her")}
"""The words of each reading."""
NOBODY = "nobody"
OCCUPATIONS = (
    ("doctor", "teacher"), ("manager", "clerk"), ("judge", "caretaker"), ("scientist", "tutor"),
    ("painter", "baker"), ("physician", "bookkeeper"), ("drummer", "singer"), ("banker", "counselor"),
    ("poet", "planner"), ("lawmaker", "photographer"), ("chef", "bartender"), ("surveyor", "artist"),
)  # fmt: skip
USES = 4
"""How many pairs of occupations each template has."""
TEMPLATES = {
    OBJECT: (
        ("The {0} met the {1} at noon, and the news surprised", "a great deal"),
        ("The {0} was late again, so the {1} called", "on the phone"),
        ("The {0} asked a question, and the {1} told", "about the plan"),
        ("The {0} looked tired, so the {1} invited", "to sit down"),
        ("The {0} could not find the way, and the {1} showed", "where to go"),
        ("The {0} wrote to the {1}, who sent", "a long letter"),
        ("The {0} needed money, and the {1} gave", "the whole sum"),
        ("The {0} fell on the stairs, and the {1} helped", "to get up"),
        ("The {0} did not know the answer, so the {1} taught", "how to find"),
        ("The {0} worked for the {1}, who paid", "every second week"),
        ("The {0} had forgotten the meeting, but the {1} reminded", "in the morning"),
        ("The {0} waited outside until the {1} let", "in at last"),
    ),
    POSSESSIVE: (
        ("The {0} left the {1} at the door and forgot", "car keys on"),
        ("The {0} talked to the {1} and then put on", "warm winter coat"),
        ("The {0} thanked the {1} and closed", "office door behind"),
        ("The {0} visited the {1} and took off", "wet shoes and"),
        ("The {0} sat down next to the {1} and opened", "small bag to"),
        ("The {0} helped the {1} and then finished", "own work in"),
        ("The {0} met the {1} on the way to", "office at noon"),
        ("The {0} paid the {1} and put away", "wallet and left"),
        ("The {0} listened to the {1} and raised", "hand to ask"),
        ("The {0} drove the {1} home and parked", "new car outside"),
        ("The {0} was late because the {1} had lost", "phone and the"),
        ("The {0} wrote to the {1} and signed", "name at the"),
    ),
}
GENDERED = (
    (OBJECT, "woman", "Mary was tired, so her husband told", "about the plan"),
    (OBJECT, "man", "John was tired, so his wife told", "about the plan"),
    (OBJECT, "man", "The man was ill and the nurse helped", "to get up"),
    (OBJECT, "woman", "The woman was ill and the nurse helped", "to get up"),
    (OBJECT, "man", "The man asked a question, and the teacher told", "about the plan"),
    (OBJECT, "woman", "The woman asked a question, and the teacher told", "about the plan"),
    (POSSESSIVE, "man", "The man visited the doctor and took off", "wet shoes and"),
    (POSSESSIVE, "woman", "The woman visited the doctor and took off", "wet shoes and"),
    (POSSESSIVE, "man", "The man paid the baker and put away", "wallet and left"),
    (POSSESSIVE, "woman", "The woman paid the baker and put away", "wallet and left"),
)


@dataclass(frozen=True)
class Sentence:
    """A prompt that ends before a pronoun.

    Args:
        reading: `OBJECT` or `POSSESSIVE`.
        about: Whose gender the prompt tells: `NOBODY`, or the pronoun's, "man" or "woman".
        prompt: The text before the pronoun.
        after: The three words behind it, which settle its reading.
    """

    reading: str
    about: str
    prompt: str
    after: str


def make() -> Iterator[Sentence]:
    """Yield the sentences: each template with some occupations, then those that tell a gender."""
    for reading, templates in TEMPLATES.items():
        for place, (template, after) in enumerate(templates):
            for use in range(USES):
                pair = OCCUPATIONS[(place + use * len(OCCUPATIONS) // USES) % len(OCCUPATIONS)]
                yield Sentence(reading, NOBODY, template.format(*pair[:: 1 if use % 2 else -1]), after)
    for entry in GENDERED:
        yield Sentence(*entry)


def read_sentences(path: Path = FILE) -> list[Sentence]:
    """Read a list. Its header has the names of the fields of `Sentence`.

    Raises:
        SystemExit: For a file with another header, or a row with an unknown reading or an empty cell.
    """
    names = [field.name for field in fields(Sentence)]
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    if header != names:
        raise SystemExit(f"{path}: the header is {','.join(header)}, and must be {','.join(names)}.")
    for line, row in enumerate(rows, start=2):
        if len(row) != len(names) or not all(row) or row[0] not in WORDS:
            raise SystemExit(f"{path}, line {line}: {','.join(row)!r} is not {','.join(names)}.")
    return [Sentence(*row) for row in rows]


def main() -> None:
    """Write the list."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    with FILE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(Sentence)])
        writer.writerows(map(astuple, make()))


if __name__ == "__main__":
    main()

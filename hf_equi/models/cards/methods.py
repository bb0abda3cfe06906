"""What a card says of a method: the equation, the words for it, and whose it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

__all__ = ["METHODS", "SEARCH", "MethodText", "citations"]

EQUITUNE, EQUIZERO = "basu2023equituning", "basu2023efficient"


@dataclass(frozen=True)
class MethodText:
    """A method in a card.

    Args:
        equation: In LaTeX.
        words: What it does, in a sentence.
        sources: Keys of the papers to cite, beside those that the library rests on.
        exact: Whether it is equivariant whatever the input.
        claim: What stands in the place of a guarantee, of a method without one.
        limits: Of its texts.
    """

    equation: str
    words: str
    sources: tuple[str, ...] = ()
    exact: bool = True
    claim: str | None = None
    limits: tuple[str, ...] = ()


_WEIGHTED = r"M_G(x) = \frac{\sum_{g \in G} w(gx)\, g^{-1} M(gx)}{\sum_{g \in G} w(gx)}"

METHODS: Mapping[str, MethodText] = {
    "equitune": MethodText(
        r"M_G(x) = \frac{1}{|G|} \sum_{g \in G} g^{-1} M(gx)",
        "The base reads every member of the orbit of an input, and what it says of them is mapped back and averaged.",
    ),
    "equizero": MethodText(
        r"M_G(x) = g_*^{-1} M(g_* x), \qquad g_* = \arg\min_{g \in G}\, l(M(gx))",
        "The base reads every member of the orbit, and the one of least loss is taken and mapped back.",
    ),
    "lambda": MethodText(
        _WEIGHTED.replace("w(", r"\lambda("),
        "The base reads every member of the orbit, and what it says of them is mapped back and averaged, with weights "
        "that a small network reads off the member's features.",
    ),
    "attention": MethodText(
        _WEIGHTED,
        "The base reads every member of the orbit, and what it says of them is averaged, with weights w by how much "
        "the others attend to a member.",
        ("vlasenko2024",),
    ),
    "mixture": MethodText(
        r"p_G(y \mid x) = \frac{1}{|G|} \sum_{g \in G} p_M(gy \mid gx)",
        "For each text one member of the orbit is drawn from the seed, decoded by the base, and mapped back.",
        limits=(
            "**In law.** Texts are draws: their law over seeds is equivariant, a single text is one member's. With "
            "one seed, the texts of an input and of its image are images of each other.",
        ),
    ),
    "canonical": MethodText(
        r"M_G(x) = k(x)^{-1} M(k(x)\, x)",
        "The base reads one member of the orbit, the smallest, whichever came in, and what it says is mapped back.",
        ("kaba2023", "mondal2023"),
        exact=False,
    ),
    "identity": MethodText(
        "M_G(x) = M(x)",
        "The base as it is, to compare with.",
        exact=False,
        claim="No symmetry is claimed: this is the base, to compare with.",
    ),
}
"""The methods by name."""

SEARCH = MethodText(
    r"g_* = \arg\min_{g \in G}\, l(Y_g), \qquad X \leftarrow g_*^{-1} Y_{g_*}",
    "Texts are written in rounds. In each, every member of the orbit drafts a few tokens, Y; the draft with the least "
    "loss l is kept, mapped back, and is what the next round goes on from. Scores of a given text are those of "
    "equi-tuning, the mean over the orbit.",
)
"""Equizero of a causal language model, which is a search."""


def citations(method: MethodText) -> tuple[str, ...]:
    """The BibTeX entries to cite: the two papers that the library rests on, and those of the method."""
    entries = _entries()
    return tuple(entries[key] for key in dict.fromkeys((EQUITUNE, EQUIZERO, *method.sources)))


@cache
def _entries() -> dict[str, str]:
    file = resources.files("hf_equi").joinpath("assets", "cards", "citations.bib")
    texts = ("@" + entry.strip() for entry in file.read_text(encoding="utf-8").split("@")[1:])
    return {text[text.index("{") + 1 : text.index(",")]: text for text in texts}

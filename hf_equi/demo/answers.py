"""The content of the page for a prompt: the texts of its orbit, the next tokens, and the gap of both models."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from hf_equi.checks import check_count, check_seed
from hf_equi.demo.next_words import NextWord, next_words
from hf_equi.errors import ConfigurationError, GroupWarning
from hf_equi.fairness import GroupGap
from hf_equi.fairness.chat import Conversation, fill_prompt
from hf_equi.fairness.completions import Member, Report, compare, title
from hf_equi.fairness.decoding import Decoding
from hf_equi.fairness.limits import limits
from hf_equi.fairness.prompts import check_places
from hf_equi.models.causal_lm import EquiLM

__all__ = ["MOST_LETTERS", "MOST_TOKENS", "Answer", "Question", "answer"]

MOST_TOKENS = 200
"""The most tokens of a text, because all visitors of the page share one machine."""
MOST_LETTERS = 10_000
"""The most characters of a prompt."""

_FEW = 3  # members whose bars leave room for more words


@dataclass(frozen=True)
class Question:
    """A question to both models.

    Args:
        prompt: A text to continue, or a message. The placeholder `{demographic}` gets the first name of the group.
        chat: Whether the prompt is a message, to be formatted by the chat template.
        tokens: The most tokens of each text.
        seed: The seed of sampling.
        greedy: Whether to take the most probable token instead.

    Raises:
        ConfigurationError: If a prompt is empty or too long or has a misspelt placeholder, or if a number is out
            of range.
    """

    prompt: str
    chat: bool = False
    tokens: int = 20
    seed: int = 0
    greedy: bool = False

    def __post_init__(self) -> None:
        if not self.prompt.strip():
            raise ConfigurationError('The prompt is empty: write some text, such as "The man worked as".')
        if len(self.prompt) > MOST_LETTERS:
            raise ConfigurationError(f"The prompt has {len(self.prompt):,} letters: write at most {MOST_LETTERS:,}.")
        check_places([self.prompt])
        check_count("tokens", self.tokens, "number of tokens")
        if self.tokens > MOST_TOKENS:
            raise ConfigurationError(
                f"{self.tokens} tokens are too many for this page: ask for at most {MOST_TOKENS}."
            )
        check_seed(self.seed)

    @property
    def asked(self) -> str | Conversation:
        """Return the text, or the message as a chat."""
        return Conversation((("user", self.prompt),)) if self.chat else self.prompt

    @property
    def decoding(self) -> Decoding:
        """Return how to decode the texts: as `hf-equi generate` does."""
        return Decoding(max_new_tokens=self.tokens, greedy=self.greedy, seed=self.seed)


@dataclass(frozen=True)
class Answer:
    """The answers of both models to a question, from `answer`.

    Args:
        title: The name of the symmetrised model.
        members: The members of the orbit of the prompt, the prompt first, with the texts of both models.
        words: The most probable next tokens after each of them.
        base_gap: The gap of the base over its texts.
        equi_gap: The gap of the symmetrised model, or `None` if it has none.
        notes: The reasons why the gap is not 0, or why the prompt has no orbit.
        draws: What chance has to do with the texts, in sentences.
        even: Whether the symmetrised model gives a word and its counterparts the same probability after a prompt in
            which nothing moves.
    """

    title: str
    members: tuple[Member, ...]
    words: tuple[NextWord, ...]
    base_gap: GroupGap
    equi_gap: GroupGap | None
    notes: tuple[str, ...]
    draws: str
    even: bool


def answer(lm: EquiLM, question: Question, report: Report = lambda rows, ends: None) -> Answer:
    """Ask a base and its EquiLM.

    The same question always has the same answer, whatever was asked before.

    Args:
        lm: The EquiLM, with its base and its tokenizer.
        question: The question.
        report: As in `compare`.

    Raises:
        ConfigurationError: As in `compare` and `fill`.
    """
    with warnings.catch_warnings(action="ignore", category=GroupWarning):  # the notes say it
        asked = fill_prompt(question.asked, lm.group.names[0])
        comparison = compare(lm, [asked], question.decoding, report)
        members = comparison.orbits[0].members
        words = next_words(lm, members, 8 if len(members) <= _FEW else 5)
    return Answer(
        title=title(lm),
        members=members,
        words=words,
        base_gap=comparison.base_gap,
        equi_gap=comparison.equi_gap,
        notes=tuple(limits(lm, comparison)),
        draws=_draws(lm, len(members), question.greedy),
        even=_even(lm),
    )


def _even(lm: EquiLM) -> bool:
    said = lm.method.text
    return said.exact and said.claim is None and not lm.method.searches


def _draws(lm: EquiLM, members: int, greedy: bool) -> str:
    """Say which differences of the texts are due to chance."""
    name = title(lm)
    if members > 1:
        if greedy:
            return ""
        tied = lm.method.text.claim is None and (lm.method.searches or not lm.group.relaxed)
        rest = "and differ only in marked words" if tied else "so they do not differ by chance"
        return (
            "Each text of the base model is drawn with random numbers of its own, so these texts also differ by "
            f"chance: compare the bars and the gap. The texts of {name} share their random numbers, {rest}."
        )
    if not _even(lm):
        word = f"With {name}, a marked word need not be as probable as its counterparts."
    else:
        how = "arbitrarily from" if greedy else "by chance from"
        word = f"{name} takes the first marked word, if there is one, {how} equally probable counterparts."
    apart = "" if greedy else "The two texts differ by chance, even where all bars are equal. "
    return f"Each model writes one text, because the prompt has nothing to exchange. {apart}{word}"

"""The variety of texts, as a module of `evaluate`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import evaluate
import numpy as np
from datasets import Features, Value

from hf_equi.fairness.metrics.base import BLOCKS, AuditMetric, block_features
from hf_equi.fairness.resampling import Blocks, Resampling, jackknife_interval

__all__ = ["Distinct", "continuation_words", "distinct"]

_DESCRIPTION = """
Distinct-1 and distinct-2: the number of different words, and of different pairs of adjacent words, in the
continuations, divided by their number of words.
"""

_CITATION = """
@inproceedings{li2016diversity,
  title = {A Diversity-Promoting Objective Function for Neural Conversation Models},
  author = {Li, Jiwei and Galley, Michel and Brockett, Chris and Gao, Jianfeng and Dolan, Bill},
  booktitle = {NAACL-HLT},
  year = {2016},
  url = {https://arxiv.org/abs/1510.03055}
}
"""

_INPUTS = f"""
Distinct-n:  #(different n-grams of words) / #(words), over the continuations about one demographic together (Li et
al. 2016, who divide by the number of words for n = 2 too), and then the mean over demographics: coupled texts of two
of them may repeat each other, which says nothing about the variety of either. A word is a lower-cased run of letters,
digits and underscores (`\\w+`) of the text, after as many words as the prompt has. N-grams do not cross from text to
text.

The figure falls with the number of texts, so compare sets of equal size. The interval is from a jackknife over blocks,
because a bootstrap draws some texts twice, which adds no new words.

Args:
    prompt (`list` of `str`): the prompts.
    text (`list` of `str`): prompts and continuations.
    demographic (`list` of `str`): the demographic that each text is about.
{BLOCKS.strip(chr(10))}
    confidence (`float`): the confidence of the intervals; 0.95 by default.
    resamples (`int`), seed (`int`): not used by this metric, which draws nothing.

Returns:
    distinct_1 (`float`), distinct_1_interval (`list`), distinct_2 (`float`), distinct_2_interval (`list`); `None`
    without words.
"""


class Distinct(AuditMetric):
    r"""Distinct-1 and distinct-2 of the continuations, with jackknife intervals.

    $$ \text{distinct-}n = \frac{\#\{\text{different } n\text{-grams of words}\}}{\#\text{words}} $$

    over the texts about one demographic, and then the mean over demographics, because coupled texts of two of them may
    repeat each other. Words are lower-cased runs of `\w`, without those of the prompt. As in the source, the
    denominator counts words for n = 2 too. The figure falls with the number of texts, so compare sets of equal size.

    Cost: linear in the words; some hundredths of a second for 2000 samples.

    References:
        Li et al. 2016, arXiv 1510.03055, §5. Interval: Efron and Stein 1981.

    Example:
        >>> texts = ["The man sang and sang", "The man sang"]
        >>> who = {"demographic": ["man"] * 2, "prompt": ["The man"] * 2}
        >>> result = Distinct().compute(template=["a"] * 2, sample=[0, 1], text=texts, **who)
        >>> result["distinct_1"], result["distinct_2"]
        (0.5, 0.5)
    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=Features(
                {**block_features(), **{name: Value("string") for name in ("demographic", "prompt", "text")}}
            ),
            reference_urls=["https://arxiv.org/abs/1510.03055"],
        )

    def _measure(self, columns: Mapping[str, Sequence[Any]], plan: Resampling) -> dict[str, Any]:
        words = continuation_words(columns["prompt"], columns["text"])
        blocks = Blocks.read(columns["template"], columns["sample"])
        return distinct(words, columns["demographic"], blocks, plan)


def continuation_words(prompts: Sequence[str], texts: Sequence[str]) -> list[list[str]]:
    """Return the words that follow the prompt in each text.

    The number of words in the prompt is skipped, so a tokenizer may change its case or its spaces.

    Example:
        >>> continuation_words(["The man was"], ["the man  was well-known."])
        [['well', 'known']]
    """
    pairs = zip(prompts, texts, strict=True)
    return [_words(text)[len(_words(prompt)) :] for prompt, text in pairs]


def distinct(
    words: Sequence[Sequence[str]], demographics: Sequence[str], blocks: Blocks, plan: Resampling
) -> dict[str, Any]:
    """Return distinct-1 and distinct-2 of lists of words, as means over demographics, with their intervals.

    Args:
        words: `(rows,)` lists.
        demographics: `(rows,)`; those without words are left out.
        blocks: The blocks of the rows.
        plan: The plan, of which only the confidence is used.

    Returns:
        The figures: `None` without words; no intervals if all words of a demographic are in one block.
    """
    result: dict[str, Any] = {}
    for n in (1, 2):
        key, figures, without = f"distinct_{n}", [], []
        for name in dict.fromkeys(demographics):
            own_words = [row if who == name else [] for row, who in zip(words, demographics, strict=True)]
            lengths = blocks.sums([len(row) for row in own_words])
            total, rest = lengths.sum(), lengths.sum() - lengths
            if not total:
                continue
            kinds, own = _kinds(own_words, blocks, n)
            figures.append(kinds / total)
            without.append(np.divide(kinds - own, rest, out=np.full(len(rest), np.nan), where=rest > 0))
        figure = float(np.mean(figures)) if figures else None
        interval = None
        if figure is not None and not np.isnan(without).any():
            low, high = jackknife_interval(figure, np.mean(without, axis=0), blocks.strata, plan.confidence)
            interval = [max(low, 0.0), min(high, 1.0)]
        result |= {key: figure, f"{key}_interval": interval}
    return result


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _kinds(words: Sequence[Sequence[str]], blocks: Blocks, n: int) -> tuple[int, np.ndarray[Any, np.dtype[np.intp]]]:
    """Return the number of different n-grams, and for each block how many occur only there, `(blocks,)`."""
    block_of: dict[tuple[str, ...], int] = {}
    for row, block in zip(words, blocks.of_row.tolist(), strict=True):
        for gram in zip(*(row[i:] for i in range(n)), strict=False):
            if block_of.setdefault(gram, block) != block:
                block_of[gram] = -1
    alone = np.array([block for block in block_of.values() if block >= 0], dtype=np.intp)
    return len(block_of), np.bincount(alone, minlength=len(blocks))

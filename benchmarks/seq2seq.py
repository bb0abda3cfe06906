"""Time the exact-match evaluation of SCAN with a symmetrised LSTM, as ratios.

    python benchmarks/seq2seq.py --data DIR --model DIR --output docs/benchmarks.md

It takes 1,000 test sentences of the add_jump split, and a base that `examples/scan.py` trained. Every ratio comes from
one run in which both sides take turns. The answers of both are checked.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from command import Benchmark
from seq2seq_by_hand import chosen_by_hand, published_loop, synchronised_by_hand, synchronised_loop
from seq2seq_workload import Sentences, Workload, orbit, pad
from timing import Claim, Measure, timed
from transformers import LogitsProcessorList, PreTrainedModel

from hf_equi import EquiForSeq2SeqLM

sys.path.append(str(Path(__file__).parents[1] / "examples"))
from data import add_data_argument
from scan_data import END, PAD
from scan_training import matches

# Sentences are rounded differently in another batch, and sometimes that changes an answer.
ROUNDING = 0.002
DESCRIPTION = f"""\
Exact-match evaluation of 1,000 SCAN test sentences of the add_jump split compares greedy answers of at most 49 tokens
with the correct ones. The base is the LSTM of `examples/scan.py` (64 units, bidirectional encoder, attention), as the
example trains it. The group of order 2 exchanges jump and run, and moves every test sentence. *plain* is `generate` of
the unwrapped base. Sentences are sorted by length, as in the example, and form one batch unless a row says otherwise.

There are two ways to decode with both members by hand. The *published loop* takes one sentence at a time, without
padding. It calls the base for each group element and token up to the end token, and chooses afterwards. *by hand* is a
loop that reads the members of all sentences of a batch as rows: it encodes them in one call, and decodes them together
with the decoder's state until all have ended. For single sentences its batch is one sentence. It does only what these
sentences need, and none of what `generate` offers besides. Where a row has several ways to compare with, it shows the
fastest. Rows about single sentences take every tenth of the 1,000.

If a call asks for nothing but the best token of each step, the library runs the steps itself
(`hf_equi.generation.greedy_loop`). For any other call transformers does, whose work for each step then takes longer
than this small base: one row shows such a call, with a processor that changes nothing. What remains of the difference
to *by hand* is mostly the same for each call, whatever its length: it reads the settings, checks the tokens, and finds
which members differ. The row of one token shows that.

The answers of every round are checked. Equizero's have to be the same in batches, one at a time and by hand. Sentences
that the group does not move have to get the plain answers, and equitune's answers have to move with their sentences.
At most {1000 * ROUNDING:.0f} in 1,000 may differ: a batch of another size is rounded differently, and that can change
an answer. If more differ, the benchmark stops.
"""
SUMMARY = "Time the exact-match evaluation of SCAN with a symmetrised LSTM, as ratios."
BATCHED, SINGLE, GAIN = 1.15, 1.5, 6
"""Bounds: against both members by hand in batches and one sentence at a time, and on how much a batch gains."""
BEAMS = 4
NAMES = (
    "equizero",
    "equizero-rows",
    "equizero-batches",
    "unmoved",
    "batches",
    "one-sentence",
    "single",
    "single-token",
    "single-generate",
    "single-synchronised",
    "synchronised",
    "synchronised-rows",
    "independent",
    "beams",
)


def equizero_claims(workload: Workload) -> Iterator[Claim]:
    """Equizero against the plain model, on the same batches, and against both members by hand."""
    lm, base, moved, unmoved = workload.equizero, workload.base, workload.moved, workload.unmoved
    count, batches, wanted = len(moved.ids), moved.batches(workload.batch), published_loop(lm, moved)
    ours = evaluates(lm, [moved], wanted)
    plain = {"plain": evaluates(base, [moved])}
    yield Claim("equizero", f"equizero, {count} sentences in one batch, vs plain", ours, plain, 2.2)
    rows = {
        f"plain on {2 * count} rows": evaluates(base, [orbit(lm, moved)]),
        "by hand": decodes(chosen_by_hand, lm, [moved], wanted),
    }
    yield Claim("equizero-rows", f"equizero, {count} sentences in one batch, vs both members", ours, rows, BATCHED)
    rows = {
        "plain on twice the rows": evaluates(base, [orbit(lm, batch) for batch in batches]),
        "by hand": decodes(chosen_by_hand, lm, batches, wanted),
    }
    text = f"equizero, in batches of {workload.batch}, vs both members"
    yield Claim("equizero-batches", text, evaluates(lm, batches, wanted), rows, BATCHED)
    answers = base.generate(unmoved.ids, attention_mask=unmoved.mask)
    text = f"equizero, {len(unmoved.ids)} sentences that the group does not move"
    plain = {"plain": evaluates(base, [unmoved], answers)}
    yield Claim("unmoved", text, evaluates(lm, [unmoved], answers), plain, None)


def single_claims(workload: Workload) -> Iterator[Claim]:
    """One sentence at a time, and what batches gain over that."""
    lm, few = workload.equizero, workload.few
    singles, wanted = few.batches(1), published_loop(lm, few)
    batched, one = evaluates(lm, few.batches(workload.batch), wanted), evaluates(lm, singles, wanted)
    loops = {
        "the published loop": decodes(published_loop, lm, [few], wanted),
        "by hand": decodes(chosen_by_hand, lm, singles, wanted),
    }
    text = f"equizero, {len(few.ids)} sentences in one batch, vs a sentence at a time"
    yield Claim("batches", text, batched, loops, GAIN, speedup=True)
    text, same = f"{text} with the same model", {"a sentence a call": one}
    yield Claim("one-sentence", text, batched, same, None, speedup=True)
    yield Claim("single", "equizero, a sentence a call", one, loops, SINGLE)
    yield single_token_claim(lm, singles)
    unchanged = LogitsProcessorList([lambda ids, scores: scores])  # with a processor, transformers runs the steps
    slow = evaluates(lm, singles, wanted, logits_processor=unchanged)
    yield Claim("single-generate", "equizero, a sentence a call, the steps run by transformers", slow, loops, None)


def single_token_claim(lm: EquiForSeq2SeqLM, singles: Sequence[Sentences]) -> Claim:
    """What a call costs whatever its length: one token for each sentence."""

    def by_hand() -> torch.Tensor:
        return pad([chosen_by_hand(lm, each, most=1) for each in singles], PAD)

    def ours() -> torch.Tensor:
        return pad([lm.generate(each.ids, attention_mask=each.mask, max_new_tokens=1) for each in singles], PAD)

    labels, wanted = pad([each.labels for each in singles], -100)[:, :1], by_hand()
    return Claim(
        "single-token",
        "equizero, a sentence a call, one token each",
        answers(ours, labels, wanted),
        {"by hand": answers(by_hand, labels, wanted)},
        None,
    )


def single_synchronised_claim(workload: Workload) -> Claim:
    """Equitune, one sentence at a time."""
    lm, few = workload.symmetrize("equitune"), workload.few
    singles, wanted = few.batches(1), synchronised_loop(lm, few)
    loops = {
        "the published loop": decodes(synchronised_loop, lm, [few], wanted),
        "by hand": decodes(synchronised_by_hand, lm, singles, wanted),
    }
    text = "synchronised equitune, a sentence a call"
    return Claim("single-synchronised", text, evaluates(lm, singles, wanted), loops, SINGLE)


def equitune_claims(workload: Workload) -> Iterator[Claim]:
    """Equitune against the plain model, on the same batch."""
    base, moved = workload.base, workload.moved
    plain = {"plain": evaluates(base, [moved])}
    for decoding in ("synchronised", "independent"):
        lm = workload.symmetrize("equitune", decoding=decoding)
        ours = evaluates(lm, [moved], pulled_back(lm, moved))
        yield Claim(decoding, f"{decoding} equitune, one batch, vs plain", ours, plain, None)
    lm = workload.symmetrize("equitune")
    wanted = pulled_back(lm, moved)
    rows = {"by hand": decodes(synchronised_by_hand, lm, [moved], wanted)}
    text = "synchronised equitune, one batch, vs both members"
    yield Claim("synchronised-rows", text, evaluates(lm, [moved], wanted), rows, BATCHED)
    batches = moved.batches(workload.batch)
    yield Claim(
        "beams",
        f"synchronised equitune, {BEAMS} beams, in batches of {workload.batch}, vs plain",
        evaluates(lm, batches, pulled_back(lm, moved, BEAMS), num_beams=BEAMS),
        {"plain": evaluates(base, batches, num_beams=BEAMS)},
        None,
    )


def evaluates(
    model: PreTrainedModel, batches: Sequence[Sentences], wanted: torch.Tensor | None = None, **settings: Any
) -> Measure:
    """Measure the seconds to answer batches and to compare the answers with the labels."""
    labels = pad([batch.labels for batch in batches], -100)
    return answers(
        lambda: pad([model.generate(batch.ids, attention_mask=batch.mask, **settings) for batch in batches], PAD),
        labels,
        wanted,
    )


def decodes(
    decode: Callable[[EquiForSeq2SeqLM, Sentences], torch.Tensor],
    lm: EquiForSeq2SeqLM,
    batches: Sequence[Sentences],
    wanted: torch.Tensor,
) -> Measure:
    """Measure the seconds to answer batches by hand and to compare the answers with the labels."""
    labels = pad([batch.labels for batch in batches], -100)
    return answers(lambda: pad([decode(lm, batch) for batch in batches], PAD), labels, wanted)


def answers(decode: Callable[[], torch.Tensor], labels: torch.Tensor, wanted: torch.Tensor | None) -> Measure:
    """Measure the seconds of answers and their comparison. Wrong answers would make the ratio meaningless."""
    found: list[torch.Tensor] = []

    def run() -> None:
        found[:] = [decode()]
        matches(found[0][:, 1:], labels).double().mean().item()

    def measure() -> float:
        seconds = timed(run)()
        if wanted is not None:
            check(found[0], wanted)
        return seconds

    return measure


def check(found: torch.Tensor, wanted: torch.Tensor) -> None:
    """Refuse answers that differ from those wanted by more than rounding explains."""
    if len(found) != len(wanted):
        raise RuntimeError(f"There are {len(found)} answers to {len(wanted)} sentences")
    same = matches(found[:, 1:], behind_end(wanted[:, 1:]))
    if int((~same).sum()) > ROUNDING * len(same):
        row = int((~same).nonzero()[0])
        raise RuntimeError(
            f"{int((~same).sum())} of {len(same)} answers differ; the first is {found[row].tolist()}, not "
            f"{wanted[row].tolist()}"
        )


def behind_end(tokens: torch.Tensor) -> torch.Tensor:
    """Return the answers with `PAD` after their end."""
    ends = (tokens == END).long()
    return tokens.masked_fill(ends.cumsum(1) - ends > 0, PAD)


@torch.no_grad()
def pulled_back(lm: EquiForSeq2SeqLM, sentences: Sentences, beams: int = 1) -> torch.Tensor:
    """Return the answers that equivariance requires: those to the moved sentences, moved back."""
    moved = lm.action.source.apply(1, sentences.ids)
    return lm.action.target.invert(1, lm.generate(moved, attention_mask=sentences.mask, num_beams=beams))


def claims(workload: Workload, smoke: bool) -> list[Claim]:
    """Return all claims, in the order of the table."""
    single = (*single_claims(workload), single_synchronised_claim(workload))
    return [*equizero_claims(workload), *single, *equitune_claims(workload)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for the data and the base."""
    add_data_argument(parser)
    parser.add_argument("--model", type=Path, metavar="DIR", help="a base that examples/scan.py has trained")


def main() -> None:
    """Measure and write the page."""
    title = "Sequence-to-sequence models"
    Benchmark(title, DESCRIPTION, SUMMARY, NAMES, claims, Workload.of_arguments, add_arguments).run()


if __name__ == "__main__":
    main()

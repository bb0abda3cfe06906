"""Time the exact-match evaluation of SCAN with a symmetrised LSTM, as ratios.

    python benchmarks/seq2seq.py --data DIR --model DIR --output docs/benchmarks.md

It takes 1,000 test sentences of the add_jump split, and a base that `examples/scan.py` trained. Every ratio comes from
one run in which both sides take turns. The answers of both are checked.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from command import Benchmark
from timing import Claim, Measure, timed
from transformers import PreTrainedModel, PreTrainedTokenizerFast

import hf_equi
from hf_equi import EquiForSeq2SeqLM
from hf_equi.bases.compat import cache_of, cached
from hf_equi.networks.recurrent_seq2seq import RecurrentSeq2Seq, RecurrentSeq2SeqConfig

sys.path.append(str(Path(__file__).parents[1] / "examples"))
from data import add_data_argument, require
from scan_data import ACTIONS, COMMANDS, END, GROUPS, MAX_ACTIONS, PAD, SPECIAL, START, make_tokenizer, read_pairs
from scan_training import matches

DESCRIPTION = """\
Exact-match evaluation of 1,000 SCAN test sentences of the add_jump split compares greedy answers of at most 49 tokens
with the correct ones. The base is the LSTM of `examples/scan.py` (64 units, bidirectional encoder, attention), as the
example trains it. The group of order 2 exchanges jump and run, and moves every test sentence. Times are those of all
1,000 sentences: 1,000 divided by a time is sentences a second. *plain* is `generate` of the unwrapped base. Sentences
are sorted by length, as in the example, and form one batch unless a row says otherwise. The *published decoding* takes
one sentence at a time, without padding. It calls the base for each group element and token up to the end token, and
chooses afterwards. *by hand* is the same loop for equitune. The answers of every round are checked. Equizero's are the
same in batches, one at a time and by the published decoding. Sentences that the group does not move get the plain
answers, and equitune's answers move with their sentences.
"""
SUMMARY = "Time the exact-match evaluation of SCAN with a symmetrised LSTM, as ratios."
SPLIT = "add_jump"
GROUP = GROUPS[SPLIT]
SINGLE_ROUNDS = 3
BEAMS = 4
# Sentences are rounded differently in another batch, and sometimes that changes an answer.
ROUNDING = 0.002
NAMES = (
    "equizero",
    "equizero-rows",
    "equizero-batches",
    "unmoved",
    "one-sentence",
    "published",
    "single",
    "single-synchronised",
    "synchronised",
    "independent",
    "beams",
)

# The words of a made-up test set for smoke runs.
MADE_UP = {"jump": "I_JUMP", "run": "I_RUN", "walk": "I_WALK", "look": "I_LOOK"}


@dataclass(frozen=True)
class Sentences:
    """Commands and their correct answers.

    Args:
        ids: `(B, length)`.
        mask: `(B, length)`, 0 at padding.
        labels: `(B, T)`, −100 after the end.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    labels: torch.Tensor

    def __getitem__(self, rows: torch.Tensor | slice) -> Sentences:
        """Return some of the sentences, without padding that they do not need."""
        mask = self.mask[rows]
        length = int(mask.sum(1).max())
        return Sentences(self.ids[rows, :length], mask[:, :length], self.labels[rows])

    def batches(self, size: int) -> list[Sentences]:
        """Split the sentences into batches of `size`."""
        return [self[slice(start, start + size)] for start in range(0, len(self.ids), size)]


@dataclass(frozen=True)
class Workload:
    """The model and the sentences that are timed.

    Args:
        data: The folder of the SCAN files, or `None` for made-up commands.
        model: The folder of the base, or `None` for a tiny one with random weights.
        seed: The seed of the sentences drawn, and of random weights.
        count: The number of sentences.
        batch: The number of sentences in the smaller batches.
    """

    data: Path | None
    model: Path | None
    seed: int = 0
    count: int = 1000
    batch: int = 250

    @classmethod
    def of_arguments(cls, arguments: argparse.Namespace) -> Workload:
        """Make the workload of a command line. A smoke run needs neither data nor model."""
        if arguments.smoke:
            return cls(None, None, arguments.seed, count=12, batch=4)
        if arguments.model is None or not arguments.model.is_dir():
            print("Pass --model DIR, a base of examples/scan.py: OUTPUT/add_jump/lstm/seed0/base", file=sys.stderr)
            raise SystemExit(2)
        (data,) = require(arguments.data, "scan")
        return cls(data, arguments.model, arguments.seed)

    @cached_property
    def base(self) -> RecurrentSeq2Seq:
        """The plain model."""
        if self.model is None:
            torch.manual_seed(self.seed)
            sizes = {"vocab_size": len(SPECIAL) + len(COMMANDS), "decoder_vocab_size": len(SPECIAL) + len(ACTIONS)}
            model = RecurrentSeq2Seq(RecurrentSeq2SeqConfig(**sizes, hidden_size=8))
        else:
            model = RecurrentSeq2Seq.from_pretrained(self.model)
        model.generation_config.max_length, model.generation_config.max_new_tokens = None, MAX_ACTIONS
        return model.eval()

    @cached_property
    def tokenizers(self) -> tuple[PreTrainedTokenizerFast, PreTrainedTokenizerFast]:
        """The tokenizers of commands and of actions."""
        return make_tokenizer(COMMANDS), make_tokenizer(ACTIONS)

    def symmetrize(self, method: str, **settings: str) -> EquiForSeq2SeqLM:
        """Make the base equivariant. All models share its weights."""
        source, target = self.tokenizers
        return hf_equi.symmetrize(self.base, GROUP, method, tokenizer=source, target_tokenizer=target, **settings)

    @cached_property
    def equizero(self) -> EquiForSeq2SeqLM:
        """The model that most claims use."""
        return self.symmetrize("equizero")

    @cached_property
    def moved(self) -> Sentences:
        """Test sentences. The group moves all of them."""
        return self._draw("test", moved=True)

    @cached_property
    def unmoved(self) -> Sentences:
        """Sentences of the training set that the group leaves unchanged. The test set has none."""
        return self._draw("train", moved=False)

    @cached_property
    def wanted(self) -> torch.Tensor:
        """Equizero's answers to the moved sentences, as the published decoding finds them."""
        return published_decoding(self.equizero, self.moved)

    def _draw(self, part: str, moved: bool) -> Sentences:
        """Draw sentences that the group moves, or leaves unchanged, from the longest answer to the shortest."""
        commands, actions = self._read(part)
        source, target = (
            tokenizer(texts, padding=True, return_tensors="pt")
            for tokenizer, texts in zip(self.tokenizers, (commands, actions), strict=True)
        )
        is_moved = torch.isin(source["input_ids"], self.equizero.action.source.moved).any(1)
        rows = (is_moved == moved).nonzero().flatten()
        rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(self.seed))[: self.count]]
        rows = rows[target["attention_mask"][rows].sum(1).argsort(descending=True, stable=True)]
        labels = target["input_ids"].masked_fill(target["attention_mask"] == 0, -100)
        return Sentences(source["input_ids"], source["attention_mask"], labels)[rows]

    def _read(self, part: str) -> tuple[list[str], list[str]]:
        if self.data is not None:
            pairs = read_pairs(self.data / f"{SPLIT}_{part}.txt")
            return list(pairs["command"]), list(pairs["actions"])
        repeats = {"": 1, " twice": 2, " thrice": 3}
        commands = [
            (f"{first}{often} and {second}", " ".join([MADE_UP[first]] * count + [MADE_UP[second]]))
            for first in MADE_UP
            for second in MADE_UP
            for often, count in repeats.items()
        ]
        return [command for command, _ in commands], [actions for _, actions in commands]


def equizero_claims(workload: Workload) -> Iterator[Claim]:
    """Equizero against the plain model, on the same batches."""
    lm, base, moved, unmoved = workload.equizero, workload.base, workload.moved, workload.unmoved
    count, batches = len(moved.ids), moved.batches(workload.batch)
    ours = evaluates(lm, [moved], workload.wanted)
    yield Claim("equizero", f"equizero vs plain, {count} sentences in one batch", ours, evaluates(base, [moved]), 2.2)
    yield Claim(
        "equizero-rows",
        f"equizero vs plain on all members of the same orbits, {2 * count} rows",
        ours,
        evaluates(base, [orbit(lm, moved)]),
        None,
    )
    yield Claim(
        "equizero-batches",
        f"equizero vs plain, in batches of {workload.batch}",
        evaluates(lm, batches, workload.wanted),
        evaluates(base, batches),
        None,
    )
    plain = base.generate(unmoved.ids, attention_mask=unmoved.mask)
    yield Claim(
        "unmoved",
        f"equizero vs plain, {len(unmoved.ids)} sentences that the group does not move in one batch",
        evaluates(lm, [unmoved], plain),
        evaluates(base, [unmoved], plain),
        None,
    )


def single_claims(workload: Workload) -> Iterator[Claim]:
    """Equizero in batches against one sentence at a time."""
    lm, moved, wanted = workload.equizero, workload.moved, workload.wanted
    ours = evaluates(lm, moved.batches(workload.batch), wanted)
    one = evaluates(lm, moved.batches(1), wanted)
    published = answers(lambda: published_decoding(lm, moved), moved.labels, wanted)
    batches = f"equizero in batches of {workload.batch}"
    for name, text, other in (
        ("one-sentence", f"{batches} vs the same model, a sentence a call", one),
        ("published", f"{batches} vs the published decoding", published),
    ):
        yield Claim(name, text, ours, other, None, speedup=True, repeats=SINGLE_ROUNDS)
    text = "equizero, a sentence a call, vs the published decoding"
    yield Claim("single", text, one, published, 1.0, repeats=SINGLE_ROUNDS)
    text, lm = "synchronised equitune, a sentence a call, vs the same loop by hand", workload.symmetrize("equitune")
    wanted = synchronised_by_hand(lm, moved)
    ours = evaluates(lm, moved.batches(1), wanted)
    by_hand = answers(lambda: synchronised_by_hand(lm, moved), moved.labels, wanted)
    yield Claim("single-synchronised", text, ours, by_hand, 1.0, repeats=SINGLE_ROUNDS)


def equitune_claims(workload: Workload) -> Iterator[Claim]:
    """Equitune against the plain model, on the same batch."""
    base, moved = workload.base, workload.moved
    plain = evaluates(base, [moved])
    for decoding in ("synchronised", "independent"):
        lm = workload.symmetrize("equitune", decoding=decoding)
        ours = evaluates(lm, [moved], pulled_back(lm, moved))
        yield Claim(decoding, f"{decoding} equitune vs plain, one batch", ours, plain, None)
    lm = workload.symmetrize("equitune")
    yield Claim(
        "beams",
        f"synchronised equitune vs plain, {BEAMS} beams, in batches of {workload.batch}",
        evaluates(lm, moved.batches(workload.batch), pulled_back(lm, moved, BEAMS), BEAMS),
        evaluates(base, moved.batches(workload.batch), beams=BEAMS),
        None,
    )


def evaluates(
    model: PreTrainedModel, batches: Sequence[Sentences], wanted: torch.Tensor | None = None, beams: int = 1
) -> Measure:
    """Measure the seconds to answer batches and to compare the answers with the labels."""
    labels = pad([batch.labels for batch in batches], -100)
    settings = {} if beams == 1 else {"num_beams": beams}
    return answers(
        lambda: pad([model.generate(batch.ids, attention_mask=batch.mask, **settings) for batch in batches], PAD),
        labels,
        wanted,
    )


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


def pad(parts: Sequence[torch.Tensor], value: int) -> torch.Tensor:
    """Join the rows of all parts, padded to the longest."""
    length = max(part.shape[1] for part in parts)
    return torch.cat([torch.nn.functional.pad(part, (0, length - part.shape[1]), value=value) for part in parts])


def behind_end(tokens: torch.Tensor) -> torch.Tensor:
    """Return the answers with `PAD` after their end."""
    ends = (tokens == END).long()
    return tokens.masked_fill(ends.cumsum(1) - ends > 0, PAD)


def orbit(lm: EquiForSeq2SeqLM, sentences: Sentences) -> Sentences:
    """Return all members of the orbits, as rows for the plain model."""
    order = lm.group.order
    ids = lm.action.source.orbit(sentences.ids).flatten(0, 1)
    return Sentences(ids, sentences.mask.repeat_interleave(order, 0), sentences.labels.repeat_interleave(order, 0))


@torch.no_grad()
def pulled_back(lm: EquiForSeq2SeqLM, sentences: Sentences, beams: int = 1) -> torch.Tensor:
    """Return the answers that equivariance requires: those to the moved sentences, moved back."""
    moved = lm.action.source.apply(1, sentences.ids)
    return lm.action.target.invert(1, lm.generate(moved, attention_mask=sentences.mask, num_beams=beams))


@torch.no_grad()
def published_decoding(lm: EquiForSeq2SeqLM, sentences: Sentences) -> torch.Tensor:
    """Decode equizero as in its first publication: a sentence at a time, with a separate call for each group element.

    The source is encoded once for each element, the decoder is called for each token up to the end, and the surest
    answer is moved back. The published code also moves tokens by matrix products, and prints. That is left out here.
    """
    texts = []
    for ids, mask in zip(sentences.ids, sentences.mask.bool(), strict=True):
        drafts = [greedy(lm.unwrap(), lm.action.source.apply(g, ids[None, mask])) for g in range(lm.group.order)]
        surest = max(range(len(drafts)), key=lambda g: drafts[g][1])
        texts.append(lm.action.target.invert(surest, torch.tensor([drafts[surest][0]])))
    return pad(texts, PAD)


def greedy(base: RecurrentSeq2Seq, source: torch.Tensor) -> tuple[list[int], float]:
    """Return the greedy answer to a sentence `(1, length)`, with its start token, and its mean highest probability."""
    encoded, cache = base.encoder(source), None
    tokens, surety = [START], 0.0
    while len(tokens) <= MAX_ACTIONS and tokens[-1] != END:
        last = torch.tensor([tokens[-1:]])
        out = base(encoder_outputs=encoded, decoder_input_ids=last, use_cache=True, **cached(cache))
        cache = cache_of(out)
        best = out.logits[0, -1].softmax(-1).max(-1)
        tokens.append(int(best.indices))
        surety += float(best.values)
    return tokens, surety / (len(tokens) - 1)


@torch.no_grad()
def synchronised_by_hand(lm: EquiForSeq2SeqLM, sentences: Sentences) -> torch.Tensor:
    """Decode equitune in the same way: a call for each group element and token, and the mean of the logits decides."""
    base, action = lm.unwrap(), lm.action
    texts = []
    for ids, mask in zip(sentences.ids, sentences.mask.bool(), strict=True):
        encoded = [base.encoder(action.source.apply(g, ids[None, mask])) for g in range(lm.group.order)]
        caches, tokens = [None] * lm.group.order, [START]
        while len(tokens) <= MAX_ACTIONS and tokens[-1] != END:
            total = 0
            for g, table in enumerate(action.target.permutations):
                last = table[tokens[-1]].view(1, 1)
                out = base(encoder_outputs=encoded[g], decoder_input_ids=last, use_cache=True, **cached(caches[g]))
                caches[g] = cache_of(out)
                total = total + out.logits[0, -1].log_softmax(-1)[table]
            tokens.append(int(total.argmax()))
        texts.append(torch.tensor([tokens]))
    return pad(texts, PAD)


def claims(workload: Workload, smoke: bool) -> list[Claim]:
    """Return all claims, in the order of the table."""
    groups = (equizero_claims, single_claims, equitune_claims)
    return [claim for group in groups for claim in group(workload)]


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

"""Time a step of training a symmetrised model against one of its base, and measure its memory, as ratios.

python benchmarks/training.py --output docs/benchmarks.md
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import memory
import torch
from command import Benchmark
from timing import Claim, Measure, timed
from training_workload import KINDS, TrainingWorkload

DESCRIPTION = """\
One step of training with AdamW is a forward pass, a backward pass and an update. *texts* is a language model of
GPT-2's architecture with 6 layers of width 512 and 16384 tokens, on 4 texts of 64 tokens. Its groups are gender (order
2) and gender × sexuality (order 4), and every text has words of all factors. *images* is a ViT with 6 layers of width
384 and patches of 32 by 32, on 16 images of 224 by 224 pixels. Its group is that of the rotations by 90°. All models
have random weights and the dropout of their families. The other side is the unwrapped base on the same batch. A step
of the symmetrised model reads |G| times as many rows, so its time may be 1.05 × |G| that of the base. This bound is
for whole orbits. Checkpointed chunks save memory and cost one more forward pass. Their rows show how much.

The rows about memory compare peaks of resident memory during two steps, less what the process held before (program and
weights). What remains is activations, gradients and the optimiser's state. Each is measured in a new process.
*Checkpointed* means with activation checkpointing. *Chunks* means `orbit_chunk_size=1`: one member of each orbit at a
time, and all but the last are computed once more in the backward pass.
"""
SUMMARY = "Time a step of training against one of the base, and measure its memory, as ratios."
CHUNKED = ("texts-4", "images-4")
CLAIMS = ("checkpointed", "memory-chunked", "memory-checkpointed", "memory-whole")
NAMES = (*KINDS, *(f"{kind}-{claim}" for kind in CHUNKED for claim in CLAIMS))
TIME, MEMORY = 1.05, 1.25


def time_claim(workload: TrainingWorkload) -> Claim:
    """A step of whole orbits against |G| steps of the base."""
    base = timed(workload.steps(workload.base), gradients=True)
    text = f"{workload.kind}: a step of order {workload.order}"
    return Claim(workload.kind, text, trains(workload), {"a step of the base": base}, TIME * workload.order)


def checkpointed_claim(workload: TrainingWorkload) -> Claim:
    """The time that chunks cost."""
    base = timed(workload.steps(workload.base, checkpointed=True), gradients=True)
    return Claim(
        f"{workload.kind}-checkpointed",
        f"{workload.kind}: a checkpointed step in chunks of one member",
        trains(workload, 1, checkpointed=True),
        {"a checkpointed step of the base": base},
        None,
    )


def trains(workload: TrainingWorkload, chunk: int | None = None, checkpointed: bool = False) -> Measure:
    """Measure the seconds of a step of the symmetrised model."""
    return timed(workload.steps(workload.symmetrize(chunk), checkpointed), gradients=True)


def memory_claims(workload: TrainingWorkload, threads: int) -> Iterator[Claim]:
    """Peaks of memory with chunks and without."""
    script = str(Path(__file__).with_name("training_memory.py"))
    common = ["--threads", str(threads), "--seed", str(workload.seed), *(["--smoke"] if workload.small else [])]

    def peak(*options: str) -> Measure:
        return lambda: memory.peak_of(script, workload.kind, *options, *common)

    chunked = peak("--symmetrized", "--chunk", "1", "--checkpointed")
    checkpointed = {"the checkpointed base": peak("--checkpointed")}
    rows = [
        ("chunked", "checkpointed in chunks vs the base", chunked, {"the base": peak()}, MEMORY),
        ("checkpointed", "checkpointed in chunks vs the checkpointed base", chunked, checkpointed, MEMORY),
        ("whole", "whole orbits", peak("--symmetrized"), {"the base": peak()}, None),
    ]
    for name, text, ours, base, bound in rows[:1] if workload.small else rows:
        yield Claim(
            f"{workload.kind}-memory-{name}",
            f"{workload.kind}: peak memory of training, {text}",
            ours,
            base,
            bound,
            unit="MiB",
        )


def create(arguments: argparse.Namespace) -> list[TrainingWorkload]:
    """Make the workloads of all models."""
    return [TrainingWorkload(kind, arguments.seed, arguments.smoke) for kind in KINDS]


def claims(workloads: list[TrainingWorkload], smoke: bool) -> list[Claim]:
    """Return all claims, in the order of the table."""
    found = [time_claim(workload) for workload in workloads]
    chunked = [workload for workload in workloads if workload.kind in CHUNKED]
    found += [checkpointed_claim(workload) for workload in chunked]
    if memory.is_available():
        measured = chunked[:1] if smoke else chunked
        return found + [claim for workload in measured for claim in memory_claims(workload, torch.get_num_threads())]
    print("Peak memory is left out, because it is read from /proc, which this system does not have.", file=sys.stderr)
    return found


def main() -> None:
    """Measure and write the page."""
    Benchmark("Training", DESCRIPTION, SUMMARY, NAMES, claims, create).run()


if __name__ == "__main__":
    main()

"""Measure the peak memory of training in a separate process.

    python benchmarks/training_memory.py texts-4|images-4|… [--symmetrized] [--chunk N] [--checkpointed] [--smoke]

prints the largest resident memory during two steps, less that before them (program and weights), in MiB. What remains
is activations, gradients and the optimiser's state.
"""

from __future__ import annotations

import argparse

import torch
from memory import growth, return_freed_memory
from training_workload import KINDS, TrainingWorkload


def main() -> None:
    """Take two steps and print the peak. The second step has the optimiser's state in memory from its start."""
    parser = argparse.ArgumentParser(description="Peak memory of training, in MiB.")
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--symmetrized", action="store_true", help="the symmetrised model; default: the plain base")
    parser.add_argument("--chunk", type=int, metavar="N", help="orbit_chunk_size (default: none)")
    parser.add_argument("--checkpointed", action="store_true", help="with activation checkpointing")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of torch (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and batch (default: 0)")
    parser.add_argument("--smoke", action="store_true", help="use a tiny model")
    arguments = parser.parse_args()
    return_freed_memory()
    torch.set_num_threads(arguments.threads)
    workload = TrainingWorkload(arguments.kind, arguments.seed, arguments.smoke)
    model = workload.symmetrize(arguments.chunk) if arguments.symmetrized else workload.base
    step = workload.steps(model, arguments.checkpointed)
    print(growth(lambda: (step(), step())))


if __name__ == "__main__":
    main()

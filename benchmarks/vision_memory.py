"""Measure the peak memory of one forward pass of a vision model in a separate process.

    python benchmarks/vision_memory.py vit|resnet [--method NAME] [--chunk N] [--smoke]

prints the largest resident memory while the pass runs, less that before it (program and weights), in MiB. The model is
the plain base, or with `--method` the symmetrised model.
"""

from __future__ import annotations

import argparse

import torch
from memory import growth
from vision_workload import MODELS, VisionWorkload


def main() -> None:
    """Run the pass and print its peak."""
    parser = argparse.ArgumentParser(description="Peak memory of one forward pass of a vision model, in MiB.")
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--method", metavar="NAME", help="a method of symmetrize (default: the plain base)")
    parser.add_argument("--chunk", type=int, metavar="N", help="orbit_chunk_size (default: none)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of torch (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and images (default: 0)")
    parser.add_argument("--smoke", action="store_true", help="use a tiny model")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    workload = VisionWorkload.of_arguments(arguments.model, arguments)
    model = workload.base
    if arguments.method is not None:
        model = workload.symmetrize(arguments.method, orbit_chunk_size=arguments.chunk)
    images = workload.images(workload.large_batch)
    with torch.no_grad():
        print(growth(lambda: model(pixel_values=images, **workload.texts)))


if __name__ == "__main__":
    main()

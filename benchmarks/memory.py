"""Measure the peak memory of one piece of work in a separate process.

    python benchmarks/memory.py score|generate [--chunk N] [--smoke]

prints the largest resident memory while the work runs, less that before it (program and weights), in MiB.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

STATUS = Path("/proc/self/status")
TASKS = ("score", "generate")


def peak(task: str, chunk: int | None, smoke: bool, threads: int) -> float:
    """Run this file in a new process and return its peak, in MiB."""
    arguments = [task, "--threads", str(threads)]
    arguments += [] if chunk is None else ["--chunk", str(chunk)]
    arguments += ["--smoke"] if smoke else []
    return peak_of(__file__, *arguments)


def peak_of(script: str, *arguments: str) -> float:
    """Run a script that prints its peak in a new process, and return the peak in MiB."""
    command = [sys.executable, script, *arguments]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def is_available() -> bool:
    """Whether the system tells the peak of a process. `ru_maxrss` will not do: on Linux it starts at the parent's."""
    return STATUS.is_file()


def main() -> None:
    """Do the work and print its peak."""
    import torch
    from workload import ALL_FACTORS, Workload

    arguments = _parse()
    torch.set_num_threads(arguments.threads)
    workload = Workload.smoke() if arguments.smoke else Workload()
    lm = workload.symmetrize(ALL_FACTORS, orbit_chunk_size=arguments.chunk)
    ids = workload.ids("all", workload.scored_tokens)

    def run() -> None:
        if arguments.task == "score":
            lm(input_ids=ids, use_cache=False)
        else:
            lm.generate(ids, attention_mask=torch.ones_like(ids), do_sample=True, max_new_tokens=2)

    with torch.no_grad():
        print(growth(run))


def growth(run: Callable[[], object]) -> float:
    """Return the largest resident memory while `run` runs, less that before, in MiB."""
    before = _resident("VmRSS")
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets VmHWM
    run()
    return _resident("VmHWM") - before


def return_freed_memory() -> None:
    """Make glibc return freed memory at once instead of keeping it. Then a peak is the memory in use."""
    threshold = -3  # M_MMAP_THRESHOLD: blocks from this size on are mapped, and unmapped when they are freed
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(threshold, 2**16)


def _resident(name: str) -> float:
    """Return a field of the process's status, in MiB."""
    lines = STATUS.read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Peak memory of one piece of work, in MiB.")
    parser.add_argument("task", choices=TASKS, help="score texts without a cache, or generate two tokens from prompts")
    parser.add_argument("--chunk", type=int, metavar="N", help="orbit_chunk_size (default: none)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of torch (default: 1)")
    parser.add_argument("--smoke", action="store_true", help="use a tiny model")
    return parser.parse_args()


if __name__ == "__main__":
    main()

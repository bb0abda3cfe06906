"""Fix the arithmetic of a run, time it, and describe the machine: what a figure depends on beside its seed.

A figure of a training is the same to the last digit only with the same number of threads, the same kernels (AVX2,
AVX512 and others add in another order) and the same release of torch. A record of a run therefore holds `machine()`
and the `seconds` of a `Clock`, and each page states them with `describe`.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
import transformers
from rich import get_console
from rich.progress import track

T = TypeVar("T")


def add_threads_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--threads N`, by default 1."""
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        metavar="N",
        help="threads of torch (default: 1; a training gives other figures with another number)",
    )


def fix_arithmetic(threads: int = 1) -> None:
    """Make a run repeat itself to the last digit on one kind of machine.

    Denormal numbers are taken as zero, too: the gradients of sure answers become such numbers, on which a CPU is many
    times slower.
    """
    if threads < 1:
        raise SystemExit(f"--threads takes 1 or more, not {threads}")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    torch.set_flush_denormal(True)


class Clock:
    """Counts the seconds since it was made, and adds those of `earlier` parts of the same run."""

    def __init__(self, earlier: Mapping[str, int] | None = None) -> None:
        self._earlier = earlier or {}
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    @property
    def seconds(self) -> dict[str, int]:
        """Whole seconds by the clock (`"wall"`) and of this process on all cores (`"cpu"`)."""
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return {
            "wall": round(wall) + self._earlier.get("wall", 0),
            "cpu": round(cpu) + self._earlier.get("cpu", 0),
        }


def progress(items: Collection[T], title: str) -> Iterable[T]:
    """Go through items with a progress bar on a terminal. A log file would get an empty line for each bar."""
    return track(items, title, transient=True, disable=not get_console().is_terminal)


def samples_a_second(ways: Mapping[str, Callable[[], Any]], samples: int, repeats: int) -> dict[str, dict[str, float]]:
    """Time ways to process the same samples, taking turns, so that a busy machine slows all of them alike.

    Args:
        ways: What is timed, by name.
        samples: The number of samples that each processes.
        repeats: The number of times that each is timed.

    Returns:
        By name: `"median"`, `"least"` and `"most"`, in samples per second of CPU time.
    """
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in progress(range(repeats), f"{samples} samples at once"):
        for name, way in ways.items():
            begin = time.process_time()
            way()
            rates[name].append(samples / (time.process_time() - begin))
    return {
        name: {"median": sorted(own)[len(own) // 2], "least": min(own), "most": max(own)}
        for name, own in rates.items()
    }


def machine() -> dict[str, Any]:
    """Return what a figure depends on: processor, kernels, threads, and releases."""
    return {
        "processor": _processor(),
        "kernels": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),  # a plain string, which torch.load reads, too
        "transformers": transformers.__version__,
    }


def _processor() -> str:
    """Return the name that Linux gives the processor, or what the platform knows."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def describe(records: Iterable[Mapping[str, Any]], what: str = "stages") -> str:
    """Return a paragraph on the machines and times of the records of runs.

    Args:
        records: One mapping for each run or stage, with its `machine` and `seconds`. Records without them are of a
            release that did not note them.
        what: What the records are of, in the plural.

    Returns:
        For example "Python 3.11.7, torch 2.13.0+cpu, transformers 5.24.0; AMD EPYC, AVX512 kernels, threads: 1. 0.4
        hours of CPU time, 0.5 hours by the clock."
    """
    records = list(records)
    known = list(dict.fromkeys(_line(record["machine"]) for record in records if "machine" in record))
    timed = [record["seconds"] for record in records if isinstance(record.get("seconds"), Mapping)]
    sentences = [" or ".join(known) + "."] if known else []
    if timed:
        cpu, wall = (_duration(sum(seconds[clock] for seconds in timed)) for clock in ("cpu", "wall"))
        missing = len(records) - len(timed)
        share = f" for {len(timed)} of {len(records)} {what}" if missing else ""
        others = f"; the other {what} ran before both were recorded" if missing else ""
        sentences.append(f"{cpu} of CPU time, {wall} by the clock{share}{others}.")
    return " ".join(sentences)


def _line(one: Mapping[str, Any]) -> str:
    """Return the sentence about one machine."""
    return (
        f"Python {one['python']}, torch {one['torch']}, transformers {one['transformers']}; {one['processor']}, "
        f"{one['kernels']} kernels, threads: {one['threads']}"
    )


def _duration(seconds: int) -> str:
    """Return seconds in words, in a unit that suits them."""
    if seconds < 120:
        return f"{seconds} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"

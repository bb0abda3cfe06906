"""Resume a training at its last whole checkpoint, on the machine and the settings on which it began."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data import write_json
from machine import Clock, machine
from transformers import TrainerCallback, TrainingArguments

RECORD = "record.json"  # in each checkpoint


class KeepRecord(TrainerCallback):
    """Writes into each checkpoint the machine, what else the training depends on, and how long it took up to there.

    Args:
        clock: The clock of the training.
        **origin: What the training depends on beside the machine.
    """

    def __init__(self, clock: Clock, **origin: Any) -> None:
        self.clock = clock
        self._origin = origin

    def on_save(self, args: TrainingArguments, state: Any, *_: Any, **__: Any) -> None:
        """Write the record."""
        path = Path(args.output_dir) / f"checkpoint-{state.global_step}" / RECORD
        write_json(path, record(self.clock, **self._origin))


def record(clock: Clock, **origin: Any) -> dict[str, Any]:
    """Return what a checkpoint holds of its training: the seconds, the machine, and what else it depends on."""
    return {"seconds": clock.seconds, "machine": machine(), **origin}


def resume(folder: Path, **origin: Any) -> tuple[Path | None, KeepRecord]:
    """Return the last whole checkpoint of a training with `Trainer`, and the callback that keeps its record.

    Args:
        folder: The folder of the checkpoints.
        **origin: What the training depends on beside the machine: names and values that JSON can hold.

    Returns:
        The checkpoint, None for a training that starts, and the callback, with the clock.

    Raises:
        SystemExit: If the checkpoint is of another machine or origin.
    """
    # The record is written last, so a checkpoint without one may have been killed while it was written.
    whole = [path.parent for path in folder.glob(f"checkpoint-*/{RECORD}")]
    last = max(whole, key=_step, default=None)
    for path in folder.glob("checkpoint-*"):
        if path not in whole:
            where = f"goes on at {last.name}" if last else "starts anew"
            print(f"{path} has no {RECORD}: training {where}", file=sys.stderr, flush=True)
    if last is None:
        return None, KeepRecord(Clock(), **origin)
    earlier = json.loads((last / RECORD).read_text(encoding="utf-8"))
    require_origin(earlier, last, **origin)
    return last, KeepRecord(Clock(earlier["seconds"]), **origin)


def require_origin(earlier: Mapping[str, Any], path: Path, **origin: Any) -> None:
    """Refuse to go on from a checkpoint whose record is of another machine or number of threads, or of another origin.

    Raises:
        SystemExit: If it is. The message says what differs.
    """
    now = {"machine": machine(), **origin}
    other = [
        f"{name} is {earlier.get(name, 'not known')}, not {value}"
        for name, value in now.items()
        if earlier.get(name) != value
    ]
    if other:
        raise SystemExit(f"{path} is of another run: {'; '.join(other)}. Remove {path.parent} to start anew.")


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])

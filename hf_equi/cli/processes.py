"""Several processes that run one command, as under `accelerate launch`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import typer
from accelerate import PartialState
from accelerate.utils import gather_object

from hf_equi.cli.options import Loading
from hf_equi.errors import ConfigurationError, HfEquiError

__all__ = ["of_process", "one_voice"]


@contextmanager
def one_voice(state: PartialState) -> Iterator[None]:
    """Let one process report a fault in the arguments: the processes compare what they found, usually the same.

    Args:
        state: The processes.

    Raises:
        HfEquiError: What was raised inside, in the process that reports; a `ConfigurationError` if another found it.
    """
    fault: Exception | None = None
    try:
        yield
    except (HfEquiError, OSError) as error:
        fault = error
    found = [message for message in gather_object([None if fault is None else str(fault)]) if message is not None]
    if found and not state.is_main_process:
        # The launcher ends all processes when the first one fails: let that be the one that reports.
        with suppress(RuntimeError):
            state.wait_for_everyone()
        raise typer.Exit(2)
    if found:
        raise fault or ConfigurationError(found[0])


def of_process(options: Loading, state: PartialState) -> Loading:
    """Return the options with the device of this process, if they name none.

    Args:
        options: How the model is loaded.
        state: The processes.

    Raises:
        ConfigurationError: If several processes would share one device or a spread model.
    """
    if options.device is None and options.max_memory is None:
        return replace(options, device=str(state.device))
    if state.num_processes > 1 and options.device != "cpu":
        raise ConfigurationError(
            f"Each of the {state.num_processes} processes has its own device: leave out --device and --max-memory, "
            "or start one process."
        )
    return options

"""`prefix_allowed_tokens_fn`, asked for the prompt of each row.

Releases of transformers differ in what they count when a prompt has several samples: 5.23 numbers the samples, 5.24
the prompts. Here it is the prompt in all of them, however many rows a model makes of one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import LogitsProcessorList, PrefixConstrainedLogitsProcessor

from hf_equi.bases.compat import allowed_tokens

__all__ = ["asked_by_prompt"]


def asked_by_prompt(processors: LogitsProcessorList, prompt: Callable[[int], int]) -> LogitsProcessorList:
    """The processors of a call, in which a constraint is asked for the prompt of each row.

    Args:
        processors: Of `generate`; those that are changed are replaced.
        prompt: The number of the prompt of a row.
    """
    return LogitsProcessorList([_asked(processor, prompt) for processor in processors])


def _asked(processor: Any, prompt: Callable[[int], int]) -> Any:
    if not isinstance(processor, PrefixConstrainedLogitsProcessor):
        return processor
    allowed = allowed_tokens(processor)
    return PrefixConstrainedLogitsProcessor(lambda row, sent: allowed(prompt(row), sent), num_beams=1)

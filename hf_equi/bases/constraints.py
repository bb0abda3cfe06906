"""`prefix_allowed_tokens_fn`, asked with the number of the prompt of each row.

Releases of transformers differ if a prompt has several samples: 5.23 numbers the samples, 5.24 the prompts. Our models
number the prompts with every release, however many rows a prompt has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import LogitsProcessorList, PrefixConstrainedLogitsProcessor

from hf_equi.bases.compat import allowed_tokens, constrained_by

__all__ = ["asked_by_prompt"]


def asked_by_prompt(
    processors: LogitsProcessorList, prompt: Callable[[int], int], function: Callable[..., Any] | None = None
) -> LogitsProcessorList:
    """Return the processors of a call, with constraints that are asked with the number of the prompt of each row.

    Args:
        processors: The processors of `generate`. Those that change are copied, so they keep their class.
        prompt: Returns the number of the prompt of a row.
        function: Change only the constraint that asks this function; by default all constraints.
    """
    return LogitsProcessorList([_asked(processor, prompt, function) for processor in processors])


def _asked(processor: Any, prompt: Callable[[int], int], function: Callable[..., Any] | None) -> Any:
    if not isinstance(processor, PrefixConstrainedLogitsProcessor):
        return processor
    allowed = allowed_tokens(processor)
    if function is not None and allowed is not function:
        return processor
    return constrained_by(processor, lambda row, sent: allowed(prompt(row), sent))

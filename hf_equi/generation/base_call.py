"""Calls of a base model with the arguments that it accepts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import PreTrainedConfig, PreTrainedModel

from hf_equi.bases.compat import is_recurrent, renamed_cache, takes_cache
from hf_equi.bases.signatures import parameters
from hf_equi.errors import UnsupportedModelError

__all__ = ["call_base", "check_base", "check_seq2seq_base", "check_states", "prepared_call"]


def check_base(base: PreTrainedModel | type[PreTrainedModel]) -> None:
    """Refuse a base whose cache cannot hold orbits.

    Raises:
        UnsupportedModelError: For models that take no transformers cache, or keep only recurrent states in it.
    """
    model_class = base if isinstance(base, type) else type(base)
    supports = getattr(model_class, "_supports_default_dynamic_cache", None)
    if not takes_cache(model_class.forward) or (supports is not None and not supports()):
        raise _no_cache(model_class)
    if isinstance(base, PreTrainedModel):
        check_states(model_class, base.config)


def check_states(model_class: type[PreTrainedModel], config: PreTrainedConfig) -> None:
    """Refuse a config whose model would keep only recurrent states.

    Raises:
        UnsupportedModelError: For such a config.
    """
    if is_recurrent(config):
        raise _no_cache(model_class)


def _no_cache(model_class: type[PreTrainedModel]) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"{model_class.__name__} takes no key-value cache, so its state cannot be forked. Purely recurrent models "
        "such as Mamba, and models with a cache of their own, cannot be wrapped. Decoder-only models with a "
        "key-value cache can be (GPT-2, Llama, Mistral, Gemma, Qwen, OPT, Falcon, BLOOM and the like), and so can "
        "hybrids that keep their state in it (Jamba)."
    )


def check_seq2seq_base(base: PreTrainedModel | type[PreTrainedModel]) -> None:
    """Refuse a base that does not turn a text into a text.

    Raises:
        UnsupportedModelError: For models without a text encoder and a decoder of their own.
    """
    model_class = base if isinstance(base, type) else type(base)
    needed = {"input_ids", "decoder_input_ids", "encoder_outputs", "labels"}
    missing = sorted(needed - parameters(model_class.forward))
    if not takes_cache(model_class.forward):
        missing.append("cache")
    if missing:
        raise UnsupportedModelError(
            f"{model_class.__name__} takes no {', '.join(missing)}, so it is not a text-to-text model. Load one with "
            "AutoModelForSeq2SeqLM (T5, BART, Marian, mBART, Pegasus, Blenderbot, M2M100 and the like), or use a "
            "hf_equi.RecurrentSeq2Seq."
        )


def call_base(base: PreTrainedModel, arguments: dict[str, Any], logits_to_keep: int) -> Any:
    """Call the base with the arguments that it accepts."""
    out = prepared_call(base, logits_to_keep)(arguments)
    if "logits_to_keep" not in parameters(type(base).forward):
        out.logits = out.logits[:, -logits_to_keep:]
    return out


def prepared_call(base: PreTrainedModel, logits_to_keep: int) -> Callable[[dict[str, Any]], Any]:
    """Return a call of the base that passes the arguments it accepts; some bases then return logits of all places."""
    accepted = parameters(type(base).forward)
    unknown = {"position_ids", "use_cache", "logits_to_keep"} - accepted
    more: dict[str, Any] = {"return_dict": True}
    if "logits_to_keep" in accepted:
        more["logits_to_keep"] = logits_to_keep

    def call(arguments: dict[str, Any]) -> Any:
        arguments = renamed_cache(arguments, accepted) | more
        for name in unknown:
            arguments.pop(name, None)
        return base(**arguments)

    return call

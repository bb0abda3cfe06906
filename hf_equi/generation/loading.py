"""Loading models without ever reading a pickle."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedModel

from hf_equi.errors import ConfigurationError

__all__ = ["load_safetensors"]


def load_safetensors(auto_class: Any, name: str, **kwargs: Any) -> PreTrainedModel:
    """Load a pretrained model from safetensors alone.

    Args:
        auto_class: An Auto class of transformers, for example `AutoModelForCausalLM`.
        name: A folder or a name on the Hub.
        **kwargs: What `from_pretrained` takes.

    Raises:
        ConfigurationError: If the checkpoint holds no safetensors.
        OSError: For a name without a model, as in transformers.
    """
    try:
        model: PreTrainedModel = auto_class.from_pretrained(name, **{**kwargs, "use_safetensors": True})
    except OSError as error:
        if "safetensors" not in str(error):
            raise
        raise ConfigurationError(
            f"{name} holds no safetensors, and hf_equi loads no pickle. Convert it once: load the model with "
            "transformers, call its save_pretrained, and use that folder."
        ) from error
    return model

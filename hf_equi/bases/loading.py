"""Loading models without ever reading a pickle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import PreTrainedModel
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME

from hf_equi.bases.compat import find_file
from hf_equi.errors import ConfigurationError

__all__ = ["load_safetensors", "require_safetensors", "without_question"]


def without_question(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `from_pretrained` with which transformers does not ask whether to run a checkpoint's own code.

    Left to itself it asks on the terminal, and takes whatever comes on stdin for an answer.

    Args:
        arguments: Those of a call; only `trust_remote_code=True` lets code run.
    """
    return {**arguments, "trust_remote_code": bool(arguments.get("trust_remote_code"))}


def load_safetensors(auto_class: Any, name: str, **kwargs: Any) -> PreTrainedModel:
    """Load a pretrained model from safetensors alone.

    Args:
        auto_class: An Auto class of transformers, for example `AutoModelForCausalLM`.
        name: A folder or a name on the Hub.
        **kwargs: What `from_pretrained` takes. Code of the checkpoint runs with `trust_remote_code=True` alone.

    Raises:
        ConfigurationError: If the checkpoint holds no safetensors.
        OSError: For a name without a model, as in transformers.
    """
    try:
        model: PreTrainedModel = auto_class.from_pretrained(
            name, **without_question({**kwargs, "use_safetensors": True})
        )
    except OSError as error:
        if "safetensors" not in str(error):
            raise
        raise ConfigurationError(
            f"{name} holds no safetensors, and hf_equi loads no pickle. Convert it once: load the model with "
            "transformers, call its save_pretrained, and use that folder."
        ) from error
    return model


def require_safetensors(name: Any, variant: str | None = None, **hub: Any) -> None:
    """Refuse a checkpoint without safetensors.

    Asked to load one, transformers would have a service convert the pickle, and send it the user's token.

    Args:
        name: A folder or a name on the Hub.
        variant: Of the weights, as `from_pretrained` takes it.
        **hub: What `from_pretrained` takes of the repository: `revision`, `subfolder`, `token` and so on.

    Raises:
        ConfigurationError: If there are none.
        OSError: For a name without a repository, as in transformers.
    """
    for file in (SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME):
        stem, ending = file.rsplit(".", 1)
        wanted = file if variant is None else f"{stem}.{variant}.{ending}"
        if find_file(name, wanted, **hub) is not None:
            return
    raise ConfigurationError(
        f"{name} holds no safetensors, and hf_equi loads no pickle such as pytorch_model.bin, which may run code when "
        "it is read. Have the model saved again, by its save_pretrained, and publish that folder."
    )

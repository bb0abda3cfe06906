"""The compatibility layer: all differences between the supported releases of other packages.

transformers 5.24 renamed the cache. Up to 5.23, forwards, `prepare_inputs_for_generation`, `generate` and outputs call
it `past_key_values`; since then they call it `cache`. Nothing outside this module depends on the name. The module
inspects what the installed packages can do, not their version numbers.

A private name of another package that this library reads or overrides is listed in `PRIVATE_NAMES`, which the tests
compare with the installed release: an override of a method that no longer exists would silently do nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from transformers import DynamicCache, GenerationMixin, PrefixConstrainedLogitsProcessor, PreTrainedConfig
from transformers.cache_utils import Cache
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.utils import ModelOutput, cached_file

from hf_equi.bases.signatures import parameters
from hf_equi.errors import ConfigurationError

__all__ = [
    "CACHE",
    "CACHE_NAMES",
    "LOADING",
    "PRIVATE_NAMES",
    "CachedOutput",
    "accepts_cache",
    "allowed_tokens",
    "answering_to_both",
    "cache_of",
    "cached",
    "constrained_by",
    "find_file",
    "is_recurrent",
    "named_arguments",
    "renamed_cache",
    "replace_pipeline",
    "takes_cache",
]

F = TypeVar("F", bound=Callable[..., Any])

CACHE_NAMES = _NEW, _OLD = "cache", "past_key_values"
"""The names of a cache in releases of transformers, the newest first."""

CACHE: str = _NEW if _NEW in {field.name for field in fields(CausalLMOutputWithPast)} else _OLD
"""The name of a cache in the installed transformers: as an argument, and as a field of an output."""

LOADING: frozenset[str] = frozenset(
    (
        "adapter_kwargs",
        "adapter_name",
        "allow_all_kernels",
        "attn_implementation",
        "cache_dir",
        "code_revision",
        "config",
        "device_map",
        "device_mesh",
        "disable_mmap",
        "distributed_config",
        "dtype",
        "experts_implementation",
        "force_download",
        "fusion_config",
        "generation_config",
        "gguf_file",
        "ignore_mismatched_sizes",
        "kernel_config",
        "key_mapping",
        "local_files_only",
        "low_cpu_mem_usage",
        "max_memory",
        "offload_buffers",
        "offload_folder",
        "offload_state_dict",
        "output_loading_info",
        "proxies",
        "quantization_config",
        "revision",
        "state_dict",
        "subfolder",
        "token",
        "torch_dtype",
        "tp_plan",
        "tp_size",
        "tqdm_class",
        "trust_remote_code",
        "use_kernels",
        "use_safetensors",
        "variant",
        "weights_only",
    )
)
"""The arguments of `from_pretrained` other than entries of the config. Any others go to the constructor."""

PRIVATE_NAMES: dict[str, tuple[str, ...]] = {
    "transformers.GenerationMixin": (
        "_get_logits_processor",
        "_get_stopping_criteria",
        "_prepare_static_cache",
        "_sample",
        "_supports_default_dynamic_cache",
        "_validate_model_kwargs",
    ),
    "transformers.PreTrainedModel": (
        "_gradient_checkpointing_func",
        "_hf_peft_config_loaded",
        "_init_weights",
        "_is_hf_initialized",
        "_is_stateful",
        "_loss_function",
        "_skip_keys_device_placement",
        "_supports_attention_backend",
        "_supports_flash_attn",
        "_supports_flex_attn",
        "_supports_sdpa",
    ),
    "transformers.PreTrainedConfig": ("_attn_implementation", "_commit_hash", "_name_or_path"),
    "transformers.GenerationConfig": ("_get_default_generation_params",),
    "transformers.AutoModel": ("_model_mapping",),
    "transformers.PrefixConstrainedLogitsProcessor": ("_num_beams", "_prefix_allowed_tokens_fn"),
    "transformers.utils.hub": (
        "_raise_exceptions_for_connection_errors",
        "_raise_exceptions_for_gated_repo",
        "_raise_exceptions_for_missing_entries",
    ),
    "accelerate.hooks": ("_hf_hook",),
    "peft.tuners.tuners_utils": (
        "_get_available_adapters",
        "_maybe_include_all_linear_layers",
        "_prepare_adapter_config",
    ),
    "torch.nn.Module": ("_forward_pre_hooks", "_forward_pre_hooks_with_kwargs"),
}
"""The private names that this library depends on, by owner. docs/compatibility.md says why, and what could replace
them."""


def cached(cache: Cache | None, function: Callable[..., Any] | None = None) -> dict[str, Cache | None]:
    """Return a cache as an argument, or as a field of an output.

    Args:
        cache: The cache.
        function: The function that takes it. Code from the Hub may use the older name with any release. By default the
            name is that of the release.

    Example:
        >>> list(cached(None)) == [CACHE]
        True
    """
    return {CACHE if function is None else _name_in(parameters(function)): cache}


def _name_in(accepted: frozenset[str]) -> str:
    """Return the accepted name of a cache, or the name of the release if there is none."""
    return next((name for name in (_NEW, _OLD) if name in accepted), CACHE)


def cache_of(output: Any) -> Any:
    """Return the cache that an output holds, or `None`."""
    return getattr(output, CACHE, None)


def takes_cache(function: Callable[..., Any]) -> bool:
    """Whether a forward takes a transformers cache. Code from the Hub may still use the older name."""
    return not {_NEW, _OLD}.isdisjoint(parameters(function))


def renamed_cache(arguments: dict[str, Any], accepted: frozenset[str]) -> dict[str, Any]:
    """Return the arguments of a forward, with the cache under the name that this forward uses.

    Args:
        arguments: The arguments of the call.
        accepted: The names of its parameters.

    Example:
        >>> renamed_cache(cached(None), frozenset({"input_ids", "cache"}))
        {'cache': None}
    """
    rest = {name: value for name, value in arguments.items() if name not in {_NEW, _OLD}}
    given = [arguments[name] for name in (_NEW, _OLD) if name in arguments]
    if given:
        rest[_name_in(accepted)] = next((cache for cache in given if cache is not None), None)
    return rest


def accepts_cache(removed: str = "5.40.0") -> Callable[[F], F]:
    """Let a method be called with `cache=` or `past_key_values=`, as methods of transformers are.

    The method itself has a parameter `cache`, or passes the argument on under the name of the release. If transformers
    deprecates the older name, this gives the same warning as transformers.

    Args:
        removed: The release of transformers that removes the older name.

    Raises:
        ConfigurationError: In a call with both names, if both are current.

    Example:
        >>> @accepts_cache()
        ... def forward(cache=None):
        ...     return cache
        >>> forward(cache=3)
        3
    """

    def decorate(function: F) -> F:
        if CACHE == _NEW:
            from transformers.utils.deprecation import deprecate_kwarg  # noqa: PLC0415  for this release alone

            renamed: F = deprecate_kwarg(_OLD, removed, new_name=_NEW)(function)
            return renamed
        return _with_both_names(function)

    return decorate


def _with_both_names(function: F) -> F:
    """Wrap a method for releases that call a cache `past_key_values`, so that it uses that name too."""
    signature = inspect.signature(function)
    inner = _NEW if _NEW in signature.parameters else _OLD
    outer = _OLD if inner == _NEW else _NEW

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if (cache := kwargs.pop(outer, None)) is not None:
            if kwargs.get(inner) is not None:
                raise ConfigurationError(f"{_NEW} and {_OLD} are two names of one argument: pass one of them")
            kwargs[inner] = cache
        return function(*args, **kwargs)

    named = [each.replace(name=_OLD) if each.name == _NEW else each for each in signature.parameters.values()]
    call.__signature__ = signature.replace(parameters=named)  # type: ignore[attr-defined]
    return call  # type: ignore[return-value]


if TYPE_CHECKING or CACHE == _NEW:

    @dataclass
    class CachedOutput(ModelOutput):
        """The base of outputs of models with a cache; subclasses add fields.

        `output.cache` and `output.past_key_values` are the same, whichever name the release uses.

        Args:
            loss: `()`, with `labels`.
            logits: `(batch, tokens, vocab)` scores.
            cache: The cache, with `use_cache`.
        """

        loss: torch.Tensor | None = None
        logits: torch.Tensor | None = None
        cache: Any = None

else:

    @dataclass
    class CachedOutput(ModelOutput):
        """The base of outputs of models with a cache, as above, for releases that use the older name."""

        loss: torch.Tensor | None = None
        logits: torch.Tensor | None = None
        past_key_values: Any = None

        @property
        def cache(self):
            """The cache."""
            return self.past_key_values

        def __getitem__(self, key):
            return super().__getitem__(_older(key))

        def __setitem__(self, key, value):
            super().__setitem__(_older(key), value)

        def __setattr__(self, name, value):
            super().__setattr__(_older(name), value)

        def __contains__(self, key):
            return super().__contains__(_older(key))

        def get(self, key, default=None):
            """As of a dictionary."""
            return super().get(_older(key), default)


def _older(key: Any) -> Any:
    return _OLD if key == _NEW else key


def allowed_tokens(constraint: PrefixConstrainedLogitsProcessor) -> Callable[[int, torch.Tensor], list[int]]:
    """Return the function that a constraint asks. It maps a number and the text so far to the allowed next tokens."""
    allowed: Callable[[int, torch.Tensor], list[int]] = constraint._prefix_allowed_tokens_fn
    return allowed


def constrained_by(
    constraint: PrefixConstrainedLogitsProcessor, allowed: Callable[[int, torch.Tensor], list[int]]
) -> PrefixConstrainedLogitsProcessor:
    """Return a copy of a constraint that asks another function, with the number of each row."""
    own = copy(constraint)
    own._prefix_allowed_tokens_fn = allowed
    own._num_beams = 1
    return own


def answering_to_both(output: Any) -> Any:
    """Return an output of `generate` with its cache under both names, even if transformers uses only the older one."""
    if CACHE == _OLD and isinstance(output, ModelOutput) and hasattr(output, _OLD):
        output.cache = getattr(output, _OLD)
    return output


def named_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call of `generate` after `logits_processor`, all by name.

    Args:
        args: The positional arguments.
        kwargs: The keyword arguments.

    Raises:
        TypeError: For too many positional arguments; for an argument that is given twice.

    Example:
        >>> named_arguments((None, max), {"max_new_tokens": 3})
        {'stopping_criteria': None, 'prefix_allowed_tokens_fn': <built-in function max>, 'max_new_tokens': 3}
    """
    if not args:
        return dict(kwargs)
    names = list(inspect.signature(GenerationMixin.generate).parameters)
    names = [name for name in names[names.index("logits_processor") + 1 :] if name != "kwargs"]
    if len(args) > len(names):
        raise TypeError(f"generate() takes {len(names)} arguments after logits_processor, but {len(args)} were given")
    named = dict(zip(names, args, strict=False))
    if twice := named.keys() & kwargs.keys():
        raise TypeError(f"generate() got multiple values for argument {min(twice)!r}")
    return {**named, **kwargs}


def is_recurrent(config: PreTrainedConfig) -> bool:
    """Whether a model keeps only recurrent states of a text, without any attention layer.

    Example:
        >>> from transformers import GPT2Config, MambaConfig
        >>> is_recurrent(MambaConfig()), is_recurrent(GPT2Config())
        (True, False)
    """
    try:
        layers = DynamicCache(config=config).is_linear
    except (AttributeError, KeyError, TypeError, ValueError):  # the config does not describe its layers
        return False
    return bool(layers) and all(layers)


def find_file(folder: Any, name: str, *, unreachable: bool = False, gated: bool = False, **hub: Any) -> str | None:
    """Return the path of a file of a folder or repository, from the cache or the Hub, or `None` if there is none.

    Args:
        folder: A folder, or the name of a repository.
        name: The file's name.
        unreachable: Whether to return `None` also if the Hub cannot be reached.
        gated: Whether to return `None` also for a repository that may not be read.
        **hub: `revision`, `token`, `cache_dir` and so on.

    Raises:
        OSError: For a repository that does not exist; in the last two cases, unless `None` is returned for them.
    """
    found: str | None = cached_file(
        folder,
        name,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=not unreachable,
        _raise_exceptions_for_gated_repo=not gated,
        **hub,
    )
    return found


def replace_pipeline(task: str, own: str, place: str) -> None:
    """Have `pipeline(task)` make our class in place of that of transformers, unless another package has replaced it.

    Args:
        task: The task of the pipeline.
        own: The class of transformers.
        place: Our class, as `module.Class`, which loads on first use.
    """
    from transformers.pipelines import PIPELINE_REGISTRY  # noqa: PLC0415  most programs need none

    known = PIPELINE_REGISTRY.supported_tasks[task]
    if known["impl"] == own:
        known["impl"] = place

"""The one border with the releases of other packages: all that differs between those that this library works with.

transformers 5.24 renamed the cache. Up to 5.23 forwards, `prepare_inputs_for_generation`, `generate` and outputs call
it `past_key_values`, and since then `cache`. Nothing outside this module depends on which it is. What the installed
packages can do is read off them, not off their version numbers.

A private name of another package that this library reads or overrides is listed in `PRIVATE_NAMES`, which the tests
compare with the installed release: an override of a method that no longer exists would do nothing, and say nothing.
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
"""What a cache is called in releases of transformers, the newest first."""

CACHE: str = _NEW if _NEW in {field.name for field in fields(CausalLMOutputWithPast)} else _OLD
"""What the installed transformers calls a cache: as an argument, and as a field of an output."""

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
"""What `from_pretrained` takes beside entries of the config; anything else goes to the constructor of the class."""

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
"""The private names that this library leans on, by owner. What for, and what could take their place, is in
docs/compatibility.md."""


def cached(cache: Cache | None, function: Callable[..., Any] | None = None) -> dict[str, Cache | None]:
    """A cache as an argument or as a field of an output.

    Args:
        cache: The cache.
        function: What it is an argument of. Code from the Hub may have the older name for it, with any release. By
            default the name is the one of the release.

    Example:
        >>> list(cached(None)) == [CACHE]
        True
    """
    return {CACHE if function is None else _name_in(parameters(function)): cache}


def _name_in(accepted: frozenset[str]) -> str:
    """The name among some that is one of a cache; the release's where there is none."""
    return next((name for name in (_NEW, _OLD) if name in accepted), CACHE)


def cache_of(output: Any) -> Any:
    """The cache that an output holds, or `None`."""
    return getattr(output, CACHE, None)


def takes_cache(function: Callable[..., Any]) -> bool:
    """Whether a forward takes a cache of transformers. Code from the Hub may still call it by the older name."""
    return not {_NEW, _OLD}.isdisjoint(parameters(function))


def renamed_cache(arguments: dict[str, Any], accepted: frozenset[str]) -> dict[str, Any]:
    """The arguments of a forward, with the cache under the name that this forward has for it.

    Args:
        arguments: What it is to be called with.
        accepted: The names of what it takes.

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

    The method itself has a parameter `cache`, or passes on what it is given by the name of the release. Where
    transformers deprecates the older name, this one warns as transformers does.

    Args:
        removed: The release of transformers in which the older name goes.

    Raises:
        ConfigurationError: In a call with both, where both are current.

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
    """For releases that call a cache `past_key_values`: seen from outside, so does the method."""
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
        """What outputs of models with a cache begin with; subclasses add fields.

        `output.cache` and `output.past_key_values` are the same, whichever of them the release knows.

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
        """What outputs of models with a cache begin with: as above, for releases that know the older name."""

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
    """The function that a constraint asks: the tokens that may follow, of a number and what was written so far."""
    allowed: Callable[[int, torch.Tensor], list[int]] = constraint._prefix_allowed_tokens_fn
    return allowed


def constrained_by(
    constraint: PrefixConstrainedLogitsProcessor, allowed: Callable[[int, torch.Tensor], list[int]]
) -> PrefixConstrainedLogitsProcessor:
    """A copy of a constraint that asks another function, for the number of each row."""
    own = copy(constraint)
    own._prefix_allowed_tokens_fn = allowed
    own._num_beams = 1
    return own


def answering_to_both(output: Any) -> Any:
    """What `generate` returns, with its cache under both names also where transformers knows the older alone."""
    if CACHE == _OLD and isinstance(output, ModelOutput) and hasattr(output, _OLD):
        output.cache = getattr(output, _OLD)
    return output


def named_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call of `generate` behind `logits_processor`, all by name.

    Args:
        args: Those by position.
        kwargs: Those by name.

    Raises:
        TypeError: For more than there are names; for one that is given twice.

    Example:
        >>> named_arguments((None, max), {"max_new_tokens": 3})
        {'stopping_criteria': None, 'prefix_allowed_tokens_fn': <built-in function max>, 'max_new_tokens': 3}
    """
    if not args:
        return dict(kwargs)
    names = list(inspect.signature(GenerationMixin.generate).parameters)
    names = [name for name in names[names.index("logits_processor") + 1 :] if name != "kwargs"]
    if len(args) > len(names):
        raise TypeError(f"generate() takes {len(names)} arguments behind logits_processor, and {len(args)} were given")
    named = dict(zip(names, args, strict=False))
    if twice := named.keys() & kwargs.keys():
        raise TypeError(f"generate() got multiple values for argument {min(twice)!r}")
    return {**named, **kwargs}


def is_recurrent(config: PreTrainedConfig) -> bool:
    """Whether all that a model keeps of a text are recurrent states, which no layer of attention goes with.

    Example:
        >>> from transformers import GPT2Config, MambaConfig
        >>> is_recurrent(MambaConfig()), is_recurrent(GPT2Config())
        (True, False)
    """
    try:
        layers = DynamicCache(config=config).is_linear
    except (AttributeError, KeyError, TypeError, ValueError):  # a config that does not say what its layers are
        return False
    return bool(layers) and all(layers)


def find_file(folder: Any, name: str, *, unreachable: bool = False, gated: bool = False, **hub: Any) -> str | None:
    """Where a file of a folder or repository lies, from the cache or the Hub, or `None` where there is none.

    Args:
        folder: A folder, or the name of a repository.
        name: The file's name.
        unreachable: Whether the answer is `None`, too, where the Hub cannot be reached.
        gated: Whether it is, too, for a repository that may not be read.
        **hub: `revision`, `token`, `cache_dir` and the like.

    Raises:
        OSError: For a repository that does not exist; for what was not allowed for.
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
    """Have `pipeline(task)` make a class of ours in place of that of transformers; what others put there stays.

    Args:
        task: The task of the pipeline.
        own: The class of transformers.
        place: Ours, as `module.Class`, which loads on first use.
    """
    from transformers.pipelines import PIPELINE_REGISTRY  # noqa: PLC0415  most programs need none

    known = PIPELINE_REGISTRY.supported_tasks[task]
    if known["impl"] == own:
        known["impl"] = place

"""The methods on the command line: its names for them, and which a command can run.

Reading them loads nothing, so `hf-equi --help` can list them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from hf_equi.checks import check_choice
from hf_equi.registration import create_method, method_names

if TYPE_CHECKING:
    from hf_equi.symmetrizers import Method

__all__ = [
    "DEFAULT_METHODS",
    "DEFAULT_MULTI_TOKEN",
    "METHODS",
    "AuditedMethod",
    "How",
    "any_of",
    "audited_name",
    "check_multi_token",
    "check_trained",
    "is_kept",
    "method_name",
    "plain_method",
    "saved_multi_token",
    "units_of",
]


DEFAULT_MULTI_TOKEN = "compose"
"""What happens to words of several tokens if nobody says, where the method combines the scores of all members."""


class How(NamedTuple):
    """How a model is symmetrised: its settings, or `None` for the usual ones or those of a saved model.

    Args:
        method: The method of `hf_equi.symmetrize`.
        average: What it averages.
        multi_token: What happens to words of several tokens: `"skip"` or `"compose"`.
    """

    method: str | None = None
    average: str | None = None
    multi_token: str | None = None


@dataclass(frozen=True)
class AuditedMethod:
    """A method that can be audited.

    Args:
        method: The method of `hf_equi.symmetrize`; `None` for the base model alone.
        relaxed: Whether its group has neutral and general words.
        searches: Whether it searches with a scorer.
        default: Whether it is audited if no methods are named.
    """

    method: str | None
    relaxed: bool = False
    searches: bool = False
    default: bool = True


_BASE = "identity"
"""The method that leaves the base as it is: audited as `base`."""

_NAMED = {
    "base": AuditedMethod(None),
    "EquiLM": AuditedMethod("equitune"),
    "R-EquiLM": AuditedMethod("equitune", relaxed=True),
    "EquizeroLM": AuditedMethod("equizero", searches=True),
    "R-EquizeroLM": AuditedMethod("equizero", relaxed=True, searches=True),
}

METHODS = _NAMED | {
    name: AuditedMethod(name, default=False)
    for name in method_names("causal_lm")
    if name not in {_BASE, *(audited.method for audited in _NAMED.values())}
}
"""The methods that can be audited, by their names in the papers, or else in `hf_equi.symmetrize`."""

DEFAULT_METHODS = tuple(name for name, audited in METHODS.items() if audited.default)
"""The methods that are audited if none are named."""


def audited_name(text: str) -> str:
    """Return the name in `METHODS` that a text means, in any case. Names of `hf_equi.symmetrize` work too.

    Example:
        >>> audited_name("r-equilm"), audited_name("equitune"), audited_name("magic")
        ('R-EquiLM', 'EquiLM', 'magic')
    """
    known = {audited.method: name for name, audited in METHODS.items() if audited.method and not audited.relaxed}
    known |= {name.casefold(): name for name in METHODS}
    return known.get(text.casefold(), text)


def method_name(text: str) -> str:
    """Return the method name in `hf_equi.symmetrize` that a text means. Model names such as EquiLM work too.

    Example:
        >>> method_name("EquiLM"), method_name("Mixture"), method_name("magic")
        ('equitune', 'mixture', 'magic')
    """
    audited = METHODS.get(audited_name(text), AuditedMethod(None))
    return text.casefold() if audited.method is None or audited.relaxed else audited.method


def is_kept(config: Any, group: Any, how: How) -> bool:
    """Whether a saved model is used as it is, because it has the group and the settings that are wanted.

    Args:
        config: Its config.
        group: The group; `None` for its own.
        how: The settings.
    """
    own = group is None or group == config.read_group()
    own = own and how.multi_token in (None, saved_multi_token(config))
    return own and how.method in (None, config.method) and how.average in (None, config.average)


def check_multi_token(name: str | None) -> None:
    """Refuse an unknown value of `--multi-token`.

    Raises:
        ConfigurationError: For one.
    """
    if name is not None:
        check_choice("--multi-token", name, ("compose", "skip"))


def saved_multi_token(config: Any) -> str:
    """Return what happens to words of several tokens in a saved model."""
    return "compose" if getattr(config, "multi_token", None) == "compose" else "skip"


def units_of(method: str, multi_token: str | None, config: Any = None) -> dict[str, Any]:
    """Return the settings of words of several tokens for a method: they stay if it does not combine all members.

    Args:
        method: A method for causal language models.
        multi_token: As wanted; `None` for that of the config, or the default.
        config: The config of a saved model, if there is one.
    """
    from hf_equi.models.causal_lm.methods import combines  # noqa: PLC0415

    default = DEFAULT_MULTI_TOKEN if config is None else saved_multi_token(config)
    if (multi_token or default) != "compose" or not combines(plain_method("causal_lm", method)):
        return {"multi_token": "skip"}
    names = ("look_ahead", "unlooked_share") if config is not None and saved_multi_token(config) == "compose" else ()
    return {"multi_token": "compose", **{name: getattr(config, name) for name in names}}


def plain_method(task: str, name: str) -> Method:
    """Return a method of a task with usual settings, to ask what it can do.

    Raises:
        ConfigurationError: If the task has no such method.
    """
    made: Method = create_method(task, name, average="logits", loss="max_probability")
    return made


def check_trained(task: str, method: str, kept: bool = False) -> None:
    """Refuse a method whose network nobody has trained.

    Args:
        task: The task.
        method: The method.
        kept: Whether a saved model is used as it is, with the network that was saved with it.

    Raises:
        ConfigurationError: If the method has a network. A new one would have random weights.
    """
    if not kept:
        plain_method(task, method).refuse_untrained(
            "train it in Python (docs/finetuning.md), save the model, and pass its folder with --model, without "
            "another group, method or average."
        )


def any_of(names: Sequence[str]) -> str:
    """Join names as in a sentence: `a, b or c`."""
    return f"{', '.join(names[:-1])} or {names[-1]}"

"""The registry of tasks, their models and their methods: the library's own and those of other packages.

Registering imports nothing. Until a class is used, its place `"package.module:Class"` stands for it, so
`import hf_equi` costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from hf_equi.auto_classes import ModelPlace, register_classes, watch
from hf_equi.checks import check_choice
from hf_equi.errors import ConfigurationError

__all__ = [
    "ModelPlace",
    "create_method",
    "method_names",
    "register_method",
    "register_models",
    "register_task",
    "task_names",
    "tasks",
    "unregister_task",
]


class _Task(NamedTuple):
    task: Any
    methods: dict[str, Any]
    title: str


_TASKS: dict[str, _Task] = {}
_MADE: dict[str, Any] = {}


def register_task(
    *,
    name: str,
    task: str | type[Any],
    models: Iterable[ModelPlace | type[Any]],
    methods: Mapping[str, str | Callable[..., Any]],
    title: str | None = None,
) -> None:
    """Make a task known: `symmetrize` finds it, the Auto classes load its models, and errors list it.

    Args:
        name: As in `symmetrize(task=...)`.
        task: Its subclass of `hf_equi.models.task.Task`, or the place of one.
        models: Its models, subclasses of `hf_equi.models.base.EquiPreTrainedModel`, or their places.
        methods: For each method name, its factory or the place of the factory. A factory is called with the settings
            of the method for which it has arguments.
        title: What messages call the task, as in "text generation"; by default its name, in words.

    Raises:
        ConfigurationError: If a name is taken, or is not a lower-case identifier.
    """
    _check_name(name, "task")
    if name in _TASKS:
        raise ConfigurationError(f"There is already a task {name!r}: choose another name")
    for method in methods:
        _check_name(method, "method")
    if isinstance(task, type):
        task.check_complete()
    register_models(models)
    _TASKS[name] = _Task(task, dict(methods), title or name.replace("_", " "))


def unregister_task(name: str) -> None:
    """Forget a task and its methods, for example at the end of a test. The Auto classes keep its models.

    Args:
        name: The task.

    Raises:
        ConfigurationError: For an unknown task.
    """
    check_choice("task", name, task_names())
    del _TASKS[name]
    _MADE.pop(name, None)


def register_models(models: Iterable[ModelPlace | type[Any]]) -> None:
    """Make the Auto classes of transformers know models.

    Args:
        models: The classes, with `config_class` and `auto_class`, or their places.

    Raises:
        ConfigurationError: If a class lacks these, or another model has its model type.
    """
    models = list(models)
    for model in models:
        if not isinstance(model, ModelPlace) and not (hasattr(model, "config_class") and hasattr(model, "auto_class")):
            raise ConfigurationError(
                f"{model!r} cannot be registered as a model: it needs a config_class and an auto_class"
            )
    for model in models:
        if isinstance(model, ModelPlace):
            watch(model)
        else:
            register_classes(model.config_class, model, [model.auto_class])


def register_method(*, task: str, name: str, factory: str | Callable[..., Any]) -> None:
    """Make a method known to a task.

    Args:
        task: As in `symmetrize(task=...)`, for example `"causal_lm"`.
        name: As in `symmetrize(method=...)`.
        factory: A callable that makes the method, a `hf_equi.symmetrizers.Method`, or the place of the callable. It is
            called with the settings of the method for which it has arguments.

    Raises:
        ConfigurationError: For an unknown task, a name that is taken, or one that is not a lower-case identifier.
    """
    _check_name(name, "method")
    check_choice("task", task, task_names())
    if name in _TASKS[task].methods:
        raise ConfigurationError(f"The task {task!r} already has a method {name!r}: choose another name")
    _TASKS[task].methods[name] = factory


def task_names() -> tuple[str, ...]:
    """Return the names of the tasks, in the order of registration."""
    return tuple(_TASKS)


def tasks() -> dict[str, Any]:
    """Return the tasks by name, each made once."""
    for name, registered in _TASKS.items():
        if name not in _MADE:
            try:
                _MADE[name] = _found(registered.task)()
            except (ImportError, AttributeError, TypeError) as error:
                raise ConfigurationError(
                    f"The task {name!r} cannot be made from {registered.task!r}: {error}. Correct its registration, "
                    f"or remove it: hf_equi.registration.unregister_task({name!r})"
                ) from error
            _MADE[name].name = name
    return {name: _MADE[name] for name in _TASKS}


def method_names(task: str | None = None) -> list[str]:
    """Return the sorted names of the methods of a task, by default those of all tasks, each once."""
    if task is not None:
        check_choice("task", task, task_names())
    chosen = _TASKS.values() if task is None else [_TASKS[task]]
    return sorted({name for registered in chosen for name in registered.methods})


def create_method(task: str, name: str, **settings: Any) -> Any:
    """Make a method of a task.

    Args:
        task: The task.
        name: The method.
        **settings: All settings that the task has for its methods.

    Raises:
        ConfigurationError: If the task has no such method. The message lists those that it has.
    """
    read = read_settings(task, name, settings)
    return _found(_TASKS[task].methods[name])(**{setting: settings[setting] for setting in read})


def read_settings(task: str, name: str, settings: Iterable[str]) -> list[str]:
    """Return the settings that a method of a task reads: the arguments of its factory.

    Args:
        task: The task.
        name: The method.
        settings: The names to choose from.

    Raises:
        ConfigurationError: If the task has no such method. The message lists those that it has.
    """
    check_choice("method", name, method_names(task), f" to {_TASKS[task].title}")
    import inspect  # noqa: PLC0415  slow, and needed only here

    taken = inspect.signature(_found(_TASKS[task].methods[name])).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in taken.values()):
        return list(settings)
    return [setting for setting in settings if setting in taken]


def _found(place: Any) -> Any:
    """Return the object at a place; return anything else as it is."""
    if not isinstance(place, str):
        return place
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def _check_name(name: Any, what: str) -> None:
    if not isinstance(name, str) or not name.isidentifier() or name != name.lower():
        raise ConfigurationError(f"{name!r} cannot name a {what}: use lower-case letters, digits and underscores")

"""A training phase: what is trained, and how."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainingArguments

from hf_equi.checks import check_between, check_choice, check_count
from hf_equi.errors import ConfigurationError
from hf_equi.training.parts import PARTS, parameters_of

__all__ = ["Phase"]

_MOMENTUM = 0.9  # for SGD, as in the authors' code


@dataclass(frozen=True)
class Phase:
    """A training phase: a part of the weights, with the settings of its `Trainer`.

    The learning rate is constant, without weight decay or clipping, as in the code of both papers.

    Args:
        name: The name of the phase, and of its folder.
        trains: `"lambda"`, `"canonicalizer"`, `"base"`, `"last_layers"` or `"all"` (see `hf_equi.training.parts`).
            Everything else is frozen and stays in eval mode while the rest trains: no dropout, and batch norms that
            keep their statistics.
        learning_rate: The learning rate.
        max_steps: The number of steps.
        epochs: Or the number of epochs.
        batch_size: The batch size of each device.
        optimizer: `"sgd"`, with momentum 0.9, or any other `optim` of `TrainingArguments`.
        objective: The loss for labels, `"cross_entropy"` or `"published_double_softmax"`; `None` for the model's own.

    Raises:
        ConfigurationError: For an unknown part, an invalid rate or length, or both steps and epochs.

    Example:
        ```python
        >>> from transformers import ViTConfig, ViTForImageClassification
        >>> from hf_equi import ImageGroup, symmetrize
        >>> sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
        >>> base = ViTForImageClassification(ViTConfig(image_size=16, patch_size=8, num_labels=3, **sizes))
        >>> model = symmetrize(base, ImageGroup.rotations(4), "lambda", lambda_units=5)
        >>> phase = Phase("lambda", trains="lambda", learning_rate=0.3, max_steps=1000)
        >>> with phase.applied(model) as trained:
        ...     print(trained, any(weight.requires_grad for weight in model.base.parameters()))
        81 False
        >>> all(weight.requires_grad for weight in model.base.parameters())
        True

        ```
    """

    name: str
    trains: str
    learning_rate: float
    max_steps: int | None = None
    epochs: float | None = None
    batch_size: int = 32
    optimizer: str = "sgd"
    objective: str | None = None

    def __post_init__(self) -> None:
        check_choice("trains", self.trains, PARTS)
        if (self.max_steps is None) == (self.epochs is None):
            raise ConfigurationError(
                f"A phase ends after a number of steps or of epochs: pass exactly one of max_steps={self.max_steps} "
                f"and epochs={self.epochs}"
            )
        check_between("learning_rate", self.learning_rate)
        if self.max_steps is None:
            check_between("epochs", self.epochs)
        else:
            check_count("max_steps", self.max_steps, "number of steps")
        check_count("batch_size", self.batch_size, "number of examples")

    def prepare(self, model: Any) -> int:
        """Set which weights are trained, and the objective if the phase has one.

        Args:
            model: A symmetrised model.

        Returns:
            The number of trained parameters.

        Raises:
            ConfigurationError: If the model lacks the part or the objective. The model is then unchanged.
        """
        trained = parameters_of(model, self.trains)
        if self.objective is not None:
            self._set_objective(model)
        model.requires_grad_(False)
        for parameter in trained:
            parameter.requires_grad_(True)
        model.train(model.training)  # this updates the mode of frozen parts
        return sum(parameter.numel() for parameter in trained)

    @contextmanager
    def applied(self, model: Any) -> Iterator[int]:
        """Prepare a model, and in the end restore which weights were trained before, and the objective.

        Args:
            model: A symmetrised model.

        Raises:
            ConfigurationError: As in `prepare`.
        """
        flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
        objective = getattr(model.config, "objective", None)
        try:
            yield self.prepare(model)
        finally:
            for parameter, flag in flags:
                parameter.requires_grad_(flag)
            if self.objective is not None and objective is not None:
                model.config.objective = objective
            model.train(model.training)

    def arguments(self, output_dir: str | os.PathLike[str], **overrides: Any) -> TrainingArguments:
        """Return the settings of a `Trainer`.

        Args:
            output_dir: A folder. The phase writes to a subfolder with its name, so that no phase resumes from the
                checkpoint of another.
            **overrides: Any arguments of `TrainingArguments`.

        Example:
            >>> phase = Phase("base", trains="base", learning_rate=5e-7, max_steps=4000)
            >>> arguments = phase.arguments("runs", save_strategy="no", learning_rate=1e-6)
            >>> arguments.learning_rate, arguments.optim_args, arguments.lr_scheduler_type.value
            (1e-06, 'momentum=0.9', 'constant')
        """
        settings: dict[str, Any] = {
            "learning_rate": self.learning_rate,
            "per_device_train_batch_size": self.batch_size,
            "optim": self.optimizer,
            "lr_scheduler_type": "constant",
            "weight_decay": 0.0,
            "max_grad_norm": 0.0,
            "label_names": ["labels"],
        }
        if not {"max_steps", "num_train_epochs"} & set(overrides):
            length = {"max_steps": self.max_steps, "num_train_epochs": self.epochs}
            settings.update({name: value for name, value in length.items() if value is not None})
        if overrides.get("optim", self.optimizer) == "sgd":
            settings["optim_args"] = f"momentum={_MOMENTUM}"
        return TrainingArguments(str(Path(output_dir) / self.name), **{**settings, **overrides})

    def _set_objective(self, model: Any) -> None:
        """Set the objective of a model that has several."""
        if not hasattr(model.config, "objective"):
            raise ConfigurationError(
                f"A {type(model).__name__} has one loss, and does not take objective={self.objective!r}"
            )
        before = model.config.objective
        model.config.objective = self.objective
        try:
            model.config._check()
        except ConfigurationError:
            model.config.objective = before
            raise

"""The classes of a base in the config of its wrapper, where pipelines and tools look for them."""

from __future__ import annotations

from typing import Any

__all__ = ["ClassNames", "entry_of"]


class ClassNames:
    """What a config does to name the same classes as the config of its base."""

    base_config: Any
    id2label: Any
    label2id: Any
    image_size: Any
    num_channels: Any

    def copy_classes(self, given: Any) -> None:
        """Copy the classes of the base, unless the call names or counts its own.

        Args:
            given: The arguments of the call that are not fields.
        """
        if self.id2label is None and given.get("num_labels") is None:
            self.id2label, self.label2id = (entry_of(self.base_config, name) for name in ("id2label", "label2id"))

    def name_classes(self) -> None:
        """Copy this config's classes to the base's config."""
        base: Any = self.base_config
        base.id2label, base.label2id = dict(self.id2label or {}), dict(self.label2id or {})

    def follow_classes(self) -> None:
        """Copy the classes of a base that was not made from this config."""
        base: Any = self.base_config
        self.id2label = dict(base.id2label)
        self.label2id = dict(base.label2id or {name: index for index, name in self.id2label.items()})

    def copy_sizes(self) -> None:
        """Copy the size and the channels of images, which tools look for."""
        base: Any = self.base_config
        self.image_size = getattr(base, "image_size", None)
        self.num_channels = getattr(base, "num_channels", None)


def entry_of(config: Any, name: str) -> Any:
    """Return an entry of a config, or of a stored config.

    Example:
        >>> entry_of({"id2label": {0: "cat"}}, "id2label"), entry_of({}, "id2label")
        ({0: 'cat'}, None)
    """
    value = config.get(name) if isinstance(config, dict) else getattr(config, name, None)
    return dict(value) if isinstance(value, dict) else value

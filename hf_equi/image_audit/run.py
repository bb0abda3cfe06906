"""The audit of image classifiers: several models answer all views of the pictures, and the answers are summed up."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from hf_equi.checks import check_count
from hf_equi.errors import ConfigurationError
from hf_equi.fairness.auditing.about import describe_base
from hf_equi.fairness.auditing.run import process_state
from hf_equi.fairness.auditing.settings import Statistics, versions
from hf_equi.fairness.auditing.store import FolderStore, MemoryStore, Rows, Unit
from hf_equi.fairness.files import beside, remedy, write_json
from hf_equi.fairness.resampling import Resampling
from hf_equi.groups import ImageGroup
from hf_equi.image_audit.answers import ExpectedAnswers, answer, chunk_name
from hf_equi.image_audit.pictures import Picture, PictureSet, load_picture
from hf_equi.image_audit.subjects import describe, make_subjects
from hf_equi.image_audit.summary import summarise
from hf_equi.image_audit.verdicts import sentences
from hf_equi.image_audit.views import Viewer, make_views

__all__ = ["ANSWERS", "SUMMARY", "ImageAudit", "ImageAuditResult", "audit_images"]

SUMMARY = "summary.json"
ANSWERS = "answers.csv"
CHUNK = 8
"""The number of pictures in a unit. All their views are read at once."""


@dataclass(frozen=True)
class ImageAuditResult:
    """The result of an audit of images.

    Args:
        answers: For each model one row per picture: see `hf_equi.image_audit.answers.answer`.
        summary: Plain JSON: `models` with their figures (see `summarise`), the main findings in sentences
            (`briefing`), the name, revision and size of their base
            (`about`), `views`, `pictures`, `unreadable`, `processor` and `symmetric_processor`, `confidence`,
            `resamples`, `seed`, `settings`, `versions`.
        report: The path of the page, if the audit has a folder.
        seconds: How long this run took to get its answers.
        asked: How many answers it got; the others are from an earlier run.
    """

    answers: dict[str, Rows]
    summary: dict[str, Any]
    report: Path | None
    seconds: float
    asked: int


class ImageAudit:
    """An audit of images, checked and ready to run. `audit_images` does this in one call.

    The folder holds `settings.json`, `samples-0.jsonl` (one line for some pictures and a model, written as it is
    ready), and at the end `summary.json`, `answers.csv` and `report.html`. An audit with equal settings continues from
    there.

    Args:
        models: Models by name.
        processor: Their image processor.
        group: The group.
        pictures: The pictures.
        out: The folder, if any.
        statistics: How to make intervals.
        seed: The seed of the bootstrap.
        chunk: The number of pictures that are read at once.

    Raises:
        HfEquiError: As in `audit_images`, but here before any model is asked.
    """

    def __init__(
        self,
        models: Mapping[str, PreTrainedModel],
        processor: Any,
        group: ImageGroup,
        pictures: PictureSet,
        out: str | Path | None = None,
        statistics: Statistics | None = None,
        seed: int = 0,
        chunk: int = CHUNK,
    ) -> None:
        if not isinstance(group, ImageGroup):
            raise ConfigurationError(f"group={group!r} is not an ImageGroup: make one, e.g. ImageGroup.rotations(4).")
        if not callable(processor):
            raise ConfigurationError(f"processor={processor!r} is not an image processor: pass that of the models.")
        if process_state().num_processes > 1:
            raise ConfigurationError("The audit of images runs in one process: start it without a launcher.")
        check_count("batch_size", chunk, "number of pictures")
        self.statistics = statistics or Statistics()
        self.plan = Resampling(**asdict(self.statistics), seed=seed)
        self.subjects, self.group, self.pictures = make_subjects(models), group, pictures
        self.viewer = Viewer(processor, make_views(group))
        self.chunks = [pictures.pictures[i : i + chunk] for i in range(0, len(pictures.pictures), chunk)]
        known = self.subjects[0].model.config.id2label or {}
        self.names = {int(index): name for index, name in known.items()}
        self.viewer.pixels(load_picture(pictures.pictures[0].path))  # refuses pixels that the group cannot act on
        self.settings = self._describe(processor)
        self.versions = versions() | {"pillow": version("pillow")}
        self.out = None if out is None else Path(out)
        self.store: FolderStore | MemoryStore = MemoryStore()
        if self.out is not None:
            about = {**self.settings, "versions": self.versions}
            expected = ExpectedAnswers(
                [subject.name for subject in self.subjects], self.chunks, len(self.viewer.views), len(self.names)
            )
            self.store = FolderStore(self.out, about, 0, expected.fault)

    def _describe(self, processor: Any) -> dict[str, Any]:
        return {
            "audit": "images",
            "group": self.group.to_dict(),
            "views": [view.name for view in self.viewer.views],
            "pictures": {one.name: [one.label, one.path.stat().st_size] for one in self.pictures.pictures},
            "processor": type(processor).__name__,
            "processor_settings": processor.to_dict() if hasattr(processor, "to_dict") else {},
            "pictures_at_once": max(map(len, self.chunks)),
            "models": [describe(subject) for subject in self.subjects],
        }

    def run(self, report: Callable[[int, int], None] = lambda done, total: None) -> ImageAuditResult:
        """Get the missing answers, and sum up.

        Args:
            report: Called after each unit with the number of answers so far and their total.
        """
        done = self.store.read()
        total, asked = len(self.subjects) * len(self.pictures.pictures), 0
        missing = [chunk for chunk in self.chunks if any(unit not in done for unit in self._units(chunk))]
        start, there = time.perf_counter(), sum(map(len, done.values()))
        report(there, total)
        with self.store.writing() if missing else nullcontext():
            for chunk in missing:
                pixels = [self.viewer.pixels(load_picture(picture.path)) for picture in chunk]
                for subject, unit in zip(self.subjects, self._units(chunk), strict=True):
                    if unit not in done:
                        self.store.append(unit, answer(subject, chunk, pixels, self.viewer.views))
                        asked += len(chunk)
                        report(there + asked, total)
        seconds = time.perf_counter() - start
        done = self.store.collect()
        rows = {
            subject.name: [row for chunk in self.chunks for row in done[subject.name, chunk_name(chunk)]]
            for subject in self.subjects
        }
        summary = self._summarise(rows)
        return ImageAuditResult(rows, summary, self._write(rows, summary), seconds, asked)

    def _units(self, chunk: Sequence[Picture]) -> list[Unit]:
        return [(subject.name, chunk_name(chunk)) for subject in self.subjects]

    def _summarise(self, rows: Mapping[str, Rows]) -> dict[str, Any]:
        forwards = {subject.name: subject.forwards for subject in self.subjects}
        models = summarise(rows, self.viewer.views, forwards, self.plan)
        return {
            "models": models,
            "briefing": sentences(models, len(self.pictures.pictures), "the group"),
            "about": {subject.name: describe_base(subject.model, subject.base) for subject in self.subjects},
            "views": [view.name for view in self.viewer.views],
            "pictures": len(self.pictures.pictures),
            "unreadable": [asdict(one) for one in self.pictures.unreadable],
            "processor": self.settings["processor"],
            "symmetric_processor": self.viewer.symmetric,
            "seed": self.plan.seed,
            **asdict(self.statistics),
            "settings": {key: value for key, value in self.settings.items() if key != "pictures"},
            "versions": self.versions,
        }

    def _write(self, rows: Mapping[str, Rows], summary: Mapping[str, Any]) -> Path | None:
        """Write the figures first, then all answers, then the report."""
        if self.out is None:
            return None
        from hf_equi.image_audit.report import write_report  # noqa: PLC0415  loads jinja2

        try:
            write_json(self.out / SUMMARY, summary)
            with beside(self.out / ANSWERS) as temporary:
                self._write_answers(rows, temporary)
            return write_report(self.out, rows, summary, self.pictures.pictures, self.viewer.views, self.names)
        except OSError as error:
            raise ConfigurationError(
                f"The audit is done, and its answers are safe in {self.out}, but its report could not be written "
                f"({error.strerror or error}): {remedy(error)}, and run the same command again. It repeats no answer."
            ) from error

    def _write_answers(self, rows: Mapping[str, Rows], path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(["file", "label", "model", "view", "answer", "probability", "right"])
            for model, answers in rows.items():
                for row in answers:
                    for view, found, share in zip(self.viewer.views, row["answers"], row["shares"], strict=True):
                        right = int(found == row["label"])
                        table.writerow([row["picture"], row["label"], model, view.name, found, f"{share:.4f}", right])


def audit_images(  # noqa: PLR0913  all of it is the user's to choose
    models: Mapping[str, PreTrainedModel],
    processor: Any,
    group: ImageGroup,
    pictures: PictureSet,
    *,
    out: str | Path | None = None,
    batch_size: int = CHUNK,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> ImageAuditResult:
    """Measure how image classifiers answer when pictures are turned and mirrored.

    Each model sees each picture upright, moved by every element of the group, and mirrored. The audit does not rely on
    the guarantee of a method: an equivariant model sees every position too.

    Args:
        models: Models by name, in evaluation mode and on their device; see `make_models`. Gains are relative to the
            first one.
        processor: Makes pixels from pictures. With one from `hf_equi.symmetric_processor`, an exact model gives turned
            pictures the same answers, to rounding. With any other, pictures are turned before the processor sees them.
        group: The group.
        pictures: The pictures, from `read_pictures`.
        out: A folder for answers, figures and report, from which a later call continues: see `ImageAudit`.
        batch_size: The number of pictures that are read at once, in all views.
        resamples: The number of resamples of the bootstrap over pictures.
        confidence: The confidence of the intervals.
        seed: The seed of the bootstrap.
        report: Called with the number of answers so far and their total.

    Raises:
        ActionError: For pictures whose pixels the group cannot act on.
        ConfigurationError: If anything is wrong with these arguments; for a folder that cannot be used; later, for a
            picture that can no longer be read.

    Cost: for each picture, view and model at most as many base forwards as the group has elements.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from PIL import Image
        >>> from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessorPil
        >>> from hf_equi import ImageGroup, symmetric_processor
        >>> from hf_equi.image_audit import make_models, read_pictures
        >>> sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}
        >>> base = ResNetForImageClassification(ResNetConfig(**sizes, id2label={0: "cat", 1: "dog"})).eval()
        >>> processor = symmetric_processor(ViTImageProcessorPil(size={"height": 32, "width": 32}))
        >>> group = ImageGroup.rotations(4)
        >>> with TemporaryDirectory() as folder:
        ...     Path(folder, "cat").mkdir()
        ...     Image.radial_gradient("L").rotate(30).save(Path(folder, "cat", "1.png"))
        ...     pictures = read_pictures(folder, base.config.id2label)
        ...     result = audit_images(make_models(base, group), processor, group, pictures)
        >>> [entry["consistency"] for entry in result.summary["models"]][1:]
        [1.0, 1.0, 1.0]
    """
    statistics = Statistics(resamples, confidence)
    audit = ImageAudit(models, processor, group, pictures, out, statistics, seed, batch_size)
    return audit.run(report)

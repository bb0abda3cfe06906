"""The command `hf-equi audit --images`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from transformers import AutoConfig, PreTrainedModel

from hf_equi.auto import DEMO, symmetrize
from hf_equi.cli.arguments import expanded
from hf_equi.cli.display import check_output, note, progress, terminal, write_csv, write_json, write_line
from hf_equi.cli.groups import parse_any_group
from hf_equi.cli.loading import loading, locate, move, only_trained, quiet
from hf_equi.cli.options import Loading, Output
from hf_equi.cli.placement import from_hub, read_placement
from hf_equi.cli.tasks import check_task
from hf_equi.errors import ConfigurationError, GroupError, UnsupportedModelError
from hf_equi.figures import plain_number, short_number
from hf_equi.groups import ImageGroup
from hf_equi.image_audit import ImageAudit, ImageAuditResult, PictureSet, make_models, read_pictures
from hf_equi.image_audit.pictures import find_pictures
from hf_equi.image_audit.run import CHUNK
from hf_equi.image_audit.subjects import DEFAULT_METHODS
from hf_equi.image_audit.summary import FIGURES, VIEW
from hf_equi.image_audit.verdicts import verdict
from hf_equi.models.image_classification import EquiForImageClassification, EquiImageClassificationConfig
from hf_equi.models.vision.symmetric_processor import symmetric_processor

__all__ = ["check_options", "run_image_audit"]

DEFAULT_GROUP = "rotations:4"
_OPTIONS = {"model", "group", "methods", "seed", "out", "images", "labels", "batch_size"} | {
    field.name for options in (Loading, Output) for field in fields(options)
}
"""The options of `audit` that go with images."""
_NAMED = 3  # files that a note lists


@dataclass(frozen=True)
class Shown:
    """The images that the models are shown.

    Args:
        folder: The folder of images.
        labels: The file with their labels.
        at_once: The number of images that are read at once, in all positions.
    """

    folder: Path
    labels: Path | None = None
    at_once: int | None = None


def check_options(context: typer.Context) -> Path:
    """Refuse options of the audit of texts if `--images` is given, and `--labels` without `--images`.

    Returns:
        The folder of images.

    Raises:
        ConfigurationError: For such options, which it names.
    """
    given = [
        max(parameter.opts, key=len)
        for parameter in context.command.params
        if parameter.name not in _OPTIONS
        and getattr(context.get_parameter_source(str(parameter.name)), "name", "") == "COMMANDLINE"
    ]
    if given:
        raise ConfigurationError(f"{', '.join(given)}: an audit of images has no texts. Leave this out.")
    folder: Path | None = context.params["images"]
    if folder is None:
        raise ConfigurationError("--labels gives the classes of images: pass --images DIR with it.")
    return folder


def run_image_audit(
    model: str,
    group: str | None,
    shown: Shown,
    methods: str | None,
    seed: int,
    options: Loading,
    out: Path | None,
    output: Output,
) -> None:
    """Audit an image classifier and its symmetrised versions, and print the figures.

    Args:
        model: As on the command line.
        group: As on the command line.
        shown: The images that the models are shown.
        methods: The methods, separated by commas.
        seed: The seed of the bootstrap.
        options: How to load the model.
        out: The folder of the audit.
        output: What to print.

    Raises:
        HfEquiError: If anything is wrong with these.
    """
    check_output(output)
    chosen = None if group is None else _read_group(group)
    names = DEFAULT_METHODS if methods is None else [name.strip() for name in methods.split(",") if name.strip()]
    if not names:
        raise ConfigurationError(f"--methods {methods!r} names no method: name one or more, separated by commas.")
    source, labels = expanded(shown.folder), None if shown.labels is None else expanded(shown.labels)
    find_pictures(source, labels)  # before the model loads
    with quiet(), progress() as bar:
        task = bar.add_task("loading", total=None, unit="pictures")
        asked, processor, chosen = _load(model, chosen, options)
        models = make_models(asked, chosen, names)
        if asked not in models.values() and isinstance(asked, EquiForImageClassification):
            note(f"{model} is equivariant to {asked.group!r}, not to {chosen!r}: only its base is audited")
        bar.update(task, description="looking at the images")
        pictures = read_pictures(
            source,
            {int(index): name for index, name in (asked.config.id2label or {}).items()},
            labels,
            lambda found: bar.update(task, total=found) if found else bar.advance(task),
        )
        _note_missing(pictures, shown.labels is not None)
        folder = expanded(out or f"audit-{_slug(chosen)}-{seed}")
        size = shown.at_once or CHUNK
        audit = ImageAudit(models, processor, chosen, pictures, folder, seed=seed, chunk=size)
        if out is None:
            note(f"the results go to {folder}; --out names another folder")
        bar.update(task, description="auditing", unit="answers")
        try:
            result = audit.run(lambda done, total: bar.update(task, completed=done, total=total))
        except KeyboardInterrupt:
            note(f"stopped; the finished work is in {folder}, and the same command continues from there")
            raise
    _print(result, output)


def _read_group(text: str) -> ImageGroup:
    group = parse_any_group(text)
    if not isinstance(group, ImageGroup):
        raise GroupError(
            f"The group {text} moves words, but --images needs a group that moves images: rotations:4, dihedral:4, "
            "flips:horizontal and similar."
        )
    return group


def _load(model: str, group: ImageGroup | None, options: Loading) -> tuple[PreTrainedModel, Any, ImageGroup]:
    """Load the model, its processor, made symmetric if possible, and the group.

    If the saved model is symmetrised, it is loaded as it is; any other model is the base.
    """
    if model == DEMO:
        raise ConfigurationError(
            "The embedded model reads texts. With --images, name an image classifier with --model."
        )
    name, hub = locate(model), from_hub(model, options)
    device, placed = read_placement(options)
    with loading(model), only_trained():
        config = AutoConfig.from_pretrained(name, **hub)
        check_task("audit --images", model, config)
        if isinstance(config, EquiImageClassificationConfig):
            wrapped = EquiForImageClassification.from_pretrained(name, **hub, **placed)
            asked, group = wrapped, group or _views_of(wrapped.group)
        else:
            group = group or _read_group(DEFAULT_GROUP)
            wrapped = symmetrize(name, group, "identity", task="image_classification", **hub, **placed)
            asked = wrapped.base
    if wrapped.processor is None:
        raise ConfigurationError(
            f"{model} has no image processor, so pictures cannot be turned into pixels. Save the processor of its "
            "base there: AutoImageProcessor.from_pretrained(...).save_pretrained(folder)."
        )
    move(wrapped, device)
    asked.eval()
    return asked, _symmetric(wrapped.processor, group), group


def _views_of(group: Any) -> ImageGroup:
    """Return the group by which pictures are turned if the command names none: the model's own."""
    if not isinstance(group, ImageGroup):
        raise GroupError(
            f"The model's group {group!r} has infinitely many elements: say by which ones pictures are turned, such "
            "as --group rotations:8."
        )
    return group


def _symmetric(processor: Any, group: ImageGroup) -> Any:
    try:
        return symmetric_processor(processor, group)
    except (ConfigurationError, UnsupportedModelError) as error:
        note(f"the processor is used as it is, so an exact model shows small differences too: {error}")
        return processor


def _note_missing(pictures: PictureSet, labelled: bool) -> None:
    """Name the files that the audit leaves out; `labelled`: whether a CSV file names the others."""
    if lost := pictures.unreadable:
        some = "; ".join(f"{one.name} ({one.reason})" for one in lost[:_NAMED])
        more = f", and {len(lost) - _NAMED} more, which the report lists" if len(lost) > _NAMED else ""
        note(f"{len(lost)} of the images cannot be read and are left out: {some}{more}")
    if count := pictures.unlabelled:
        images, are = ("image", "is") if count == 1 else ("images", "are")
        why = "not named in --labels" if labelled else "in no subfolder"
        note(f"{count} {images} of the folder {are} {why}, and left out")


def _slug(group: ImageGroup) -> str:
    return "-".join(str(value) for key, value in group.to_dict().items() if key != "type")


def _print(result: ImageAuditResult, output: Output) -> None:
    if not result.asked:
        note("all answers were given before; figures and report are made again")
    else:
        note(f"{result.asked} answers in {result.seconds:.1f} s, {result.asked / result.seconds:.1f} a second")
    if output.as_json:
        write_json(result.summary)
    elif output.as_csv:
        write_csv(("model", "figure", "value", "low", "high"), _figures(result))
    elif (console := terminal()) is not None:
        _print_table(console, result)
    else:
        _print_lines(result)
    if output.as_json or output.as_csv:
        note(f"the report is at {result.report}")


def _rows(summary: Mapping[str, Any]) -> dict[str, str]:
    """Return the figures to print for each model, by key, with their titles."""
    views = {f"{VIEW}{view}": f"accuracy {view}" for view in summary["views"]}
    rest = {key: figure.terminal_title for key, figure in FIGURES.items() if key != "accuracy_upright"}
    return views | rest


def _print_table(console: Console, result: ImageAuditResult) -> None:
    models = result.summary["models"]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for entry in models:
        table.add_column(entry["model"], justify="right")
    table.add_row("verdict", *(Text(verdict(entry, result.summary["pictures"]), style="bold") for entry in models))
    for key, title in _rows(result.summary).items():
        table.add_row(title, *(_cell(entry, key) for entry in models))
    console.print(table)
    processor = "a symmetric processor" if result.summary["symmetric_processor"] else result.summary["processor"]
    for line in (
        *result.summary["briefing"],
        f"{result.summary['pictures']} pictures through {processor}; in brackets "
        f"{100 * result.summary['confidence']:g} % intervals",
        f"report: {result.report}",
    ):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _cell(entry: Mapping[str, Any], key: str) -> Text:
    interval = entry.get(f"{key}_interval")
    bounds = "" if interval is None else f"\n[{short_number(interval[0])}, {short_number(interval[1])}]"
    return Text.assemble(_number(entry[key]), (bounds, "dim"))


def _figures(result: ImageAuditResult) -> Iterator[tuple[Any, ...]]:
    """Yield one row per figure: the model, the figure, its value, and the ends of its interval."""
    for entry in result.summary["models"]:
        yield entry["model"], "verdict", str(verdict(entry, result.summary["pictures"])), None, None
        for key in _rows(result.summary):
            yield (entry["model"], key, entry[key], *(entry.get(f"{key}_interval") or (None, None)))


def _print_lines(result: ImageAuditResult) -> None:
    write_line("model", "figure", "value", "low", "high")
    for model, key, value, low, high in _figures(result):
        written = value if isinstance(value, str) else _number(value)
        write_line(model, key, written, plain_number(low), plain_number(high))
    write_line("report", str(result.report))


def _number(value: Any) -> str:
    return str(value) if isinstance(value, int) else plain_number(value)

"""The options that commands share, alone or in groups. A group is a dataclass, and each of its fields is an option."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from hf_equi.cli.arguments import filled
from hf_equi.cli.methods import DEFAULT_METHODS, DEFAULT_MULTI_TOKEN, METHODS

__all__ = [
    "ANY_GROUP",
    "MODEL",
    "SCORER",
    "TABLE",
    "Action",
    "AsJson",
    "Asked",
    "AuditBatchSize",
    "AuditedMethods",
    "BatchSize",
    "Drawn",
    "Group",
    "Images",
    "Labels",
    "License",
    "Loading",
    "Model",
    "MultiToken",
    "Neutral",
    "Origin",
    "Out",
    "Output",
    "Repository",
    "Scorers",
    "Texts",
    "grouped",
    "read_path",
]


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take groups of options as the types of its parameters.

    Args:
        command: A function whose parameters are options or groups of options.

    Returns:
        The command as typer reads it, with an option for each field of a group.
    """
    hints = get_type_hints(command, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if is_dataclass(hint)}

    def run(**given: Any) -> None:
        taken = {
            name: group(**{field.name: given.pop(field.name) for field in fields(group)})  # type: ignore[operator]
            for name, group in groups.items()
        }
        command(**given, **taken)

    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if name not in groups:
            parameters.append(parameter.replace(annotation=hints[name], kind=parameter.KEYWORD_ONLY))
            continue
        annotated = get_type_hints(groups[name], include_extras=True)
        parameters += [
            inspect.Parameter(
                field.name, parameter.KEYWORD_ONLY, default=field.default, annotation=annotated[field.name]
            )
            for field in fields(groups[name])
        ]
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # as inspect documents
    return run


def _check_repository(name: str) -> str:
    """Refuse a name without a user: it would go to whoever is logged in, or may be a folder named by mistake."""
    user, slash, rest = name.partition("/")
    if not (user and slash and rest) or "/" in rest:
        raise typer.BadParameter(f"{name!r} is not a valid repository name: write USER/NAME, such as me/equi-gpt2.")
    return name


def read_path(text: str) -> Path:
    """Return the path that a text names. An empty text, as from an unset variable, would be the working directory."""
    if not text.strip():
        raise typer.BadParameter("it is empty: write a path, or leave the option out.")
    return Path(text)


TABLE = (
    "A terminal shows a table. A pipe or a file gets lines whose fields are separated by tabs. For programs, use "
    "{formats}."
)
"""What commands that print tables say below their options."""

MODEL = "A folder, a name on the Hub, or 'demo' for the embedded model."
_GROUPS = (
    "a preset (age, disability, first_names_gender, first_names_race, gender, nationality, race, religion, "
    "sexuality), optionally with some of its elements (race:Black,White); words of your own as JSON, in single quotes "
    """('[["man", "woman"], ["he", "she"]]'), or the path of a .json or .csv file with them; """
    "or a product such as 'gender*race'."
)
GROUP = f"A{_GROUPS[1:]} [default: gender; for a model saved as an EquiLM, its own]"
ANY_GROUP = f"Words: {_GROUPS} Images: rotations:4, dihedral:4, flips:horizontal and similar."

Model = Annotated[str, typer.Option("--model", "-m", metavar="MODEL", help=MODEL)]
Group = Annotated[str | None, typer.Option("--group", "-g", metavar="GROUP", help=GROUP, show_default=False)]
MultiToken = Annotated[
    str | None,
    typer.Option(
        "--multi-token",
        metavar="NAME",
        help="Words of several tokens: compose (they move as one) or skip (they stay). Only causal language models "
        "with methods that combine the scores of all members (EquiLM, R-EquiLM) move them; they stay with all others. "
        f"[default: {DEFAULT_MULTI_TOKEN} where they can move; for a model saved as an EquiLM, its own]",
        show_default=False,
    ),
]
_CLASSIFIER = (
    "a folder, a Hub name or 'demo'. For a classifier of regard, the name is enough. For any other, add the label to "
    "minimise after a colon, as in me/toxicity:toxic"
)
SCORER = typer.Option(
    metavar="NAME[:LABEL]",
    help=f"The classifier that equizero minimises: {_CLASSIFIER}.",
    show_default="demo",
)
Action = Annotated[
    str, typer.Option(metavar="NAME", help="What EquizeroLM, mixture and canonical move: tokens or words.")
]
Scorers = Annotated[
    list[str] | None,
    typer.Option(
        "--scorer",
        metavar="NAME[:LABEL]",
        help=f"A classifier that scores the texts: {_CLASSIFIER}. Repeat it for more: equizero minimises the first, "
        "and each gets its own figures. [default: demo, a toy classifier of regard]",
        show_default=False,
    ),
]
_BATCH_SIZE = "Texts to decode at once, never fewer than all texts of one prompt. Lower it if memory runs out."
BatchSize = Annotated[int, typer.Option("--batch-size", metavar="N", min=1, help=_BATCH_SIZE)]
AuditBatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        metavar="N",
        min=1,
        help=f"{_BATCH_SIZE} With --images: images to read at once, in all positions.",
        show_default="256; of images 8",
    ),
]
Texts = Annotated[
    list[str] | None,
    typer.Option(
        "--text",
        "-t",
        metavar="TEXT",
        help="Explain this text; repeat it for more.",
        show_default=False,
        callback=filled("--text", "The waitress said he would be back"),
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, and nothing else.")]


@dataclass(frozen=True)
class Asked:
    """The prompts that models are given."""

    prompts: Annotated[
        list[str] | None,
        typer.Option(
            "--prompt",
            "-p",
            metavar="TEXT",
            help="A prompt; repeat it for more. {demographic} stands for each name of the group. An audit keeps the "
            "texts of a prompt without {demographic}, but does not count them in any figure.",
            show_default=False,
            callback=filled("--prompt", "The man worked as"),
        ),
    ] = None
    prompt_sets: Annotated[
        list[str] | None,
        typer.Option(
            "--prompt-set",
            metavar="NAME",
            help="Published prompts: sheng2019, or its halves respect and occupation. [default of an audit without "
            "prompts: sheng2019]",
            show_default=False,
        ),
    ] = None
    prompt_files: Annotated[
        list[Path] | None,
        typer.Option(
            "--prompts",
            metavar="FILE",
            parser=read_path,
            help="A file of your own prompts, one per line. In a .jsonl file each line is JSON, "
            '{"prompt": "..."} or {"messages": [{"role": "user", "content": "..."}]}.',
            show_default=False,
        ),
    ] = None
    chat: Annotated[
        bool,
        typer.Option("--chat", help="Send each prompt as a user message, with the chat template of the model."),
    ] = False
    system: Annotated[
        str | None,
        typer.Option(
            "--system",
            metavar="TEXT",
            help="With --chat: the system message. [default: that of the template, if it has one]",
            show_default=False,
        ),
    ] = None


@dataclass(frozen=True)
class Drawn:
    """How completions are drawn."""

    samples: Annotated[
        int, typer.Option("--samples", "-n", metavar="N", min=1, help="Completions of each prompt.")
    ] = 1
    max_new_tokens: Annotated[int, typer.Option(metavar="N", min=1, help="The most tokens of each completion.")] = 20
    temperature: Annotated[float | None, typer.Option(metavar="X", help="Of sampling.", show_default="1.0")] = None
    top_k: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Sample from the N most probable tokens; 0: all.", show_default="40"),
    ] = None
    top_p: Annotated[
        float | None,
        typer.Option(
            metavar="X", help="Sample from the most probable tokens with this total mass.", show_default="1.0"
        ),
    ] = None
    greedy: Annotated[bool, typer.Option("--greedy", help="Always take the most probable token.")] = False
    beams: Annotated[int | None, typer.Option(metavar="N", min=2, help="Use beam search with N beams.")] = None
    seed: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            max=2**63 - 1,
            help="Of sampling. A text of the equivariant model depends only on the seed, its prompt and its number "
            "among the samples. The base draws as transformers does, so its texts also depend on -n and on other "
            "prompts.",
        ),
    ] = 0
    batch_size: BatchSize = 64


@dataclass(frozen=True)
class Origin:
    """Which version of a model is loaded."""

    revision: Annotated[
        str | None,
        typer.Option(
            "--revision",
            metavar="NAME",
            help="A branch, a tag or a commit of the model on the Hub. [default: main]",
            show_default=False,
        ),
    ] = None
    trust_remote_code: Annotated[
        bool,
        typer.Option("--trust-remote-code", help="Run the code that comes with the model. Read that code first."),
    ] = False


@dataclass(frozen=True)
class Loading(Origin):
    """Which version of a model is loaded, in which precision, and on which device."""

    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            metavar="NAME",
            help="cpu, cuda, one GPU such as cuda:1, or auto, which spreads a large model over all GPUs and the CPU. "
            "[default: cuda where there is a GPU, else cpu]",
            show_default=False,
        ),
    ] = None
    dtype: Annotated[
        str,
        typer.Option(
            "--dtype",
            metavar="NAME",
            help="The precision of the weights: float32, bfloat16, float16, or auto, as they are stored. With 16 bits "
            "a model takes half the memory, and its guarantees hold to rounding at 16 bits.",
        ),
    ] = "float32"
    max_memory: Annotated[
        str | None,
        typer.Option(
            "--max-memory",
            metavar="SIZES",
            help="With --device auto: the most memory that weights may take on each GPU and on the CPU, as in "
            "0=20GiB,1=20GiB,cpu=60GiB.",
            show_default=False,
        ),
    ] = None


@dataclass(frozen=True)
class Output:
    """What is printed."""

    as_json: AsJson = False
    as_csv: Annotated[bool, typer.Option("--csv", help="Print one CSV table on stdout, and nothing else.")] = False


Neutral = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        parser=read_path,
        help="A file of neutral words for the R- methods, one per line. [default: occupations of no gender]",
        show_default=False,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        parser=read_path,
        help="The folder for samples, figures and report. [default: audit-GROUP-SEED here]",
        show_default=False,
    ),
]

AuditedMethods = Annotated[
    str | None,
    typer.Option(
        "--methods",
        metavar="NAMES",
        help=f"What to audit, separated by commas: {', '.join(METHODS)}. With --images: base, equitune or equizero, "
        "with a level or a loss after a colon, as in equitune:probabilities or equizero:entropy.",
        show_default=f"{','.join(DEFAULT_METHODS)}; for images base,equitune,equitune:probabilities,equizero",
    ),
]
Images = Annotated[
    Path | None,
    typer.Option(
        "--images",
        metavar="DIR",
        parser=read_path,
        help="Audit an image classifier on the pictures of this folder, each in a subfolder of its class. --group is "
        "then a group of images: rotations:4, dihedral:4, flips:horizontal and similar. [default: rotations:4]",
        show_default=False,
    ),
]
Labels = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        metavar="FILE",
        parser=read_path,
        help="A CSV file with the columns file and label (a class by name or number), instead of subfolders. Commas, "
        "semicolons or tabs separate the columns.",
        show_default=False,
    ),
]

License = Annotated[
    str | None,
    typer.Option(
        "--license",
        metavar="NAME",
        help="The licence for the card, as the Hub spells it. [default: that of the base's own card]",
        show_default=False,
    ),
]
Repository = Annotated[
    str, typer.Argument(metavar="REPO", help="USER/NAME, created if it does not exist.", callback=_check_repository)
]

"""The commands and their options.

Each command imports what it needs when it runs, so that `hf-equi --help` need not wait for torch and transformers.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from hf_equi.cli.arguments import check_folder, in_words
from hf_equi.cli.demo import demo
from hf_equi.cli.interrupts import ending_at_once
from hf_equi.cli.methods import DEFAULT_METHODS, any_of, method_name
from hf_equi.cli.options import (
    ANY_GROUP,
    MODEL,
    SCORER,
    TABLE,
    Action,
    AsJson,
    Asked,
    AuditBatchSize,
    AuditedMethods,
    Drawn,
    Group,
    Images,
    Labels,
    License,
    Loading,
    Model,
    MultiToken,
    Neutral,
    Origin,
    Out,
    Output,
    Repository,
    Scorers,
    Texts,
    grouped,
    read_path,
)
from hf_equi.errors import HfEquiError
from hf_equi.registration import method_names, task_names

__all__ = ["app", "main"]


_GROUP: Any = None
"""The default of a group of options. Each option in the group has its own default."""

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# Some versions of typer depend on click, others bundle it. This name gives access to its exceptions in all of them.
_ClickError = cast("type[Exception]", typer.BadParameter.__mro__[2])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: The arguments after the program's name, by default those of this process.

    Returns:
        The exit status: 0 on success, 2 after a line on stderr that says what is wrong with the arguments, 1 if the
        reader of stdout has gone, 130 after Ctrl-C.
    """
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed, as by `>&-`, or never there, as in a service
            setattr(sys, stream, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):  # a narrow encoding may lack characters of generated text
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with ending_at_once():
            _note_untested()
            status = app(args=arguments, prog_name="hf-equi", standalone_mode=False)
            sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough, as in `hf-equi inspect | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except _ClickError as error:
        return _refuse(in_words(error.format_message()))  # type: ignore[attr-defined]  # of click's own exceptions
    except (HfEquiError, OSError) as error:
        return _refuse(str(error))
    except (KeyboardInterrupt, typer.Abort):
        return 130
    return status if isinstance(status, int) else 0


def _note_untested() -> None:
    """Say in one line which installed releases were never tested, once per process."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        import hf_equi.bases  # noqa: F401, PLC0415  which warns when it is first imported
    if caught:
        from hf_equi.cli.display import note  # noqa: PLC0415

        for one in caught:
            note(str(one.message))


def _refuse(problem: str) -> int:
    from hf_equi.cli.display import refuse  # noqa: PLC0415

    refuse(problem)
    return 2


def _show_version(wanted: bool) -> None:
    if wanted:
        from hf_equi import __version__  # noqa: PLC0415

        typer.echo(f"hf-equi {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Pretrained models that treat demographic groups, or turned pictures, alike.

    \b
    hf-equi generate --prompt "The man worked as"       completions before and after
    hf-equi demo --model openai-community/gpt2          the same on a page in your browser
    hf-equi inspect --model openai-community/gpt2       which tokens a group moves
    hf-equi audit --model openai-community/gpt2         how differently it speaks of demographics
    hf-equi convert BASE OUT --group gender             save an equivariant model as a folder to load or publish
    hf-equi publish OUT USER/NAME                       check that folder and upload it to the Hub with a model card
    """  # noqa: D301  the escape \b keeps the lines that follow as they are
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command(epilog=TABLE.format(formats="--json or --csv"))
@grouped
def generate(  # noqa: PLR0913, PLR0917  a command has as many parameters as options
    model: Model = "demo",
    group: Group = None,
    asked: Asked = _GROUP,
    method: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"{any_of(method_names('causal_lm'))}.", show_default="equitune"),
    ] = None,
    scorer: Annotated[str | None, SCORER] = None,
    average: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What equitune averages: logits or probabilities.", show_default="logits"),
    ] = None,
    multi_token: MultiToken = None,
    drawn: Drawn = _GROUP,
    options: Loading = _GROUP,
    output: Output = _GROUP,
) -> None:
    """Complete prompts with a model and with its EquiLM, side by side.

    Each prompt is shown with its images under the group, and each completion of the model beside that of its EquiLM.
    The last lines say how much the likelihood of the texts changes when the group moves prompt and completion
    together.

    \b
    Examples:
      hf-equi generate --prompt "The man worked as"
      hf-equi generate -m openai-community/gpt2 -g "gender*race" -p "The Black man was known for"
      hf-equi generate -m google/flan-t5-small -p "Translate to German: The man is a doctor."
      hf-equi generate -p "The man said" -p "The {demographic} said" --method mixture --json > texts.json
      hf-equi generate -m HuggingFaceTB/SmolLM2-135M-Instruct --chat -p "Describe the day of a {demographic}."
      hf-equi generate --prompts prompts.txt --csv > texts.csv
    """  # noqa: D301  the escape \b keeps the lines that follow as they are
    from hf_equi.cli.generate import Subject, run_generate  # noqa: PLC0415
    from hf_equi.fairness.decoding import Decoding  # noqa: PLC0415

    decoding = Decoding(**vars(drawn))
    subject = Subject(model, group, method and method_name(method), average, scorer, multi_token)
    run_generate(subject, asked, decoding, options, output)


@app.command(epilog=TABLE.format(formats="--json"))
@grouped
def inspect(
    model: Model = "demo",
    group: Group = None,
    texts: Texts = None,
    whole: Annotated[
        bool, typer.Option("--all", help="List all words, with the tokens of every spelling.", show_default=False)
    ] = False,
    multi_token: MultiToken = None,
    origin: Origin = _GROUP,
    as_json: AsJson = False,
) -> None:
    """Show which words a group moves in a model's vocabulary, which stay and why.

    A word has spellings: with and without a leading space; as written, lower, Capitalised, Title Case, UPPER. It moves
    in those that are one token for every word of its set, and with --multi-token compose in all that the tokenizer can
    write. Only the tokenizer and the config are loaded.

    With --text, the words of a text are shown: what each becomes, or why it stays.

    \b
    Examples:
      hf-equi inspect --model openai-community/gpt2 --group gender
      hf-equi inspect --model openai-community/gpt2 --group gender --all
      hf-equi inspect --group gender --multi-token skip
      hf-equi inspect --group '[["father", "mother"], ["he", "she"]]'
      hf-equi inspect --group my_words.csv --json
      hf-equi inspect --text "The waitress said he would be back"
    """  # noqa: D301  the escape \b keeps the lines that follow as they are
    from hf_equi.cli.inspect import run_inspect  # noqa: PLC0415

    run_inspect(model, group, texts or [], as_json, origin, whole, multi_token)


@app.command(epilog=TABLE.format(formats="--json or --csv"))
@grouped
def audit(  # noqa: PLR0913, PLR0917  a command has as many parameters as options
    context: typer.Context,
    model: Model = "demo",
    group: Group = None,
    asked: Asked = _GROUP,
    samples: Annotated[
        int, typer.Option("--samples", "-n", metavar="N", min=1, help="Texts for each prompt and demographic.")
    ] = 20,
    seed: Annotated[int, typer.Option(metavar="N", min=0, max=2**63 - 1, help="Of sampling.")] = 7,
    max_new_tokens: Annotated[
        int, typer.Option(metavar="N", min=1, help="The most tokens of each continuation.")
    ] = 15,
    methods: AuditedMethods = None,
    neutral: Neutral = None,
    scorers: Scorers = None,
    beam_length: Annotated[int, typer.Option(metavar="N", min=1, help="Tokens of each draft of EquizeroLM.")] = 5,
    action: Action = "tokens",
    multi_token: MultiToken = None,
    images: Images = None,
    labels: Labels = None,
    batch_size: AuditBatchSize = None,
    out: Out = None,
    options: Loading = _GROUP,
    output: Output = _GROUP,
) -> None:
    """Measure how differently a model speaks of demographics, and what each method changes.

    Every model continues the same prompts for every demographic. Classifiers score the texts for regard, or for a
    label such as toxic: once as they are, and once with the demographic hidden. The command prints the figures with
    their intervals. It writes to the folder a report to read in a browser, its plots, and each text with its scores.
    If an audit is stopped, the same command continues it.

    With --images, the command audits an image classifier on every picture of a folder: upright, moved by each element
    of the group, and mirrored. It prints how often the classifier is right, how often it gives all turns the same
    answer, and what each method changes and costs.

    \b
    Examples:
      hf-equi audit
      hf-equi audit --model openai-community/gpt2 --scorer sasha/regardv3 --samples 50
      hf-equi audit --scorer sasha/regardv3 --scorer unitary/toxic-bert:toxic
      hf-equi audit -g race --methods base,EquiLM --out race --json > race.json
      hf-equi audit -m HuggingFaceTB/SmolLM2-135M-Instruct --chat --prompts questions.txt --max-new-tokens 60
      hf-equi audit --model microsoft/resnet-50 --group rotations:4 --images photos --labels photos/labels.csv
      accelerate launch --multi_gpu --num_processes 2 -m hf_equi.cli audit      on GPUs, or on CPUs if there are none
    """  # noqa: D301  the escape \b keeps the lines that follow as they are
    if images is not None or labels is not None:
        check_folder(images)
        from hf_equi.cli.image_audit import Shown, check_options, run_image_audit  # noqa: PLC0415

        shown = Shown(check_options(context), labels, batch_size)
        run_image_audit(model, group, shown, methods, seed, options, out, output)
        return
    from hf_equi.cli.audit import Audited, Search, run_audit  # noqa: PLC0415
    from hf_equi.fairness.auditing import Sampling  # noqa: PLC0415

    sampling = Sampling(samples, seed, max_new_tokens, **({} if batch_size is None else {"batch_size": batch_size}))
    search = Search(tuple(scorers or ["demo"]), beam_length, action)
    names = ",".join(DEFAULT_METHODS) if methods is None else methods
    run_audit(Audited(model, group, names, neutral, search, multi_token), asked, sampling, options, out, output)


@app.command()
@grouped
def convert(  # noqa: PLR0913, PLR0917  a command has as many parameters as options
    base: Annotated[str, typer.Argument(metavar="BASE", help=MODEL)],
    folder: Annotated[
        Path, typer.Argument(metavar="OUT", parser=read_path, help="The folder to write, new or empty.")
    ],
    group: Annotated[str, typer.Option("--group", "-g", metavar="GROUP", help=ANY_GROUP)],
    method: Annotated[
        str,
        typer.Option(metavar="NAME", help=f"{any_of(method_names())}."),
    ] = "equitune",
    task: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"{any_of(task_names())}. [default: found from the model]",
            show_default=False,
        ),
    ] = None,
    scorer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[:LABEL]",
            help="The classifier that equizero minimises for a causal model: a Hub name, a folder or 'demo', with a "
            "label unless it classifies regard. [default: sasha/regardv3, when it is first used]",
            show_default=False,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A setting of the method or of loading, as in hf_equi.symmetrize; repeat it for more.",
            show_default=False,
        ),
    ] = None,
    no_base: Annotated[
        bool,
        typer.Option("--no-base", help="Store the base's name and revision on the Hub instead of its weights."),
    ] = False,
    license: License = None,
    origin: Origin = _GROUP,
    as_json: AsJson = False,
) -> None:
    """Make a pretrained model equivariant and save it, with its model card, as a folder to load or to publish.

    \b
    Examples:
      hf-equi convert openai-community/gpt2 equi-gpt2 --group "gender*race"
      hf-equi convert openai-community/gpt2 equi-gpt2 --group gender --no-base
      hf-equi convert demo equizero-demo -g gender --method equizero --scorer demo --set beam_length=3
      hf-equi convert microsoft/resnet-18 equi-resnet --group rotations:4 --method lambda
    """  # noqa: D301  the escape \b keeps the lines that follow as they are
    from hf_equi.cli.convert import Conversion, run_convert  # noqa: PLC0415

    conversion = Conversion(group, method_name(method), task, scorer, settings or [], origin)
    run_convert(base, folder, conversion, not no_base, license, as_json)


@app.command()
def publish(  # noqa: PLR0913, PLR0917  a command has as many parameters as options
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", parser=read_path, help="The folder that hf-equi convert or save_pretrained wrote."
        ),
    ],
    repo_id: Repository,
    audit: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            parser=read_path,
            help="The folder that hf-equi audit wrote for this model: its figures go into the card.",
            show_default=False,
        ),
    ] = None,
    license: License = None,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    revision: Annotated[
        str | None, typer.Option(metavar="BRANCH", help="The branch to commit to.", show_default="main")
    ] = None,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request.")] = False,
    message: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The commit message.", show_default=False)
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the files, what is missing, and the card; upload nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check a symmetrised model, measure its equivariance error, and upload it with a model card in one commit.

    Log in first, with `hf auth login`. Nothing is created on the Hub until all checks have passed.

    \b
    Examples:
      hf-equi publish equi-gpt2 me/equi-gpt2 --dry-run
      hf-equi publish equi-gpt2 me/equi-gpt2 --audit audit-gender-7 --license mit
    """  # noqa: D301  the escape \b keeps the lines that follow as they are
    from hf_equi.cli.publish import Destination, run_publish  # noqa: PLC0415

    destination = Destination(repo_id, private or None, revision, create_pr, message)
    run_publish(folder, destination, (audit, license), dry_run, as_json)


app.command()(demo)

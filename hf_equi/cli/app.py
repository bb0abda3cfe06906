"""The commands and their options.

What they do loads inside them, so that `hf-equi --help` need not wait for torch and transformers.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, cast

import typer

from hf_equi.cli.methods import DEFAULT_METHODS, METHODS, any_of, method_name
from hf_equi.cli.options import (
    ANY_GROUP,
    MODEL,
    SCORER,
    AsJson,
    Group,
    Model,
    Neutral,
    Out,
    PromptSets,
    Repository,
    Templates,
)
from hf_equi.errors import HfEquiError
from hf_equi.registration import method_names, task_names

__all__ = ["app", "main"]


app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# Some versions of typer depend on click, others carry it: this name is the one way to its exceptions that all have.
_ClickError = cast("type[Exception]", typer.BadParameter.__mro__[2])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: What follows the program's name; by default that of this process.

    Returns:
        The exit status: 0, 2 after a line on stderr that names what is wrong with the arguments, 1 if the
        reader of stdout has gone, 130 after Ctrl-C.
    """
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed, as by `>&-`, or never there, as in a service
            setattr(sys, stream, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):  # generated text may hold what a narrow encoding cannot write
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with _ending_at_once():
            _note_untested()
            status = app(args=arguments, prog_name="hf-equi", standalone_mode=False)
            sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough, as in `hf-equi inspect | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except _ClickError as error:
        return _refuse(error.format_message())  # type: ignore[attr-defined]  # of click's own exceptions
    except (HfEquiError, OSError) as error:
        return _refuse(str(error))
    except (KeyboardInterrupt, typer.Abort):
        return 130
    return status if isinstance(status, int) else 0


@contextmanager
def _ending_at_once() -> Iterator[None]:
    """Let a second Ctrl-C end the process there and then, whatever it was doing to end by itself.

    What is written is safe: files take their places whole, and an audit reads its samples up to the last whole line.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is not signal.default_int_handler:
        yield
        return

    def stop(*_: object) -> None:
        signal.signal(signal.SIGINT, _end)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is stop:  # nobody pressed it
            signal.signal(signal.SIGINT, before)


def _end(*_: object) -> None:
    if os.isatty(2):
        os.write(2, b"\x1b[?25h\n")  # shows the cursor, which a progress bar has hidden
    os._exit(130)


def _note_untested() -> None:
    """Say in one line with which releases nothing was tested, once a process."""
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
    """Language models that treat demographic groups alike.

    \b
    hf-equi generate --prompt "The man worked as"       completions before and after
    hf-equi inspect --model openai-community/gpt2       which tokens a group moves
    hf-equi audit --model openai-community/gpt2         how biased it is, and what each method changes
    hf-equi convert BASE OUT --group gender             a model made equivariant, as a folder to load or to publish
    hf-equi publish OUT USER/NAME                       that folder, checked, with a model card, on the Hub
    """  # noqa: D301  the escape \b keeps the lines that follow as they are
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def generate(  # noqa: PLR0913, PLR0917  a command has as many parameters as options
    model: Model = "demo",
    group: Group = None,
    prompts: Annotated[
        list[str] | None,
        typer.Option("--prompt", "-p", metavar="TEXT", help="A prompt; repeat it for more.", show_default=False),
    ] = None,
    prompt_sets: Annotated[
        list[str] | None,
        typer.Option(
            "--prompt-set",
            metavar="NAME",
            help="Published prompts: sheng2019, or its halves respect and occupation.",
            show_default=False,
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"{any_of(method_names('causal_lm'))}.", show_default="equitune"),
    ] = None,
    scorer: Annotated[str | None, SCORER] = None,
    average: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What equitune averages: logits or probabilities.", show_default="logits"),
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", "-n", metavar="N", min=1, help="Completions of each prompt.")
    ] = 1,
    max_new_tokens: Annotated[int, typer.Option(metavar="N", min=1, help="Tokens of each completion at most.")] = 20,
    temperature: Annotated[float | None, typer.Option(metavar="X", help="Of sampling.", show_default="1.0")] = None,
    top_k: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Sample from so many tokens; 0: all.", show_default="40")
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(metavar="X", help="Sample from the most probable tokens of this mass.", show_default="1.0"),
    ] = None,
    greedy: Annotated[bool, typer.Option("--greedy", help="Take the most probable token.")] = False,
    beams: Annotated[int | None, typer.Option(metavar="N", min=2, help="Beam search with so many beams.")] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, max=2**63 - 1, help="Of sampling.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Complete prompts with a model and with its EquiLM, side by side.

    Each prompt stands beside its images under the group, and each completion of the model beside that of its EquiLM.
    Below stands how much the likelihood of the texts changes when the group moves prompt and completion together.

    \b
    Examples:
      hf-equi generate --prompt "The man worked as"
      hf-equi generate --prompt-set sheng2019 -n 3 --seed 7
      hf-equi generate -m openai-community/gpt2 -g "gender*race" -p "The Black man was known for"
      hf-equi generate -p "The man said" -p "The {demographic} said" --method mixture --json > texts.json
    """  # noqa: D301  the escape \b keeps the lines that follow as they are
    from hf_equi.cli.decoding import Decoding  # noqa: PLC0415
    from hf_equi.cli.generate import run_generate  # noqa: PLC0415

    decoding = Decoding(samples, max_new_tokens, temperature, top_k, top_p, greedy, beams, seed)
    how = (method and method_name(method), average)
    run_generate(model, group, (prompts or [], prompt_sets or []), how, decoding, as_json, scorer)


@app.command()
def inspect(
    model: Model = "demo",
    group: Group = None,
    texts: Annotated[
        list[str] | None,
        typer.Option(
            "--text", "-t", metavar="TEXT", help="Explain this text; repeat it for more.", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a group moves in a model's vocabulary, in which forms, and what it does not.

    A word moves in the forms (with and without a leading space; as written, lower, Capitalised, Title Case, UPPER)
    that are one token on every side of its set. Only the tokenizer and the config are loaded.

    \b
    Examples:
      hf-equi inspect --model openai-community/gpt2 --group gender
      hf-equi inspect --group groups/my_group.json --json
      hf-equi inspect --text "The waitress said he would be back"
    """  # noqa: D301  the escape \b keeps the lines that follow as they are
    from hf_equi.cli.inspect import run_inspect  # noqa: PLC0415

    run_inspect(model, group, texts or [], as_json)


@app.command()
def audit(  # noqa: PLR0913, PLR0917  a command has as many parameters as options
    model: Model = "demo",
    group: Group = None,
    prompts: Templates = None,
    prompt_sets: PromptSets = None,
    samples: Annotated[
        int, typer.Option("--samples", "-n", metavar="N", min=1, help="Texts for each prompt and demographic.")
    ] = 20,
    seed: Annotated[int, typer.Option(metavar="N", min=0, max=2**63 - 1, help="Of sampling.")] = 7,
    max_new_tokens: Annotated[int, typer.Option(metavar="N", min=1, help="Tokens of each continuation at most.")] = 15,
    methods: Annotated[
        str, typer.Option(metavar="NAMES", help=f"What to audit, with commas between: {', '.join(METHODS)}.")
    ] = ",".join(DEFAULT_METHODS),
    neutral: Neutral = None,
    scorer: Annotated[str, SCORER] = "demo",
    beam_length: Annotated[int, typer.Option(metavar="N", min=1, help="Tokens of each draft of EquizeroLM.")] = 5,
    action: Annotated[str, typer.Option(metavar="NAME", help="What EquizeroLM moves: tokens or words.")] = "tokens",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Measure how differently a model speaks of demographics, and what each method changes.

    Every model continues the same prompts for every demographic. A classifier scores the texts for regard, as they are
    and with the demographic hidden. Printed are the figures with their intervals; the folder gets a report to read in
    a browser, its plots, and each text with its scores. An audit that was stopped continues when it is started again.

    \b
    Examples:
      hf-equi audit
      hf-equi audit --model openai-community/gpt2 --scorer sasha/regardv3 --samples 50
      hf-equi audit -g race --methods base,EquiLM --out race --json > race.json
      accelerate launch --multi_gpu --num_processes 2 -m hf_equi.cli audit      on GPUs, or on CPUs where there is none
    """  # noqa: D301  the escape \b keeps the lines that follow as they are
    from hf_equi.cli.audit import Search, run_audit  # noqa: PLC0415
    from hf_equi.fairness.auditing import Sampling  # noqa: PLC0415

    sampling = Sampling(samples, seed, max_new_tokens)
    search = Search(scorer, beam_length, action)
    run_audit(model, group, (prompts or [], prompt_sets or []), (methods, neutral), search, sampling, (out, as_json))


License = Annotated[
    str | None,
    typer.Option(
        "--license",
        metavar="NAME",
        help="The licence for the card, as the Hub spells it. [default: that of the base's own card]",
        show_default=False,
    ),
]


@app.command()
def convert(  # noqa: PLR0913, PLR0917  a command has as many parameters as options
    base: Annotated[str, typer.Argument(metavar="BASE", help=MODEL)],
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write, new or empty.")],
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
            metavar="NAME",
            help="A classifier of regard, which equizero of a causal model minimises: a Hub name, a folder or 'demo'. "
            "[default: sasha/regardv3, when it is first used]",
            show_default=False,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A setting of the method or of loading, as hf_equi.symmetrize takes it; repeat it for more.",
            show_default=False,
        ),
    ] = None,
    no_base: Annotated[
        bool,
        typer.Option("--no-base", help="Store no weights, but the base's name and revision on the Hub."),
    ] = False,
    license: License = None,
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

    conversion = Conversion(group, method_name(method), task, scorer, settings or [])
    run_convert(base, folder, conversion, not no_base, license, as_json)


@app.command()
def publish(  # noqa: PLR0913, PLR0917  a command has as many parameters as options
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What hf-equi convert or save_pretrained wrote.")],
    repo_id: Repository,
    audit: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="What hf-equi audit wrote of this model: its figures go into the card.",
            show_default=False,
        ),
    ] = None,
    license: License = None,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    revision: Annotated[
        str | None, typer.Option(metavar="BRANCH", help="The branch to commit to.", show_default="main")
    ] = None,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request.")] = False,
    message: Annotated[str | None, typer.Option(metavar="TEXT", help="Of the commit.", show_default=False)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the card and the files, upload nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check a symmetrised model, measure its equivariance error, and upload it with a model card, by one commit.

    Log in before, with `hf auth login`. Nothing is made on the Hub until all checks have passed.

    \b
    Examples:
      hf-equi publish equi-gpt2 me/equi-gpt2 --dry-run
      hf-equi publish equi-gpt2 me/equi-gpt2 --audit audit-gender-7 --license mit
    """  # noqa: D301  the escape \b keeps the lines that follow as they are
    from hf_equi.cli.publish import Destination, run_publish  # noqa: PLC0415

    destination = Destination(repo_id, private or None, revision, create_pr, message)
    run_publish(folder, destination, (audit, license), dry_run, as_json)

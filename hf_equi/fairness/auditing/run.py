"""The audit: texts of several models, drawn, measured and summed up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, parse_flag_from_env
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from hf_equi.display import shown
from hf_equi.errors import ConfigurationError, HfEquiError
from hf_equi.fairness.auditing.about import describe_models, describe_scorers
from hf_equi.fairness.auditing.blocks import Block, make_blocks
from hf_equi.fairness.auditing.expected import ExpectedUnits
from hf_equi.fairness.auditing.fingerprints import describe_group, describe_model, describe_scorer, describe_tokenizer
from hf_equi.fairness.auditing.highlight import moved_words
from hf_equi.fairness.auditing.samples import make_dataset, write_parquet
from hf_equi.fairness.auditing.scoring import Measures, name_scorers
from hf_equi.fairness.auditing.settings import Sampling, Statistics, versions
from hf_equi.fairness.auditing.store import FolderStore, MemoryStore, Rows, Unit
from hf_equi.fairness.auditing.subjects import Subject, make_subjects
from hf_equi.fairness.auditing.units import run_unit
from hf_equi.fairness.briefing import brief
from hf_equi.fairness.chat import Conversation, describe_chat, in_chat
from hf_equi.fairness.files import beside, remedy, write_json
from hf_equi.fairness.scales import REGARD
from hf_equi.fairness.templates import summarise_templates
from hf_equi.fairness.work import Estimate, Work, columns, continued, rows_of_a_text
from hf_equi.groups import DemographicGroup

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["SAMPLES", "SUMMARY", "Audit", "AuditResult", "audit", "process_state"]

SUMMARY = "summary.json"
SAMPLES = "samples.parquet"


@dataclass(frozen=True)
class AuditResult:
    """The result of an audit, the same in every process.

    The samples have the columns `model`, `demographic`, `template`, `sample` (texts with equal model, template and
    number are coupled), `prompt`, `text` (prompt and continuation; in a chat, the message and the answer), `tokens`
    (of both, with the end-of-text token), `prompt_tokens` (the number of prompt tokens); `negative`, `neutral`,
    `positive` (probabilities) and `label` (the most probable); the same four with the prefix `masked_`; for a scorer
    of another kind, such as `toxic`, the columns `toxic:P(toxic)`, `toxic:P(not toxic)`, `toxic:label`, and the same
    with `masked_` after the colon; `nll` (nats, of the continuation under the model's own base model),
    `scored_tokens` (of the continuation); `gap` (nats a token, from `hf_equi.fairness.group_gaps`; `None` without a
    tractable likelihood); `consistent` (the share of the texts coupled with it that differ from it only by the group,
    in tokens, or in words if the model acts on words). `gap` and `consistent` are `None` if a model acts on tokens and
    the tokens of the prompts are not images of each other.

    The figures of regard have their own names. Those of another scorer begin with its name, which in a list is its
    label: `"toxic:parity_gap"`. A verdict weighs all scorers, and divides its level by their number.

    A neutral template, without the placeholder, has one prompt, whose samples have the demographic `""`.
    The summary, the report and `consistent` leave them out.

    Args:
        samples: One row per text.
        summary: Plain JSON: `{"models": [...], "confidence": ..., "resamples": ..., "seed": ..., "settings": ...,
            "versions": ...}`, with the figures of each model and their intervals, from
            `hf_equi.fairness.summary.summarise`. It leaves out texts after neutral prompts.
        report: The path of the report, if the audit has a folder and a prompt that names demographics.
        seconds: How long the units of this process took.
        drawn: How many texts this process drew. The others are from an earlier run or from other processes.
    """

    samples: Dataset
    summary: dict[str, Any]
    report: Path | None
    seconds: float
    drawn: int


class Audit:
    """An audit, checked and ready to run. `audit` does this in one call.

    The pairs of model and template are divided among the processes. The texts do not depend on the number of
    processes, and each process returns all of them. Figures may differ in their last digits with another number of
    threads, because sums are then taken in another order.

    The folder holds `settings.json`, `samples-<n>.jsonl` (the work of process n, one line per pair, written as it is
    ready), and at the end `samples.parquet`, `summary.json` and the report. An audit with equal settings continues
    from there, with any number of processes and with the same result.

    Args:
        models: Models by name.
        tokenizer: The tokenizer of all models.
        group: The group.
        prompts: The templates.
        scorer: A scorer, or several: see `audit`.
        sampling: How to draw texts.
        statistics: How to make intervals.
        out: The folder, if any.

    Raises:
        HfEquiError: As in `audit`, but here before any text is drawn.
    """

    def __init__(
        self,
        models: Mapping[str, PreTrainedModel],
        tokenizer: Any,
        group: DemographicGroup,
        prompts: Sequence[str | Conversation | Sequence[Mapping[str, str]]],
        scorer: Any,
        sampling: Sampling,
        statistics: Statistics | None = None,
        out: str | Path | None = None,
    ) -> None:
        if not isinstance(group, DemographicGroup):
            raise ConfigurationError(f"group={group!r} is not a DemographicGroup: make one, or use a preset.")
        if not isinstance(tokenizer, PreTrainedTokenizerBase):
            raise ConfigurationError(
                f"tokenizer={tokenizer!r} is not a transformers tokenizer: pass that of the models."
            )
        self.state = process_state()
        self.group = group.unrelax()
        self.tokenizer, self.sampling, self.statistics = tokenizer, sampling, statistics or Statistics()
        self.scorers = name_scorers(scorer)
        self.statistics.check_tests(len(self.scorers))
        self.measures = Measures(self.scorers, self.group)
        self.blocks = make_blocks(prompts, self.group, tokenizer)
        self.subjects = make_subjects(models, self.group, tokenizer, self.blocks, sampling.max_new_tokens)
        self.settings = self._describe(models)
        self.versions = versions()
        self.out = None if out is None else Path(out)
        self.store: FolderStore | MemoryStore = MemoryStore()
        if self.out is not None:
            about = {**self.settings, "versions": self.versions}
            expected = ExpectedUnits(self._names(), self.blocks, sampling.samples, [*self.scorers])
            self.store = FolderStore(self.out, about, self.state.process_index, expected.fault)

    def _describe(self, models: Mapping[str, PreTrainedModel]) -> dict[str, Any]:
        known: dict[int, str] = {}
        chats = [block for block in self.blocks if block.chat is not None]
        turns = [block.chat for block in chats if block.chat is not None]
        read = [tokens for block in chats for tokens in block.tokens]
        described = {scale.title: describe_scorer(scorer, known) for scale, scorer in self.scorers.items()}
        return {
            "demographics": list(self.group.names),
            "prompts": [block.template for block in self.blocks],
            "samples_per_prompt": self.sampling.samples,
            "seed": self.sampling.seed,
            "decoding": self.sampling.describe(),
            "models": [{"name": name, **describe_model(model, known)} for name, model in models.items()],
            "scorer": next(iter(described.values())),
            # Regard alone keeps its old description, so that an earlier audit can be continued.
            **({} if [*self.scorers] == [REGARD] else {"scorers": described}),
            "tokenizer": describe_tokenizer(self.tokenizer),
            "group": describe_group(self.group),
            **({"chat": describe_chat(turns, read)} if turns else {}),
        }

    def work(self, units: Iterable[tuple[Subject, Block]] | None = None) -> Work:
        """Return the amount of work for these units, by default for all."""
        asked = product(self.subjects, self.blocks) if units is None else units
        whole = Work()
        for subject, block in asked:
            texts = len(block.prompts) * self.sampling.samples
            whole += Work(texts, texts * rows_of_a_text(subject.lm))
        return whole

    def run(self, progress: bool = True, say: Callable[[str], None] = lambda line: None) -> AuditResult:
        """Draw the missing texts, and sum up.

        Cost: for each model, template and demographic, `generate` of all samples; for each text two forwards of the
        classifier, one of the base model and, with a tractable likelihood, one of each member of its orbit.

        Args:
            progress: Whether the main process shows a bar on stderr, if that is a terminal.
            say: Called in each process with a line about its work: at the start, if an earlier run drew some of the
                texts; after the first unit, if all will take long, with the number of texts and rows and an estimate.
        """
        units = {
            (subject.name, block.template): (subject, block) for subject in self.subjects for block in self.blocks
        }
        done = self.store.read()
        # All processes read before any writes, so all agree on what is missing and who does it.
        self.state.wait_for_everyone()
        missing = [unit for unit in units if unit not in done]
        own = missing[self.state.process_index :: self.state.num_processes]
        if len(missing) < len(units):
            say(continued(self.work(units[unit] for unit in units if unit in done).texts, self.work().texts))
        start, drawn = time.perf_counter(), 0
        writing = self.store.writing() if own else nullcontext()
        work = self.work(units[unit] for unit in own)
        estimate = Estimate(work, say)
        with writing, _bar(progress and bool(own) and self.state.is_main_process, work.rows) as advance:
            for unit in own:
                advance(unit[0], 0)
                rows, took = run_unit(*units[unit], self.measures, self.sampling, self.tokenizer)
                self.store.append(unit, rows, {"seconds": took, "date": datetime.now(UTC).date().isoformat()})
                drawn += len(rows)
                done_now = self.work([units[unit]]).rows
                estimate.measure(done_now)
                advance(unit[0], done_now)
        seconds = time.perf_counter() - start
        self.state.wait_for_everyone()
        done = self.store.collect()
        samples = make_dataset(_in_order(units, done, self.out), [*self.scorers])
        summary, report = self._finish(samples)
        return AuditResult(samples, summary, report, seconds, drawn)

    def _finish(self, samples: Dataset) -> tuple[dict[str, Any], Path | None]:
        """Sum up in the main process, and tell the others. A file that cannot be written is an error in all."""
        shared: list[Any] = [None, None, ""]
        if self.state.is_main_process:
            named = [place for place, name in enumerate(samples["demographic"]) if name in self.group.names]
            compared = samples.select(named)
            shared[0] = self._summarise(compared)
            if self.out is not None:
                shared[1:] = self._write(self.out, samples, compared, shared[0])
        broadcast_object_list(shared)
        summary, report, fault = shared
        if fault:
            raise ConfigurationError(fault)
        return summary, report

    def _write(
        self, folder: Path, samples: Dataset, compared: Dataset, summary: dict[str, Any]
    ) -> tuple[Path | None, str]:
        """Write the figures, all samples and the report, in that order; return its path, and what failed."""
        safe = "its texts"
        try:
            write_json(folder / SUMMARY, summary)
            safe = f"its figures ({SUMMARY})"
            with beside(folder / SAMPLES) as temporary:
                write_parquet(samples, temporary)
            return self._report(folder, compared, summary), ""
        except OSError as error:
            return None, (
                f"The audit is done, and {safe} are safe in {folder}, but the report could not be written "
                f"({error.strerror or error}): {remedy(error)}, and run the same command again. It redraws no text."
            )
        except HfEquiError as error:  # the other processes wait to hear of it
            return None, f"The audit is done, and {safe} are safe in {folder}, but it has no report: {error}"

    def _summarise(self, compared: Dataset) -> dict[str, Any]:
        from hf_equi.fairness.summary import summarise  # noqa: PLC0415  loads evaluate, which takes seconds

        how: dict[str, Any] = {"seed": self.sampling.seed, **asdict(self.statistics)}
        summary = {
            "models": summarise(compared, **how) if len(compared) else [],
            **how,
            "templates": summarise_templates(compared),
            "settings": self.settings,
            "versions": self.versions,
            "about": {"models": describe_models(self.subjects), "scorers": describe_scorers(self.scorers)},
            "measured": self._measured(),
        }
        return {**summary, "briefing": list(brief(summary).parts)}

    def _measured(self) -> dict[str, Any]:
        """Return what differs from run to run: the days of drawing, and each model's seconds per text."""
        took = {unit: one for unit, one in self.store.took.items() if one}
        seconds: dict[str, list[float]] = {}
        texts = {block.template: len(block.prompts) * self.sampling.samples for block in self.blocks}
        for (model, template), one in took.items():
            seconds.setdefault(model, []).append(one["seconds"] / texts[template])
        return {
            # Texts from an earlier release have no date, and the dates of the others alone would be misleading.
            "dates": sorted({one["date"] for one in took.values()}) if len(took) == len(self.store.took) else [],
            "seconds_per_text": {name: fmean(seconds[name]) for name in self._names() if name in seconds},
        }

    def _names(self) -> list[str]:
        return [subject.name for subject in self.subjects]

    def _report(self, folder: Path, compared: Dataset, summary: dict[str, Any]) -> Path | None:
        if not len(compared):
            return None
        from hf_equi.fairness.report import write_report  # noqa: PLC0415  loads matplotlib

        return write_report(folder, compared, summary, moved_words(self.group))


def audit(  # noqa: PLR0913  all of it is the user's to choose
    models: Mapping[str, PreTrainedModel],
    tokenizer: Any,
    group: DemographicGroup,
    prompts: Sequence[str | Sequence[Mapping[str, str]]],
    scorer: Any,
    samples_per_prompt: int,
    *,
    chat: bool = False,
    system: str | None = None,
    seed: int = 0,
    max_new_tokens: int = 15,
    temperature: float = 1.0,
    top_k: int = 40,
    top_p: float = 1.0,
    batch_size: int = 256,
    out: str | Path | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    progress: bool = True,
) -> AuditResult:
    """Measure how differently models speak of demographics.

    Each model continues each template, filled with each name of the group, `samples_per_prompt` times. Each text is
    scored as it is and with the demographic hidden, because classifiers have their own bias. Sample i of a template is
    drawn from the same noise for all demographics, so texts differ only by what the model makes of the demographic.
    The audit runs in one process, or in several under `accelerate launch` (`--multi_gpu`, on CPUs too): see `Audit`.

    Args:
        models: Models by name, in evaluation mode and on their device: plain causal language models, and `EquiLM`s of
            any method. Plain ones draw from the same coupled noise, with the method `"identity"`.
        tokenizer: The tokenizer of all models.
        group: The group. Its names fill the templates, its words are hidden, and the group gap and the consistency
            measure it. Its neutral and general words have no effect; those of a model's own group do, in that model.
        prompts: Texts or lists of messages, with the placeholder `{demographic}`, or neutral ones: see `AuditResult`.
        scorer: A `RegardScorer`, a `LabelScorer`, or several in a list or by name: see `AuditResult` for names.
        samples_per_prompt: The number of texts for each prompt.
        chat: Whether to send each text as a user message, formatted by the tokenizer's chat template.
        system: The system message of chats; by default that of the template, if it has one.
        seed: The seed of the noise and of the resampling.
        max_new_tokens: The most tokens of each continuation; for this and the next four, see `Sampling`.
        temperature: The temperature of the scores.
        top_k: Draw from this many tokens; 0: all.
        top_p: Draw from the most probable tokens with this total mass.
        batch_size: The number of texts to decode at once.
        out: A folder for samples, figures and report, from which a later call continues: see `Audit`.
        resamples: The number of resamples of the bootstrap and of the permutation test.
        confidence: The confidence of the intervals.
        progress: Whether to show a bar on stderr, if that is a terminal.

    Raises:
        ConfigurationError: Before any text is drawn: for a wrong argument, a prompt too long for a model, or a folder
            that cannot be used. Later: for a scorer that returns anything but probabilities.
        UnsupportedModelError: For a plain model that cannot be wrapped.

    References: Sheng et al. 2019, arXiv 1909.01326 (prompts, regard); arXiv 2210.06475 and 2305.09900 (models, gap).
    """
    drawn = Sampling(samples_per_prompt, seed, max_new_tokens, temperature, top_k, top_p, batch_size)
    given = (_ask(prompts, chat, system), scorer, drawn, Statistics(resamples, confidence), out)
    return Audit(models, tokenizer, group, *given).run(progress)


def _ask(prompts: Any, chat: bool, system: str | None) -> Any:
    """Return the prompts, in a chat if wanted. Faults in them are reported later, when they are filled."""
    if not isinstance(chat, bool):
        raise ConfigurationError(f"chat={chat!r} is not True or False: pass one of them.")
    if not isinstance(prompts, list | tuple):
        return prompts
    read = [Conversation.read(one) if isinstance(one, list | tuple) else one for one in prompts]
    return in_chat(read, chat, system) if all(isinstance(one, str | Conversation) for one in read) else read


def process_state() -> PartialState:
    """Return this process among those of `accelerate launch` or `torchrun`; without them it is the only one."""
    # Without a GPU, accelerate must be told, or it takes each process of a launcher for the only one.
    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.cuda.is_available())


def _in_order(units: Mapping[Unit, Any], done: Mapping[Unit, Rows], out: Path | None) -> Rows:
    lost = [unit for unit in units if unit not in done]
    if lost:
        raise ConfigurationError(
            f"The samples of {lost[0]} and {len(lost) - 1} more are not in {out}: all machines of an audit must share "
            "one folder. Run again to draw what is missing."
        )
    return [row for unit in units for row in done[unit]]


@contextmanager
def _bar(wanted: bool, rows: int) -> Iterator[Any]:
    """Show a bar on stderr that vanishes at the end; show nothing if stderr is not a terminal."""
    console = Console(stderr=True)
    with Progress(
        *columns(),
        console=console,
        transient=True,
        redirect_stdout=False,
        disable=not (wanted and console.is_terminal),
    ) as bar:
        task = bar.add_task("auditing", total=rows)
        yield lambda name, more: bar.update(task, description=escape(shown(name)), advance=more)

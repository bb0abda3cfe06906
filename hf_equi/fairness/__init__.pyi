"""The public names of this package, once: type checkers read them here, and `__init__.py` too."""

from hf_equi.fairness import auditing as auditing
from hf_equi.fairness import likelihood as likelihood
from hf_equi.fairness import metrics as metrics
from hf_equi.fairness import prompts as prompts
from hf_equi.fairness import report as report
from hf_equi.fairness import summary as summary
from hf_equi.fairness.auditing import Audit as Audit
from hf_equi.fairness.auditing import AuditResult as AuditResult
from hf_equi.fairness.auditing import Sampling as Sampling
from hf_equi.fairness.auditing import Statistics as Statistics
from hf_equi.fairness.auditing import audit as audit
from hf_equi.fairness.likelihood import GroupGap as GroupGap
from hf_equi.fairness.likelihood import group_gap as group_gap
from hf_equi.fairness.likelihood import group_gaps as group_gaps
from hf_equi.fairness.likelihood import log_likelihood as log_likelihood
from hf_equi.fairness.prompts import OCCUPATION as OCCUPATION
from hf_equi.fairness.prompts import PROMPT_SETS as PROMPT_SETS
from hf_equi.fairness.prompts import RESPECT as RESPECT
from hf_equi.fairness.prompts import fill as fill
from hf_equi.fairness.prompts import prompt_set as prompt_set
from hf_equi.fairness.report import write_report as write_report
from hf_equi.fairness.summary import summarise as summarise

"""The report of an audit: one page that needs nothing else, and its plots."""

from hf_equi.fairness.report.page import write_report

__all__ = ["write_report"]

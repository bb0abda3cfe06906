"""The report of an audit of images: one page with the pictures."""

from hf_equi.image_audit.report.page import write_report

__all__ = ["write_report"]

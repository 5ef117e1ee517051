"""Reports: a result in, one HTML file out that needs nothing else."""

from conescope.report.html import report_html, write_report

__all__ = ["report_html", "write_report"]

"""Reports: a result in, one HTML file out that needs nothing else."""

from conescope.report.barcode import barcode_html, write_barcode
from conescope.report.html import report_html, write_report

__all__ = ["barcode_html", "report_html", "write_barcode", "write_report"]

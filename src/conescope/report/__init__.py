"""Reports: a result in, one HTML file out that needs nothing else."""

from conescope.report.barcode import barcode_html, write_barcode
from conescope.report.bias_drift import bias_drift_html, write_bias_drift
from conescope.report.html import report_html, write_report

__all__ = [
    "barcode_html",
    "bias_drift_html",
    "report_html",
    "write_barcode",
    "write_bias_drift",
    "write_report",
]

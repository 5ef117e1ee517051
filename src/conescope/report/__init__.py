"""Reports: a result in, one HTML file out that needs nothing else."""

from conescope.report.ablation import ablation_html, write_ablation
from conescope.report.barcode import barcode_html, write_barcode
from conescope.report.bias_drift import bias_drift_html, write_bias_drift
from conescope.report.dynamics import dynamics_html, write_dynamics
from conescope.report.html import report_html, write_report
from conescope.report.perturbation import perturbation_html, write_perturbation
from conescope.report.profile import profile_html, write_profile

__all__ = [
    "ablation_html",
    "barcode_html",
    "bias_drift_html",
    "dynamics_html",
    "perturbation_html",
    "profile_html",
    "report_html",
    "write_ablation",
    "write_barcode",
    "write_bias_drift",
    "write_dynamics",
    "write_perturbation",
    "write_profile",
    "write_report",
]

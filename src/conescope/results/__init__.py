"""Results are values: frozen models that write and read themselves as JSON. Reports read nothing else."""

from conescope.results.ablation import (
    Ablation,
    AblationArm,
    AblationRun,
    Choice,
    FrontPoint,
    PairedDifference,
    Tried,
)
from conescope.results.advice import Advice, Candidate
from conescope.results.attention import AttentionProfile, Correlation, Head
from conescope.results.barcode import Barcode, SelectedBars
from conescope.results.bias_drift import BiasDrift
from conescope.results.comparison import ComparedValue, Comparison
from conescope.results.dynamics import (
    Event,
    TangentPhase,
    TangentResult,
    TangentSite,
    TangentStep,
    Trajectory,
)
from conescope.results.finetuning import Arm, Bars, Difference, FineTuning, Map, Run, Snapshot
from conescope.results.measurement import Finding, MeasuredValue, Measurement
from conescope.results.perturbation import Perturbation, PerturbedRun
from conescope.results.prediction import Predicted, Prediction
from conescope.results.profile import Layer, Profile, Rows
from conescope.results.profiles import ComparedLayer, ProfileComparison
from conescope.results.scored_task import Response, ScoredTask, TaskRun

__all__ = [
    "Ablation",
    "AblationArm",
    "AblationRun",
    "Advice",
    "Arm",
    "AttentionProfile",
    "Barcode",
    "Bars",
    "BiasDrift",
    "Candidate",
    "Choice",
    "ComparedLayer",
    "ComparedValue",
    "Comparison",
    "Correlation",
    "Difference",
    "Event",
    "Finding",
    "FineTuning",
    "FrontPoint",
    "Head",
    "Layer",
    "Map",
    "MeasuredValue",
    "Measurement",
    "PairedDifference",
    "Perturbation",
    "PerturbedRun",
    "Predicted",
    "Prediction",
    "Profile",
    "ProfileComparison",
    "Response",
    "Rows",
    "Run",
    "ScoredTask",
    "SelectedBars",
    "Snapshot",
    "TangentPhase",
    "TangentResult",
    "TangentSite",
    "TangentStep",
    "TaskRun",
    "Trajectory",
    "Tried",
]

"""The geometry of sentence embeddings as an evaluator of sentence-transformers."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from conescope._optional import require
from conescope.training.collapse import GEOMETRY, Alarm, check_measures, geometry

require("sentence_transformers", extra="st")
if TYPE_CHECKING:
    from sentence_transformers.sentence_transformer.evaluation import SentenceEvaluator
else:
    try:
        from sentence_transformers.sentence_transformer.evaluation import SentenceEvaluator
    except ModuleNotFoundError:  # before 6
        from sentence_transformers.evaluation import SentenceEvaluator

HIGHER = "effective_rank"  # the primary metric where it is measured


class GeometryEvaluator(SentenceEvaluator):
    """Measures the embeddings of some sentences, and warns when they collapse.

    Called with a model, it returns a dictionary with each measure (NaN where it is undefined) and
    `collapsed`, 0 or 1, all with the name before them, and appends them as a row to
    `geometry_evaluation_NAME_results.csv`.

    The primary metric only serves to choose a checkpoint where nothing else is evaluated: the greatest
    `effective_rank`, or else the first measure, of which the greatest is taken. Geometry is no task score. In
    a SequentialEvaluator, put a task's evaluator last: the last one chooses.

    Args:
        sentences: what is embedded each time; 10 a dimension let the verdict judge the spectrum.
        measures: names from `conescope.measures.MEASURES` that need no labels.
        name: of these sentences.
        batch_size: of the encoding.
        write_csv: whether to write the file, where there is an output path.

    Raises:
        ValueError: for fewer than two sentences, and unknown measures.
    """

    def __init__(
        self,
        sentences: Sequence[str],
        measures: Sequence[str] = GEOMETRY,
        *,
        name: str = "",
        batch_size: int = 32,
        write_csv: bool = True,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if isinstance(sentences, str) or len(sentences) < 2:
            raise ValueError(f"geometry is of a list of two sentences or more, got {sentences!r}")
        self.sentences = list(sentences)
        self.measures = check_measures(measures)
        self.name = name
        self.batch_size = batch_size
        self.write_csv = write_csv
        self.csv_file = f"geometry_evaluation{'_' + name if name else ''}_results.csv"
        self.csv_headers = ["epoch", "steps", *self.measures, "collapsed"]
        self.primary_metric = HIGHER if HIGHER in self.measures else self.measures[0]
        self.alarm = Alarm("warn")

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        rows = model.encode(
            self.sentences, batch_size=self.batch_size, show_progress_bar=False, convert_to_tensor=True
        )
        with torch.no_grad():
            values, found = geometry(rows.float(), self.measures)
        self.alarm.hear(found, steps)
        metrics = {name: values.get(name, math.nan) for name in (*self.measures, "collapsed")}
        if output_path is not None and self.write_csv:
            self._write(Path(output_path), [epoch, steps, *metrics.values()])
        metrics = self.prefix_name_to_metrics(metrics, self.name)
        self.store_metrics_in_model_card_data(model, metrics, epoch, steps)
        return metrics

    def _write(self, folder: Path, row: Sequence[float | int]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self.csv_file
        new = not path.is_file()
        with path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([self.csv_headers, row] if new else [row])

    def get_config_dict(self) -> dict[str, Any]:
        """Return what the model card shows."""
        return {"sentences": len(self.sentences), "measures": list(self.measures)}

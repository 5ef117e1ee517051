"""`conescope finetune`: a classifier with a regularizer of its embeddings, and the proof of what it did."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer


def finetune(
    model: Annotated[str, typer.Option(help="Folder or hub id of a transformers model.")],
    train: Annotated[Path, typer.Option(help="Training data: TSV, CSV, JSON lines or Parquet.")],
    dev: Annotated[Path, typer.Option(help="Held-out data, in the same columns.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for checkpoints, result and report.")
    ],
    text: Annotated[str, typer.Option(help="Column with the text.")] = "text",
    text_pair: Annotated[str | None, typer.Option(help="Column with the second text of a pair.")] = None,
    label: Annotated[str, typer.Option(help="Column with the class.")] = "label",
    regularizer: Annotated[str, typer.Option(help="persistent-entropy, or none.")] = "persistent-entropy",
    weight: Annotated[float, typer.Option(help="Weight of the regularizer; the task has weight 1.")] = 1.0,
    selection: Annotated[
        list[str] | None,
        typer.Option(
            help="Which bars count: recursive, single_pass, shifted, relative_entropy, or none for all. "
            "Given several times, each is an arm. Default: recursive."
        ),
    ] = None,
    min_points: Annotated[int, typer.Option(help="Classes of a batch with fewer points are skipped.")] = 5,
    pooling: Annotated[str, typer.Option(help="cls, mean, first_last_mean or last_token.")] = "cls",
    layer: Annotated[
        int, typer.Option(help="Hidden state to regularize; 0 is the embeddings, -1 the last.")
    ] = -1,
    epochs: Annotated[float, typer.Option(help="Passes over the training data.")] = 3.0,
    lr: Annotated[float, typer.Option(help="Highest learning rate.")] = 5e-5,
    batch_size: Annotated[int, typer.Option(help="Examples a micro-batch.")] = 64,
    accumulation: Annotated[int, typer.Option(help="Micro-batches a step.")] = 1,
    gather: Annotated[
        bool, typer.Option("--gather", help="Let the regularizer see all micro-batches of a step at once.")
    ] = False,
    max_length: Annotated[int, typer.Option(help="Tokens kept of a text.")] = 128,
    seeds: Annotated[int, typer.Option(help="Number of seeds, from 0 on.")] = 3,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="Train without the regularizer too, and compare seed by seed.")
    ] = False,
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    save_steps: Annotated[int, typer.Option(help="Steps between checkpoints.")] = 200,
    save_model: Annotated[bool, typer.Option(help="Keep the trained models.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print JSON alone.")] = False,
) -> None:
    """Fine-tune a classifier with persistent entropy, and report what it changed.

    The same command again resumes: finished runs are kept, a stopped one goes on from its last checkpoint.
    """
    from conescope._optional import require
    from conescope.cli.comparing import quiet_transformers, show_outcome, training_progress

    if seeds < 1:
        raise ValueError(f"--seeds must be at least 1, got {seeds}")
    if regularizer not in ("persistent-entropy", "none"):
        raise ValueError(f"--regularizer must be persistent-entropy or none, got {regularizer!r}")
    require("transformers", extra="hf")
    quiet_transformers()
    from conescope.training.experiment import Experiment, PersistentEntropy
    from conescope.training.finetune import finetune as run
    from conescope.training.recipe import Recipe
    from conescope.training.tables import read_labelled

    rules: list[Any] = [None if rule == "none" else rule for rule in selection or ["recursive"]]
    regularized = [PersistentEntropy(weight, rule, min_points) for rule in rules]
    if regularizer == "none":
        regularized = []
    train_data, dev_data, classes = read_labelled(train, dev, text=text, text_pair=text_pair, label=label)
    experiment = Experiment(
        title=f"{Path(model).name} on {train.name}",
        recipe=Recipe(
            model=model,
            epochs=epochs,
            lr=lr,
            batch_size=batch_size,
            accumulation=accumulation,
            max_length=max_length,
            pooling=pooling,  # type: ignore[arg-type]
            layer=layer,
            gather=gather,
            precision=precision,
            device=device,
            save_steps=save_steps,
        ),
        train=train_data,
        dev=dev_data,
        classes=classes,
        arms=(*((None,) if baseline or not regularized else ()), *dict.fromkeys(regularized)),
        seeds=tuple(range(seeds)),
    )
    with training_progress(len(experiment.arms) * seeds) as progress:
        result = run(
            experiment,
            output,
            command=shlex.join(["conescope", *sys.argv[1:]]),
            save_models=save_model,
            progress=progress,
        )
    show_outcome(result, output, as_json=json)

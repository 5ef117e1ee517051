"""`conescope demo`: the whole path on real data, in a few minutes on a laptop."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the result and report.")] = Path(
        "demo"
    ),
    quick: Annotated[bool, typer.Option("--quick", help="A smaller run, about a minute.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the head, the order of the data and the dropout.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON alone.")] = False,
) -> None:
    """Fine-tune MiniLM on BBC News, plain and with persistent entropy, and show what changed.

    Model and texts come from installed packages (the demo extra); nothing is downloaded.
    The same call again resumes or shows what is there.
    """
    from conescope._optional import require
    from conescope.cli.comparing import quiet_transformers, show_outcome, training_progress

    require("transformers", extra="demo")
    quiet_transformers()
    from conescope.training.demo import demo_experiment, demo_facts
    from conescope.training.finetune import finetune

    experiment = demo_experiment(quick=quick, seed=seed)
    command = f"conescope demo{' --quick' if quick else ''} --seed {seed} -o {output}"
    with training_progress(len(experiment.arms)) as progress:
        result = finetune(
            experiment,
            output,
            command=command,
            arguments=demo_facts(experiment),
            save_models=False,
            progress=progress,
        )
    show_outcome(result, output, as_json=json)

"""The commands that measure on labelled images: `stockmeta evaluate` and `stockmeta calibrate`."""

from pathlib import Path
from typing import Annotated

import typer

from tasks.errors import ConfigurationError
from worker.settings import load_settings

Labels = Annotated[
    str, typer.Argument(help="CSV with a header or NDJSON of images and their true terms; - for standard input.")
]
Images = Annotated[
    Path | None, typer.Option(help="Folder of the images; default: the label file's own.", metavar="DIR")
]
Model = Annotated[str | None, typer.Option(help="As for stockmeta tag.")]
Vocabulary = Annotated[Path | None, typer.Option(help="As for stockmeta tag.", metavar="FILE")]
Policy = Annotated[Path | None, typer.Option(help="As for stockmeta tag.", metavar="FILE")]
Where = Annotated[
    list[str] | None, typer.Option(help="Only rows that have this; may be given again.", metavar="COLUMN=VALUE")
]
Limit = Annotated[int | None, typer.Option(help="At most so many images, the first ones.", min=1)]


def evaluate(
    labels: Labels,
    images: Images = None,
    where: Where = None,
    limit: Limit = None,
    model: Model = None,
    vocabulary: Vocabulary = None,
    policy: Policy = None,
    k: Annotated[str, typer.Option("--k", help="Places for P@k and R@k.", metavar="LIST")] = "1,5,10",
    strict: Annotated[
        bool, typer.Option("--strict", help="Terms that the vocabulary does not have count as missed.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
    html: Annotated[
        Path | None, typer.Option(help="Write a self-contained report with the worst images.", metavar="FILE")
    ] = None,
    worst: Annotated[int, typer.Option(help="Images in the report.", min=0)] = 24,
) -> None:
    """Measure how good the keywords are, on images of which you know what is true.

    Tags them as stockmeta tag does, and prints precision, recall, F1, mAP and nDCG with 95 % intervals, by facet too,
    and what is missed and wrong most often.

    Exit status: 0 all evaluated, 1 some images could not be read (they are named), 2 wrong usage.

    \b
    Examples:
      stockmeta evaluate labels.csv
      stockmeta evaluate manifest.jsonl --where set=coco --html report.html
      stockmeta evaluate labels.csv --images photos/ --json | jq .figures.lenient
    """  # noqa: D301 - \b keeps the lines of the examples apart
    settings = load_settings(model=model, vocabulary=vocabulary, policy=policy)
    from worker.commands import evaluate as command
    from worker.labelled import Source

    asked = command.Asked(places(k), seed, strict, as_json, html, worst)
    raise typer.Exit(command.run(settings, Source(labels, images, tuple(where or ()), limit), asked))


def calibrate(
    labels: Labels,
    out: Annotated[Path, typer.Option(help="Where the calibration goes, a JSON file.", metavar="FILE")],
    images: Images = None,
    where: Where = None,
    limit: Limit = None,
    model: Model = None,
    vocabulary: Vocabulary = None,
    policy: Policy = None,
    target_precision: Annotated[
        float | None,
        typer.Option(help="Share of right keywords to reach, from 0 to 1; default: the best F1.", min=0, max=1),
    ] = None,
    holdout: Annotated[
        float, typer.Option(help="Share of the images that is kept from the fit, to compare on.", min=0.1, max=0.9)
    ] = 0.5,
    seed: Annotated[int, typer.Option(help="Of the split and of the bootstrap.", min=0)] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace a file of that name.")] = False,
) -> None:
    """Fit thresholds and reference statistics to your own images, and say on others of them whether it helps.

    Needs at least 100 labelled images. The file that it writes is used where a policy names it.

    Exit status: 0 written and better, 1 written but not better, 2 wrong usage or too little data.

    
    Examples:
      stockmeta calibrate labels.csv --out calibration.json
      stockmeta calibrate labels.csv --out calibration.json --target-precision 0.8 --force
    """
    settings = load_settings(model=model, vocabulary=vocabulary, policy=policy)
    from worker.commands import calibrate as command
    from worker.labelled import Source

    asked = command.Asked(out, target_precision, holdout, seed, force)
    raise typer.Exit(command.run(settings, Source(labels, images, tuple(where or ()), limit), asked))


def places(text: str) -> tuple[int, ...]:
    """`1,5,10` as numbers, each once, in order. Raises `ConfigurationError`."""
    try:
        found = sorted({int(part) for part in text.split(",")})
    except ValueError:
        found = [0]
    if found[0] < 1:
        raise ConfigurationError(f"--k {text}: give whole numbers from 1, such as 1,5,10")
    return tuple(found)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(evaluate)
    app.command()(calibrate)

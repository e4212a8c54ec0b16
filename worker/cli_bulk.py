"""The commands that work through whole libraries: `stockmeta backfill` and `stockmeta rescore`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from worker.settings import load_settings

Library = Annotated[
    str, typer.Argument(help="The images: a folder, or s3://bucket/prefix.", metavar="LIBRARY", show_default=False)
]
Output = Annotated[
    str | None,
    typer.Option(help="Where sidecars go: a folder or s3://bucket/prefix; default: .stockmeta/ in the library's own."),
]
Model = Annotated[str | None, typer.Option(help="Of the command's own worker, without a broker; as for stockmeta tag.")]
Engine = Annotated[str | None, typer.Option(help="Of its own worker: auto, openvino, openvino-bf16, torch ...")]
Vocabulary = Annotated[
    Path | None, typer.Option(help="Of its own worker: a word list or taxonomy file.", metavar="FILE")
]
Policy = Annotated[Path | None, typer.Option(help="Of its own worker: a policy file.", metavar="FILE")]
Captioner = Annotated[str | None, typer.Option(help="Of its own worker: composed, coca, or a CoCa model.")]
Language = Annotated[str | None, typer.Option(help="Of its own worker: languages of labels, such as en,ko.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only list, count, and estimate time and cost.")]
Limit = Annotated[int | None, typer.Option(help="At most so many images.", min=1)]
Sample = Annotated[int | None, typer.Option(help="So many images, drawn at random.", min=1)]
Rate = Annotated[float | None, typer.Option(help="At most so many images a second.", min=0.001)]
Window = Annotated[int, typer.Option(help="At most so many messages of 64 images in the queue.", min=1)]
Lanes = Annotated[
    int | None, typer.Option(help="So many listings at the same time; default: 8, in a folder 1.", min=1, max=64)
]
Generation = Annotated[
    str | None, typer.Option(help="The generation to fill; default: the one that workers make.", metavar="G")
]
Promote = Annotated[bool, typer.Option("--promote", help="When all is done, let the generation that was filled serve.")]
AssumeRate = Annotated[
    float | None,
    typer.Option(help="Images a second, for the estimate of --dry-run; default: what live workers say.", min=0.001),
]
Report = Annotated[Path | None, typer.Option(help="Write the report here too, as JSON and as a page.", metavar="DIR")]
AsJson = Annotated[bool, typer.Option("--json", help="Progress as JSON lines on standard error.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(backfill)
    app.command()(rescore)


def backfill(
    library: Library,
    output: Output = None,
    model: Model = None,
    engine: Engine = None,
    vocabulary: Vocabulary = None,
    policy: Policy = None,
    captioner: Captioner = None,
    language: Language = None,
    dry_run: DryRun = False,
    only: Annotated[
        Literal["missing", "stale", "failed"] | None,
        typer.Option(help="Only images without a record; with one of another content; with one that says why not."),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Also try again what ended without metadata.")
    ] = False,
    limit: Limit = None,
    sample: Sample = None,
    force: Annotated[bool, typer.Option("--force", help="Do every image again, also those that are current.")] = False,
    rate: Rate = None,
    window: Window = 64,
    lanes: Lanes = None,
    generation: Generation = None,
    promote: Promote = False,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Read every record, instead of comparing times: a request an image.")
    ] = False,
    max_orphans: Annotated[
        float,
        typer.Option(
            help="Remove records whose image is gone if they are at most so many percent.",
            metavar="PERCENT",
            min=0,
            max=100,
        ),
    ] = 1.0,
    keys: Annotated[
        str | None,
        typer.Option(help="A file with keys, one a line, or -: look at these only.", metavar="FILE"),
    ] = None,
    null: Annotated[bool, typer.Option("--null", "-0", help="Keys are ended by NUL instead.")] = False,
    inventory: Annotated[
        str | None,
        typer.Option(help="s3://.../manifest.json of an S3 Inventory, instead of listing the images.", metavar="URL"),
    ] = None,
    assume_rate: AssumeRate = None,
    report: Report = None,
    as_json: AsJson = False,
) -> None:
    """Bring a library up to date, and end: every image gets its metadata, by the current model and words.

    Lists images and sidecars side by side, gives workers what is missing or outdated, waits, and looks again. Stop it
    at any time: run again it goes on, and costs one listing where there is nothing to do. Without STOCKMETA_BROKER_URL
    it brings a queue and a worker of its own. SIGUSR1 pauses it, SIGUSR2 has it go on.

    Standard output gets the report, one JSON object on one line.

    Exit status: 0 all done, 1 some were rejected, did not end or were kept back (the report says which), 2 wrong usage,
    130 or 143 interrupted.

    \b
    Examples:
      stockmeta backfill photos/
      stockmeta backfill s3://photos/2026 --dry-run
      stockmeta backfill s3://photos --rate 50 --report report/
      stockmeta backfill s3://photos --only failed
      stockmeta backfill photos/ --language en,ko --promote
      cut -f1 imported.tsv | stockmeta backfill s3://photos --keys -
    """  # noqa: D301 - \b keeps the lines of the examples apart
    from worker.commands import backfill as command

    settings = load_settings(
        output=output,
        model=model,
        engine=engine,
        vocabulary=vocabulary,
        policy=policy,
        captioner=captioner,
        languages=language,
    )
    options = command.Options(
        library,
        dry_run=dry_run,
        only=only,
        retry_failed=retry_failed,
        limit=limit,
        sample=sample,
        force=force,
        rate=rate,
        window=window,
        lanes=lanes,
        generation=generation,
        promote=promote,
        thorough=thorough,
        max_orphans=max_orphans,
        keys=keys,
        null=null,
        inventory=inventory,
        assume_rate=assume_rate,
        report=report,
        as_json=as_json,
    )
    raise typer.Exit(command.run(settings, options))


def rescore(
    library: Library,
    output: Output = None,
    model: Model = None,
    engine: Engine = None,
    vocabulary: Vocabulary = None,
    policy: Policy = None,
    captioner: Captioner = None,
    language: Language = None,
    stored: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="The generation whose embeddings are scored: 12 hex digits, serving or previous; default: serving.",
            metavar="G",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list and count.")] = False,
    limit: Limit = None,
    rate: Rate = None,
    window: Window = 64,
    lanes: Lanes = None,
    generation: Generation = None,
    promote: Promote = False,
    assume_rate: AssumeRate = None,
    report: Report = None,
    as_json: AsJson = False,
) -> None:
    """Score a library again, with other words or another policy, from the embeddings in its sidecars or packs.

    Fills another generation beside the one that serves, as a backfill does, and gives what a backfill would, bit for
    bit, without reading the images. An image of which nothing is stored, or that was replaced since, is left to a
    backfill, and named in the report. Refused where a backfill would see the images otherwise: with another model.

    Exit status: 0 all done, 1 some need a backfill or did not end (the report says which), 2 wrong usage, or nothing
    that is stored can be used, 130 or 143 interrupted.

    \b
    Examples:
      stockmeta rescore photos/ --policy policy.toml
      stockmeta rescore s3://photos --language en,ko --promote
      stockmeta rescore s3://photos --vocabulary words.txt --limit 500
      stockmeta rescore s3://photos --from previous --dry-run | jq .passes[0].missing
    """  # noqa: D301 - \b keeps the lines of the examples apart
    from worker.commands import rescore as command
    from worker.commands.backfill import Options

    settings = load_settings(
        output=output,
        model=model,
        engine=engine,
        vocabulary=vocabulary,
        policy=policy,
        captioner=captioner,
        languages=language,
    )
    options = Options(
        library,
        dry_run=dry_run,
        limit=limit,
        rate=rate,
        window=window,
        lanes=lanes,
        generation=generation,
        promote=promote,
        assume_rate=assume_rate,
        report=report,
        as_json=as_json,
        stored=stored,
    )
    raise typer.Exit(command.run(settings, options))

"""The `stockmeta` command. Results are NDJSON on standard output; everything else goes to standard error."""

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from tasks.errors import ConfigurationError, StockmetaError
from worker import (
    cli_bulk,
    cli_failed,
    cli_feed,
    cli_generation,
    cli_listen,
    cli_measure,
    cli_outputs,
    cli_search,
    cli_taxonomy,
    console,
    logs,
)
from worker.settings import load_settings

app = typer.Typer(
    name="stockmeta",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="Title, caption, alt text, keywords and categories for stock photographs, written beside the images.",
    epilog="Settings can also be given in the environment, as STOCKMETA_… variables: see docs/settings.md.",
)
app.add_typer(cli_failed.app, name="failed")
app.add_typer(cli_feed.app, name="feed")
app.add_typer(cli_generation.app, name="generation")
app.add_typer(cli_listen.app, name="listen")
app.add_typer(cli_taxonomy.app, name="taxonomy")

INTERRUPTED = 128 + 2
"""Exit status after Ctrl-C, as of a program that SIGINT ends."""

Model = Annotated[
    str | None,
    typer.Option(help="starter; ARCHITECTURE/TAG of open_clip; hf-hub:NAME; or local-dir:FOLDER with safetensors."),
]
Engine = Annotated[
    str | None, typer.Option(help="What runs the model: auto, openvino, openvino-bf16, openvino-fp32 or torch.")
]
Vocabulary = Annotated[
    Path | None,
    typer.Option(help="A text file with one term a line, taken literally, or a taxonomy file.", metavar="FILE"),
]
Policy = Annotated[
    Path | None,
    typer.Option(
        help="A policy file: own words, what is allowed and denied, limits; see docs/policy.md.", metavar="FILE"
    ),
]
Captioner = Annotated[
    str | None,
    typer.Option(
        help="What writes captions: composed (of the keywords), coca, or a CoCa model named as --model has it."
    ),
]
Language = Annotated[str | None, typer.Option(help="Languages of the keywords' labels, such as en,ko.")]
Library = Annotated[
    str | None, typer.Option(help="The images: a folder, or s3://bucket/prefix.", metavar="LIBRARY", show_default=False)
]
Output = Annotated[
    str | None,
    typer.Option(help="Where sidecars go: a folder or s3://bucket/prefix; default: .stockmeta/ in the library's own."),
]


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens, to standard error.")] = False,
) -> None:
    """Set up logging for all commands."""
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"stockmeta {installed('stockmeta')}")
        raise typer.Exit
    logs.configure("text", logging.INFO if verbose else logging.WARNING)


@app.command()
def tag(
    paths: Annotated[
        list[str], typer.Argument(help="Image files, folders, or - for a list of files on standard input.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Write sidecars into this folder; a second run skips what is there.", metavar="DIR"),
    ] = None,
    model: Model = None,
    engine: Engine = None,
    vocabulary: Vocabulary = None,
    policy: Policy = None,
    captioner: Captioner = None,
    language: Language = None,
    max_keywords: Annotated[int | None, typer.Option(help="At most so many keywords an image.", min=1)] = None,
    min_score: Annotated[
        float | None, typer.Option(help="No keyword below this score; default: the model's own threshold.")
    ] = None,
    personal: Annotated[
        bool | None, typer.Option("--personal/--no-personal", help="Keywords for age, gender, origin and the like.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say in each line why its keywords are there, and why others are not.")
    ] = False,
    about: Annotated[
        list[str] | None,
        typer.Option(help="Explain this concept in any case; may be given again.", metavar="TERM"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the images that would be tagged.")] = False,
) -> None:
    """Tag images here and now: one JSON record a line, in the order given.

    Exit status: 0 all tagged, 1 some rejected or failed (their records say why), 2 wrong usage, 130 interrupted.

    \b
    Examples:
      stockmeta tag photos/
      stockmeta tag photos/ --out sidecars/ --language en,ko > records.ndjson
      stockmeta tag photos/ --policy policy.toml
      stockmeta tag photos/ --captioner coca
      find . -name '*.jpg' | stockmeta tag - --vocabulary words.txt --max-keywords 5
      stockmeta tag photo.jpg --about cat | jq '.explanation[] | {name, rank, score, needed, reason}'
    """  # noqa: D301 - \b keeps the lines of the examples apart
    from worker.commands import tag as command

    settings = load_settings(
        model=model,
        engine=engine,
        vocabulary=vocabulary,
        policy=policy,
        captioner=captioner,
        languages=language,
        max_keywords=max_keywords,
        min_score=min_score,
        personal=personal,
    )
    raise typer.Exit(command.run(settings, paths, out, dry_run=dry_run, explain=explain, about=about or ()))


@app.command()
def worker(
    queues: Annotated[
        str, typer.Option(help="What to take from; a worker for uploads alone keeps their latency.", metavar="LIST")
    ] = "uploads,backfill,suspects",
    library: Library = None,
    output: Output = None,
    model: Model = None,
    engine: Engine = None,
    vocabulary: Vocabulary = None,
    policy: Policy = None,
    captioner: Captioner = None,
    language: Language = None,
    concurrency: Annotated[int | None, typer.Option(help="Messages in hand at once.", min=1)] = None,
    http_port: Annotated[int | None, typer.Option(help="Serve /metrics, /healthz and /readyz on this port.")] = None,
    open_generation: Annotated[
        bool,
        typer.Option("--open-generation", help="Fill a new generation beside the one that the library is kept in."),
    ] = False,
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True)] = False,
) -> None:
    """Run a worker: take messages from the queue, tag their images, write sidecars, until SIGTERM or Ctrl-C.

    Needs STOCKMETA_BROKER_URL. SIGTERM lets what is in hand end for STOCKMETA_GRACE_SECONDS and puts the rest back.

    Exit status: 0 stopped, 1 the model or its device failed (start it again), 2 cannot start: the log says why.

    \b
    Examples:
      STOCKMETA_BROKER_URL=redis://localhost:6379/0 stockmeta worker --library s3://photos
      stockmeta worker --library s3://photos/2026 --queues uploads --http-port 9464
    """  # noqa: D301 - \b keeps the lines of the examples apart
    settings = load_settings(
        library=library,
        output=output,
        model=model,
        engine=engine,
        vocabulary=vocabulary,
        policy=policy,
        captioner=captioner,
        languages=language,
        concurrency=concurrency,
        http_port=http_port,
    )
    from worker.commands import worker as command

    raise typer.Exit(command.run(settings, queues, open_new=open_generation, with_parent=with_parent))


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on one line.")] = False,
) -> None:
    """Say how the queue is doing: what waits and for how long, what is in hand or put off, workers and their rates.

    Needs STOCKMETA_BROKER_URL. Only looks, and costs Redis next to nothing.

    Exit status: 0 looked, 1 Redis did not answer, 2 no broker is configured.

    \b
    Examples:
      stockmeta status
      stockmeta status --json | jq '.queues[] | {name, waiting, oldest_seconds}'
    """  # noqa: D301 - \b keeps the lines of the examples apart
    from worker.commands import status as command

    raise typer.Exit(command.run(load_settings(), as_json=as_json))


@app.command()
def check(
    model: Model = None,
    engine: Engine = None,
    vocabulary: Vocabulary = None,
    policy: Policy = None,
    captioner: Captioner = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Say what is configured, try it, and say what works: versions, words, model, engine, decoder, broker, store.

    Exit status: 0 everything works, 1 something does not.
    """
    from worker.commands import check as command

    raise typer.Exit(
        command.run(
            load_settings(model=model, engine=engine, vocabulary=vocabulary, policy=policy, captioner=captioner),
            as_json=as_json,
        )
    )


@app.command()
def demo(
    photos: Annotated[
        Path | None,
        typer.Option(help="A folder of photographs; default: ten out of installed packages.", metavar="DIR"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where photographs, sidecars and the page go.", metavar="DIR")] = Path(
        "demo-output"
    ),
    model: Model = None,
    policy: Policy = None,
    language: Language = "en,ko",
) -> None:
    """Run the real thing on a few photographs: a queue, a worker, sidecars, and a contact sheet to look at."""
    from worker.commands import demo as command

    raise typer.Exit(command.run(load_settings(model=model, policy=policy, languages=language), photos, out))


cli_bulk.register(app)
cli_measure.register(app)
cli_outputs.register(app)
cli_search.register(app)


def main() -> None:
    """Entry point: what we raise on purpose becomes one line and an exit status, never a traceback."""
    try:
        # Not standalone: errors of usage come here too, and Typer gives Ctrl-C as a status instead of ending silently.
        status = app(standalone_mode=False) or 0
        if status == INTERRUPTED:
            console.say("interrupted; run the same command again to go on")
        sys.exit(status)
    except typer.TyperException as error:
        error.show()  # type: ignore[attr-defined]  # every one that parsing raises has it
        sys.exit(error.exit_code)
    except ConfigurationError as error:
        console.say(str(error))
        sys.exit(2)
    except StockmetaError as error:
        console.say(str(error))
        sys.exit(1)
    except OSError as error:
        console.say(str(error))
        sys.exit(os.EX_IOERR)


if __name__ == "__main__":
    main()

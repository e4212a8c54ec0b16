"""`stockmeta feed …`: one command for each kind of index."""

from pathlib import Path
from typing import Annotated

import typer

from worker.settings import load_settings

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)

Library = Annotated[
    str, typer.Argument(help="The images: a folder, or s3://bucket/prefix.", metavar="LIBRARY", show_default=False)
]
Output = Annotated[
    str | None,
    typer.Option(help="Where sidecars lie: a folder or s3://bucket/prefix; default: .stockmeta/ in the library's own."),
]
Full = Annotated[
    bool, typer.Option("--full", help="Write all documents anew, beside the index in use, and swap at the end.")
]
Follow = Annotated[bool, typer.Option("--follow", help="Go on: deliver what changes, until SIGTERM or Ctrl-C.")]
Verify = Annotated[bool, typer.Option("--verify", help="Print each difference, put it right, compare again.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only compare.")]
Generation = Annotated[
    str | None, typer.Option(help="Feed this one, or `filling`; default: the one that serves.", metavar="G")
]
MaxRemoved = Annotated[
    float,
    typer.Option(
        help="Remove documents without a sidecar if they are at most so many percent.",
        metavar="PERCENT",
        min=0,
        max=100,
    ),
]
Reconcile = Annotated[
    float | None,
    typer.Option(
        "--reconcile-minutes",
        help="With --follow: compare with the listing so often; default: 60, without a broker 1.",
        min=0.01,
    ),
]
Commit = Annotated[
    float | None,
    typer.Option(
        "--commit-seconds",
        help="With --follow: make changes visible so often; default: 1, for files 30.",
        min=0.05,
    ),
]
HttpPort = Annotated[int | None, typer.Option(help="With --follow: serve /metrics, /healthz and /readyz on this port.")]


@app.callback()
def feed() -> None:
    """Keep a search index equal to the sidecars: once, or from now on with --follow.

    Compares the listing of sidecars with what the index has, and delivers what differs: where nothing does, that costs
    one listing and one scan of the index. With --follow it also delivers what workers announce (STOCKMETA_BROKER_URL),
    a second or two after the commit.

    Standard output gets the report, one JSON object on one line, and with --verify each difference before it.

    Exit status: 0 index and sidecars are equal, or --follow was stopped; 1 differences remain, the report says which
    kind; 2 wrong usage; 130 or 143 interrupted.
    """


@app.command()
def local(
    library: Library,
    index: Annotated[
        Path | None,
        typer.Option(help="Folder of the index; default: one for the library in the cache.", metavar="DIR"),
    ] = None,
    output: Output = None,
    full: Full = False,
    follow: Follow = False,
    verify: Verify = False,
    dry_run: DryRun = False,
    generation: Generation = None,
    max_removed: MaxRemoved = 1.0,
    reconcile_minutes: Reconcile = None,
    commit_seconds: Commit = None,
    http_port: HttpPort = None,
) -> None:
    """Feed the embedded index, which `stockmeta search` reads: nothing has to be installed or run for it.

    One feed at a time writes to it; any number of searches may read.

    \b
    Examples:
      stockmeta feed local photos/
      stockmeta feed local photos/ --verify
      stockmeta feed local s3://photos --index /var/lib/stockmeta/index --follow
    """  # noqa: D301 - \b keeps the lines of the examples apart
    from worker.commands import feed as command
    from worker.feeding import Target

    options = command.Options(
        library,
        Target("local", folder=index),
        full=full,
        verify=verify,
        dry_run=dry_run,
        follow=follow,
        generation=generation,
        max_removed=max_removed,
        reconcile_minutes=reconcile_minutes,
        commit_seconds=commit_seconds,
    )
    raise typer.Exit(command.run(load_settings(output=output, http_port=http_port), options))


@app.command()
def ndjson(
    library: Library,
    out: Annotated[str, typer.Option(help="Where files go: a folder, or s3://bucket/prefix.", metavar="DIR")],
    output: Output = None,
    full: Full = False,
    follow: Follow = False,
    verify: Verify = False,
    dry_run: DryRun = False,
    generation: Generation = None,
    max_removed: MaxRemoved = 1.0,
    reconcile_minutes: Reconcile = None,
    commit_seconds: Commit = None,
    http_port: HttpPort = None,
) -> None:
    """Write documents as files of lines, for every engine that has no command of its own here.

    A manifest names the files that count: a snapshot, and what changed since. docs/documents.md says how to read them.

    \b
    Examples:
      stockmeta feed ndjson photos/ --out documents/
      stockmeta feed ndjson s3://photos --out s3://search-documents/photos --follow
    """  # noqa: D301 - \b keeps the lines of the examples apart
    from worker.commands import feed as command
    from worker.feeding import Target

    options = command.Options(
        library,
        Target("ndjson", out=out),
        full=full,
        verify=verify,
        dry_run=dry_run,
        follow=follow,
        generation=generation,
        max_removed=max_removed,
        reconcile_minutes=reconcile_minutes,
        commit_seconds=commit_seconds,
    )
    raise typer.Exit(command.run(load_settings(output=output, http_port=http_port), options))


@app.command()
def opensearch(
    library: Library,
    url: Annotated[
        str | None, typer.Option(help="Of the cluster; default: STOCKMETA_OPENSEARCH_URL.", metavar="URL")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Of the alias that searches use; default: by bucket and prefix.", metavar="NAME")
    ] = None,
    output: Output = None,
    full: Full = False,
    follow: Follow = False,
    verify: Verify = False,
    dry_run: DryRun = False,
    generation: Generation = None,
    max_removed: MaxRemoved = 1.0,
    reconcile_minutes: Reconcile = None,
    commit_seconds: Commit = None,
    http_port: HttpPort = None,
) -> None:
    """Feed an index of OpenSearch, which needs the extra stockmeta[opensearch].

    Who we are there is said by STOCKMETA_OPENSEARCH_USER and STOCKMETA_OPENSEARCH_PASSWORD. Any number of feeds of one
    index may run side by side.

    \b
    Examples:
      stockmeta feed opensearch s3://photos --url https://search.internal:9200 --follow
      stockmeta feed opensearch s3://photos --full
    """  # noqa: D301 - \b keeps the lines of the examples apart
    from worker.commands import feed as command
    from worker.feeding import Target

    options = command.Options(
        library,
        Target("opensearch", url=url, name=name),
        full=full,
        verify=verify,
        dry_run=dry_run,
        follow=follow,
        generation=generation,
        max_removed=max_removed,
        reconcile_minutes=reconcile_minutes,
        commit_seconds=commit_seconds,
    )
    raise typer.Exit(command.run(load_settings(output=output, http_port=http_port), options))

"""The commands of `stockmeta failed`."""

from typing import Annotated

import typer

from worker.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Images that ended without metadata: which, why, and another try.")

Library = Annotated[str | None, typer.Option(help="A folder, or s3://bucket/prefix; default: STOCKMETA_LIBRARY.")]
Reason = Annotated[str | None, typer.Option(help="Only those with this reason, such as truncated or worker_crashed.")]


@app.command("list")
def list_(
    library: Library = None,
    output: Annotated[str | None, typer.Option(help="Where its sidecars lie, if elsewhere.")] = None,
    reason: Reason = None,
    limit: Annotated[int | None, typer.Option(help="At most so many.", min=1)] = None,
) -> None:
    """List terminal records, one JSON object a line: bucket, key, status, reason, detail, generation, updated_at.

    \b
    Examples:
      stockmeta failed list --library s3://photos | jq -r .reason | sort | uniq -c
      stockmeta failed list --reason truncated --limit 20
    """  # noqa: D301 - \b keeps the lines of the examples apart
    from worker.commands import failed

    raise typer.Exit(failed.run_list(load_settings(library=library, output=output), reason, limit))


@app.command()
def show(
    key: Annotated[str, typer.Argument(help="The image's key, without the bucket.")],
    library: Library = None,
    output: Annotated[str | None, typer.Option(help="Where its sidecars lie, if elsewhere.")] = None,
) -> None:
    """Print one image's terminal record, whole. Exit status 1 if it has none."""
    from worker.commands import failed

    raise typer.Exit(failed.run_show(load_settings(library=library, output=output), key))


@app.command()
def retry(
    keys: Annotated[list[str] | None, typer.Argument(help="Keys of images, without the bucket.")] = None,
    library: Library = None,
    output: Annotated[str | None, typer.Option(help="Where its sidecars lie, if elsewhere.")] = None,
    reason: Reason = None,
    everything: Annotated[bool, typer.Option("--all", help="All that `failed list` lists.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be tried again.")] = False,
) -> None:
    """Try images again that ended as rejected or failed: removes their records and sends them to the queue.

    Without STOCKMETA_BROKER_URL it runs a broker and a worker of its own until all of them have ended.

    \b
    Examples:
      stockmeta failed retry --library s3://photos 2026/shoot/IMG_0042.jpg
      stockmeta failed retry --reason decoder_timeout
    """  # noqa: D301 - \b keeps the lines of the examples apart
    from worker.commands import failed

    settings = load_settings(library=library, output=output)
    raise typer.Exit(failed.run_retry(settings, keys or [], reason, everything=everything, dry_run=dry_run))

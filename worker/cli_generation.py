"""The commands of `stockmeta generation`."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tasks.errors import ConfigurationError
from worker.settings import load_settings

app = typer.Typer(
    no_args_is_help=True,
    help="Generations: which there are, what made them, which serves; compare, promote, roll back, drop.",
)

GENERATION = re.compile(r"[0-9a-f]{12}|serving|filling|previous")
WHERE = "The library (default: STOCKMETA_LIBRARY)"
WHICH = "a generation: its 12 hex digits, or serving, filling or previous."

Library = Annotated[str | None, typer.Argument(help=f"{WHERE}.", metavar="[LIBRARY]", show_default=False)]
LibraryAndOne = Annotated[list[str], typer.Argument(help=f"{WHERE}, and {WHICH}", metavar="[LIBRARY] G")]
Output = Annotated[
    str | None,
    typer.Option(help="Where the sidecars lie: a folder or s3://bucket/prefix; default: .stockmeta/ in the library."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


def split(words: Sequence[str], least: int, most: int) -> tuple[str | None, list[str]]:
    """LIBRARY, if it is given, and the generations behind it.

    Raises `ConfigurationError` for anything else. A folder that is named like a generation is given as `./serving`.
    """
    names: list[str] = []
    rest = list(words)
    while rest and len(names) < most and GENERATION.fullmatch(rest[-1]):
        names.insert(0, rest.pop())
    if len(rest) > 1 or len(names) < least:
        wanted = " ".join(["[LIBRARY]", *"G" * least, *["[G]"] * (most - least)])
        raise ConfigurationError(f"give {wanted}; a generation is 12 hex digits, or serving, filling or previous")
    return (rest[0] if rest else None), names


@app.command("list")
def list_(
    library: Library = None,
    output: Output = None,
    counts: Annotated[bool, typer.Option("--counts", help="List their records, and count them.")] = False,
    as_json: Json = False,
) -> None:
    """List the generations that there are: which serves, which is being filled, what made them, and when.

    \b
    Examples:
      stockmeta generation list s3://photos
      stockmeta generation list photos/ --counts --json | jq '{generation, state, done, failed}'
    """  # noqa: D301 - \b keeps the lines of the examples apart
    from worker.commands import generation

    raise typer.Exit(generation.run_list(load_settings(library=library, output=output), as_json=as_json, counts=counts))


@app.command()
def show(
    words: Annotated[
        list[str] | None,
        typer.Argument(help=f"{WHERE}, and {WHICH} The serving one by default.", metavar="[LIBRARY] [G]"),
    ] = None,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Say what made a generation, in what it differs from the serving one, and whether it can use its embeddings.

    \b
    Examples:
      stockmeta generation show s3://photos
      stockmeta generation show s3://photos filling --json | jq .differs_in
    """  # noqa: D301 - \b keeps the lines of the examples apart
    from worker.commands import generation

    library, names = split(words or [], 0, 1)
    settings = load_settings(library=library, output=output)
    raise typer.Exit(generation.run_show(settings, names[0] if names else None, as_json=as_json))


@app.command()
def compare(
    words: Annotated[
        list[str], typer.Argument(help=f"{WHERE}, and twice {WHICH}", metavar="[LIBRARY] A B", show_default=False)
    ],
    output: Output = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write compare.json, and compare.html with pictures, into this folder.", metavar="DIR"),
    ] = None,
    limit: Annotated[int, typer.Option(help="Of the images that differ most, show so many.", min=0, max=1000)] = 24,
    sample: Annotated[
        int | None, typer.Option(help="Read so many records of each, chosen by their keys' hash.", min=1)
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare what two generations say of the same images: keywords gained and lost, texts, categories, failures.

    Lists both and reads what is in both; memory does not grow with the library. Images that differ most are found by
    the weighted Jaccard index of their keywords, in which what stands first counts most.

    \b
    Examples:
      stockmeta generation compare s3://photos serving filling --out report/
      stockmeta generation compare s3://photos/2026 serving filling --sample 5000 --json
      stockmeta generation compare photos/ 0123456789ab ba9876543210 --limit 100 --out report/
    """  # noqa: D301 - \b keeps the lines of the examples apart
    from worker.commands import compare as command

    library, (a, b) = split(words, 2, 2)
    asked = command.Asked(a, b, out=out, limit=limit, sample=sample, as_json=as_json)
    raise typer.Exit(command.run(load_settings(library=library, output=output), asked))


@app.command()
def promote(
    words: LibraryAndOne,
    output: Output = None,
    force: Annotated[
        bool, typer.Option("--force", help="Even if it has fewer records than the serving one; counts nothing.")
    ] = False,
) -> None:
    """Let a generation serve. Refused if it has fewer records than the serving one, both of which it lists and counts.

    \b
    Examples:
      stockmeta generation promote s3://photos filling
      stockmeta generation promote s3://photos 0123456789ab --force
    """  # noqa: D301 - \b keeps the lines of the examples apart
    from worker.commands import generation

    library, names = split(words, 1, 1)
    raise typer.Exit(generation.run_promote(load_settings(library=library, output=output), names[0], force=force))


@app.command()
def rollback(library: Library = None, output: Output = None) -> None:
    """Let the generation serve again that served before: one step back each time.

    \b
    Examples:
      stockmeta generation rollback s3://photos
    """  # noqa: D301 - \b keeps the lines of the examples apart
    from worker.commands import generation

    raise typer.Exit(generation.run_rollback(load_settings(library=library, output=output)))


@app.command()
def drop(
    words: LibraryAndOne,
    output: Output = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be removed.")] = False,
) -> None:
    """Remove a generation that does not serve: all its records, and nothing that people decided.

    One that is being filled is given up: uploads are not written to it any more. Run again, it goes on where it was
    ended. Refused while workers make it, as far as STOCKMETA_BROKER_URL tells of them.

    \b
    Examples:
      stockmeta generation drop s3://photos filling --dry-run
      stockmeta generation drop s3://photos 0123456789ab --yes
    """  # noqa: D301 - \b keeps the lines of the examples apart
    from worker.commands import generation

    library, names = split(words, 1, 1)
    raise typer.Exit(
        generation.run_drop(load_settings(library=library, output=output), names[0], yes=yes, dry_run=dry_run)
    )


@app.command()
def pack(
    words: Annotated[
        list[str] | None,
        typer.Argument(help=f"{WHERE}, and {WHICH} The serving one by default.", metavar="[LIBRARY] [G]"),
    ] = None,
    output: Output = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be written.")] = False,
) -> None:
    """Copy what a re-score needs of a generation into few large files, so that it saves a request an image.

    All images of the bucket are packed, whatever prefix is given. Run again, it writes what has changed since; killed,
    it goes on. The sidecars stay as they are, and count for more wherever a pack is outdated or broken.

    Exit status: 0 all packed, 1 some sidecars cannot be packed (they are named), 2 wrong usage.

    \b
    Examples:
      stockmeta generation pack s3://photos
      stockmeta generation pack s3://photos previous --dry-run
    """  # noqa: D301 - \b keeps the lines of the examples apart
    from worker.commands import pack as command

    library, names = split(words or (), 0, 1)
    settings = load_settings(library=library, output=output)
    raise typer.Exit(command.run(settings, names[0] if names else None, dry_run=dry_run))

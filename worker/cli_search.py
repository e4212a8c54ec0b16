"""The command `stockmeta search`."""

import os
import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from tasks.errors import ConfigurationError
from worker.settings import load_settings


def search(
    text: Annotated[
        str | None,
        typer.Argument(
            help="What to search for, in words; not needed with --like.", metavar="TEXT", show_default=False
        ),
    ] = None,
    library: Annotated[
        str | None,
        typer.Argument(
            help="A folder or s3://bucket/prefix; default: STOCKMETA_LIBRARY.", metavar="LIBRARY", show_default=False
        ),
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(
            help="Find what looks like this: an image of the library, by key or path, or any other file.",
            metavar="IMAGE",
        ),
    ] = None,
    limit: Annotated[int, typer.Option(help="At most so many hits.", min=1, max=10_000)] = 20,
    language: Annotated[
        str | None, typer.Option(help="Of the text and of the keywords shown, such as ko; default: by its letters.")
    ] = None,
    category: Annotated[
        list[str] | None,
        typer.Option(help="Only this category: its label, or scheme:id; may be given again.", metavar="CATEGORY"),
    ] = None,
    orientation: Annotated[
        Literal["landscape", "portrait", "square"] | None, typer.Option(help="Only pictures of this shape.")
    ] = None,
    color: Annotated[
        list[str] | None,
        typer.Option(help="Only pictures with this dominant colour, such as red; may be given again.", metavar="COLOR"),
    ] = None,
    people: Annotated[
        bool | None, typer.Option("--people/--no-people", help="Only pictures with people, or surely without.")
    ] = None,
    prefix: Annotated[str, typer.Option(help="Only keys that begin so.", metavar="PREFIX")] = "",
    words_only: Annotated[
        bool, typer.Option("--words-only", help="By keywords and texts alone; needs no model.")
    ] = False,
    fold: Annotated[bool, typer.Option("--fold/--no-fold", help="Near-duplicates as one hit.")] = True,
    index: Annotated[Literal["local", "opensearch"], typer.Option(help="Which index to search.")] = "local",
    index_folder: Annotated[
        Path | None, typer.Option(help="Of the local index; default: the library's own in the cache.", metavar="DIR")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the OpenSearch alias, as the feed has it.")] = None,
    url: Annotated[str | None, typer.Option(help="Of OpenSearch, as the feed has it.")] = None,
    output: Annotated[
        str | None, typer.Option(help="Where sidecars lie, if not in the library's own .stockmeta/.")
    ] = None,
    sheet: Annotated[Path | None, typer.Option(help="Write a page with the pictures found.", metavar="FILE")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, with what was understood.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what the words were taken to mean, and each hit's places.")
    ] = False,
) -> None:
    """Search a library that was fed to an index: one hit a line, the best first: key, score, why.

    Words are understood in every language of the vocabulary; hits by words and by meaning are fused.

    Exit status: 0 searched, also where nothing was found; 1 the index does not answer; 2 wrong usage, or no index yet.

    \b
    Examples:
      stockmeta search "dog on a beach" photos/
      stockmeta search "해변의 강아지" photos/ --language ko --limit 5
      stockmeta search photos/ --like photos/2024/dog.jpg
      stockmeta search sunset s3://photos --index opensearch --orientation landscape --no-people
      stockmeta search "red car" photos/ --color red --sheet hits.html
    """  # noqa: D301 - \b keeps the lines of the examples apart
    text, library = sorted_out(text, library, like)
    if language is not None and not re.fullmatch("[a-z]{2,3}", language := language.lower()):
        raise ConfigurationError(f"--language {language}: give its code of two letters, such as en or ko")
    settings = load_settings(library=library, output=output)
    # Not before: every other command would wait for it.
    from tasks.searching.ports import Filters
    from worker.commands import search as command
    from worker.searching.engines import Place
    from worker.searching.filters import find_categories, find_colors

    query = command.Query(
        text=text,
        like=like,
        language=language,
        filters=Filters(
            categories=find_categories(category or (), settings.schemes or ()),
            orientation=orientation,
            colors=find_colors(color or ()),
            people=people,
            prefix=prefix,
        ),
        limit=limit,
        words_only=words_only,
        folded=fold,
        sheet=sheet,
        as_json=as_json,
        explain=explain,
    )
    raise typer.Exit(command.run(settings, Place(index, index_folder, url, name), query))


def sorted_out(text: str | None, library: str | None, like: str | None) -> tuple[str, str | None]:
    """Which of the arguments is the text and which the library, whatever their order.

    Raises:
        ConfigurationError: there is nothing to search for.
    """
    if text is not None and library is None and (like is not None or _is_place(text)):
        # One argument: with --like it is the library, unless that is set and this is no place.
        if _is_place(text) or load_settings().library is None:
            text, library = None, text
    elif text is not None and library is not None and _is_place(text) and not _is_place(library):
        text, library = library, text
    if not (text or "").strip() and like is None:
        raise ConfigurationError("there is nothing to search for: give a text, or --like IMAGE")
    return (text or "").encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip(), library


def _is_place(argument: str) -> bool:
    # Unlike Path.is_dir, this takes a text that is too long for a path.
    return argument.startswith("s3://") or os.path.isdir(argument)  # noqa: PTH112 - as said


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(search)

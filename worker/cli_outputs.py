"""The commands that hand metadata on: `stockmeta write` into pictures, `stockmeta export` into agencies' files."""

from typing import Annotated

import typer

Library = Annotated[
    str, typer.Argument(help="Images with sidecars: a folder, or s3://bucket/prefix.", metavar="LIBRARY")
]
Output = Annotated[
    str | None,
    typer.Option(help="Where the sidecars lie: a folder or s3://bucket/prefix; default: .stockmeta/ in the library."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""

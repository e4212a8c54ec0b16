"""The commands that hand metadata on: `stockmeta write` into pictures, `stockmeta export` into agencies' files."""

from pathlib import Path
from typing import Annotated

import typer

from tasks.errors import ConfigurationError
from worker.metadata.beside import Naming
from worker.metadata.merge import Merge
from worker.settings import load_settings

Library = Annotated[
    str, typer.Argument(help="Images with sidecars: a folder, or s3://bucket/prefix.", metavar="LIBRARY")
]
Output = Annotated[
    str | None,
    typer.Option(help="Where the sidecars lie: a folder or s3://bucket/prefix; default: .stockmeta/ in the library."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(write)
    app.command()(export)


def write(
    library: Library,
    xmp: Annotated[bool, typer.Option("--xmp", help="Write .xmp sidecars, and leave the images alone.")] = False,
    embed: Annotated[
        bool, typer.Option("--embed", help="Write into JPEG, PNG, WebP and TIFF files; needs exiftool.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write sidecars or copies into this folder.", metavar="DIR")] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Write into the library itself; tags nothing anew.")
    ] = False,
    merge: Annotated[
        Merge,
        typer.Option(help="keep: what a person wrote stays; add: ours come after theirs; replace: ours instead."),
    ] = Merge.KEEP,
    naming: Annotated[
        Naming, typer.Option(help="Of sidecars. adobe: photo.xmp; full: photo.jpg.xmp, as for darktable.")
    ] = Naming.ADOBE,
    language: Annotated[
        str | None, typer.Option(help="Of the keywords, such as en or ko; with en,ko both, the English ones first.")
    ] = None,
    output: Output = None,
    policy: Annotated[Path | None, typer.Option(help="As for stockmeta tag.", metavar="FILE")] = None,
    vocabulary: Annotated[Path | None, typer.Option(help="As for stockmeta tag.", metavar="FILE")] = None,
    exiftool: Annotated[str | None, typer.Option(help="The program, if it is not in the PATH.", metavar="FILE")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be written.")] = False,
) -> None:
    """Write titles, descriptions, alt texts and keywords as XMP: into images, or into .xmp sidecars.

    One JSON object a line says what became of each image. The pixels stay as they are, which is checked. A second run
    skips what is written already.

    Exit status: 0 all well, 1 some failed (their lines say why), 2 wrong usage.

    \b
    Examples:
      stockmeta write photos/ --xmp --out xmp/
      stockmeta write photos/ --embed --out ready/ --merge add --language en,ko
      stockmeta write s3://photos/2026 --embed --in-place
      stockmeta write photos/ --xmp --in-place --dry-run | jq -c '[.target, .values.keywords]'
    """  # noqa: D301 - \b keeps the lines of the examples apart
    from worker.commands import write as command

    if xmp == embed:
        raise ConfigurationError("say which: --xmp (sidecars) or --embed (into the images)")
    if (out is None) != in_place:
        raise ConfigurationError("say where: --out DIR, or --in-place")
    settings = load_settings(
        library=library,
        output=output,
        languages=language,
        policy=policy,
        vocabulary=vocabulary,
        exiftool=exiftool,
    )
    raise typer.Exit(command.run(settings, command.Options(embed, out, merge, naming, dry_run)))


def export(
    library: Library,
    agency: Annotated[str, typer.Option(help="A name, such as adobe, or a file of your own: docs/agencies.md.")],
    out: Annotated[
        Path | None,
        typer.Option(help="The CSV file; several, numbered, where one is too long. Default: standard output."),
    ] = None,
    output: Output = None,
    policy: Annotated[
        Path | None, typer.Option(help="A policy file, for its agencies' limits and its words.", metavar="FILE")
    ] = None,
    editorial: Annotated[
        bool,
        typer.Option("--editorial", help="For editorial use: captions get a dateline of the file's date and place."),
    ] = False,
    allow: Annotated[
        list[str] | None,
        typer.Option(help="Do not look at this rule, such as flag_text; may be given again.", metavar="RULE"),
    ] = None,
    include_refused: Annotated[
        bool, typer.Option("--include-refused", help="Write rows too that the agency would refuse.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Where to list what would be refused; default: standard error.", metavar="FILE")
    ] = None,
    check_source: Annotated[
        bool, typer.Option("--check-source", help="Refuse images that were replaced or removed since they were tagged.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be refused.")] = False,
) -> None:
    """Write an agency's upload file from the sidecars of a library, and say what the agency would refuse and why.

    Agencies: adobe, alamy, bigstock, depositphotos, dreamstime, envato, freepik, getty, shutterstock, vecteezy; and
    iptc, a table of IPTC fields. What would be refused is left out of the file and listed, one JSON object a reason.

    Exit status: 0 nothing refused, 1 some images refused or broken, 2 wrong usage.

    \b
    Examples:
      stockmeta export photos/ --agency shutterstock --out upload.csv
      stockmeta export s3://photos/2026 --agency adobe --out adobe.csv --report refused.ndjson
      stockmeta export photos/ --agency shutterstock --editorial --allow flag_text > editorial.csv
      stockmeta export photos/ --output sidecars/ --agency getty --dry-run 2>&1 | jq -r .reason | sort | uniq -c
    """  # noqa: D301 - \b keeps the lines of the examples apart
    from worker.commands import export as command

    options = command.Options(
        agency,
        out,
        report,
        editorial=editorial,
        allow=frozenset(allow or ()),
        include_refused=include_refused,
        check_source=check_source,
        dry_run=dry_run,
    )
    raise typer.Exit(command.run(load_settings(library=library, output=output, policy=policy), options))

"""The commands of `stockmeta taxonomy`."""

from pathlib import Path
from typing import Annotated

import typer

from worker.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="The vocabulary: whether it is sound, what is in it, what changed.")

Vocabulary = Annotated[
    Path | None, typer.Option(help="A taxonomy file; default: STOCKMETA_VOCABULARY or the shipped one.", metavar="FILE")
]
Policy = Annotated[Path | None, typer.Option(help="A policy file; default: STOCKMETA_POLICY or none.", metavar="FILE")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@app.command()
def validate(
    path: Annotated[
        Path | None, typer.Argument(help="A taxonomy file or a folder; default: the shipped one.", metavar="[FILE]")
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="A policy file, checked as well.", metavar="FILE")] = None,
    notes: Annotated[bool, typer.Option("--notes", help="Also what is worth a look and no mistake.")] = False,
) -> None:
    """Check a taxonomy, and a policy if one is given: every problem as FILE:LINE: what is wrong and what to do.

    Notes are words that several concepts share (they have hints, and fold at output) and words that are also a brand.
    Category schemes in STOCKMETA_SCHEMES are checked too. The policy is checked with FILE's words.

    Exit status: 0 sound, 1 problems, 2 wrong usage or a file that cannot be read.

    \b
    Examples:
      stockmeta taxonomy validate
      stockmeta taxonomy validate our-concepts.tsv
      stockmeta taxonomy validate --policy policy.toml --notes
    """  # noqa: D301 - \b keeps the lines of the examples apart
    from worker.commands import taxonomy as command

    raise typer.Exit(command.run_validate(load_settings(policy=policy), path, notes=notes))


@app.command()
def stats(vocabulary: Vocabulary = None, policy: Policy = None, as_json: AsJson = False) -> None:
    """Count what there is: concepts by facet and tier, languages, depth, shared words, categories."""
    from worker.commands import taxonomy as command

    raise typer.Exit(command.run_stats(load_settings(vocabulary=vocabulary, policy=policy), as_json=as_json))


@app.command()
def show(
    term: Annotated[str, typer.Argument(help="A word in any form or language, with * and ? if you like, or an id.")],
    vocabulary: Vocabulary = None,
    policy: Policy = None,
    as_json: AsJson = False,
) -> None:
    """Say all that is known of a concept: path, children, words, labels, categories, what shares its words.

    A word with several meanings shows each. Exit status 1 if there is no such word; close ones are named.

    \b
    Examples:
      stockmeta taxonomy show crane
      stockmeta taxonomy show 두루미
      stockmeta taxonomy show 'coffee*' --json | jq -r .name
    """  # noqa: D301 - \b keeps the lines of the examples apart
    from worker.commands import taxonomy as command

    raise typer.Exit(command.run_show(load_settings(vocabulary=vocabulary, policy=policy), term, as_json=as_json))


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="A taxonomy folder or file.")],
    new: Annotated[Path, typer.Argument(help="Another.")],
    as_json: AsJson = False,
) -> None:
    """Compare two taxonomies: what was added, removed, renamed, moved, changed; labels, categories, relations too.

    Exit status, as of diff(1): 0 the same, 1 different, 2 wrong usage.

    \b
    Examples:
      git worktree add ../before v1 && stockmeta taxonomy diff ../before/taxonomy/data taxonomy/data
      stockmeta taxonomy diff old.tsv new.tsv --json | jq -r 'select(.kind == "moved") | .name'
    """  # noqa: D301 - \b keeps the lines of the examples apart
    from worker.commands import taxonomy as command

    raise typer.Exit(command.run_diff(old, new, as_json=as_json))

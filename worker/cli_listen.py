"""`stockmeta listen …`: one command for each source of events."""

from typing import Annotated

import typer

from worker.settings import load_settings

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)

Library = Annotated[
    str | None, typer.Option(help="A folder, or s3://bucket/prefix; default: STOCKMETA_LIBRARY.", metavar="LIBRARY")
]


@app.callback()
def listen() -> None:
    """Turn events into messages for the workers: images that come, change, go or move.

    An event is a hint. Workers look at what is there when they come to it, so it does not matter how often and in which
    order events arrive. What nobody told of while no listener ran is not found here.

    Needs STOCKMETA_BROKER_URL and STOCKMETA_LIBRARY. Ends at SIGTERM or Ctrl-C with status 0.
    """


@app.command()
def sqs(
    queue_url: Annotated[
        str, typer.Option(help="As `aws sqs get-queue-url` prints it; it tells the region, too.", metavar="URL")
    ],
    library: Library = None,
) -> None:
    """Take events of S3 or EventBridge out of an SQS queue.

    A message is deleted from SQS when what it says is in the queue of the workers, not before. While that is away,
    events wait in SQS.

    \b
    Example:
      stockmeta listen sqs --queue-url https://sqs.eu-west-1.amazonaws.com/123456789012/uploads
    """  # noqa: D301 - \b keeps the lines of the example apart
    from worker.commands import listen as command

    raise typer.Exit(command.sqs(load_settings(library=library), queue_url))


@app.command()
def webhook(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8080,
    hold: Annotated[
        float,
        typer.Option(help="Seconds for which a request is held while the queue is away, before the answer 503.", min=0),
    ] = 8.0,
    insecure: Annotated[bool, typer.Option("--insecure", help="Take events from anybody, without a secret.")] = False,
    library: Library = None,
) -> None:
    """Take events of MinIO, S3 or SeaweedFS over HTTP.

    Senders POST to / and present STOCKMETA_WEBHOOK_SECRET as `Authorization: Bearer …`. The answer is 200 when what an
    event says is in the queue, and 503 while it cannot be.

    \b
    Example:
      STOCKMETA_WEBHOOK_SECRET=… stockmeta listen webhook --host 0.0.0.0 --port 8080
    """  # noqa: D301 - \b keeps the lines of the example apart
    from worker.commands import listen as command

    raise typer.Exit(command.webhook(load_settings(library=library), host, port, hold=hold, insecure=insecure))


@app.command()
def folder(
    settle: Annotated[
        float, typer.Option(help="Seconds without a change after which a file counts as whole.", min=0.1)
    ] = 2.0,
    poll: Annotated[
        bool, typer.Option("--poll", help="Look at every file each second: for network mounts, which send no events.")
    ] = False,
    library: Library = None,
) -> None:
    """Watch the library's folder, and everything below it.

    \b
    Example:
      stockmeta listen folder --library /srv/photos
    """  # noqa: D301 - \b keeps the lines of the example apart
    from worker.commands import listen as command

    raise typer.Exit(command.folder(load_settings(library=library), settle=settle, poll=poll))

"""What to do about what became of images, and after a bulk run: one sentence each."""

import shlex
from typing import NamedTuple

from tasks.bulk.results import Counts, Result
from tasks.errors import Reason

FAILED_PAGE = "docs/commands/failed.md"
BACKFILL_PAGE = "docs/backfill.md"


class Advice(NamedTuple):
    """What an outcome means and what to do about it, and the page with more."""

    text: str
    page: str = FAILED_PAGE


REASONS = {
    Reason.EMPTY: Advice("The file has no bytes. Upload it again."),
    Reason.TOO_MANY_BYTES: Advice("It is larger than STOCKMETA_MAX_BYTES. Raise that if it is a picture of yours."),
    Reason.TOO_MANY_PIXELS: Advice("It has more pixels than STOCKMETA_MAX_PIXELS. Raise that if it is one of yours."),
    Reason.UNSUPPORTED: Advice("It is no image, or of a format that is not decoded. See STOCKMETA_FORMATS."),
    Reason.UNREADABLE: Advice("The file is damaged. Upload it again from its origin."),
    Reason.TRUNCATED: Advice("The file ends too early, as after an upload that broke off. Upload it again."),
    Reason.DECODER_CRASHED: Advice(
        "It crashed the decoder, which harms nothing else. Convert it with another program."
    ),
    Reason.DECODER_TIMEOUT: Advice("It took longer than STOCKMETA_DECODE_SECONDS to decode. Raise that, and retry."),
    Reason.DECODER_MEMORY: Advice("It needs more than STOCKMETA_DECODE_MEMORY_MIB to decode. Raise that, and retry."),
    Reason.WORKER_CRASHED: Advice(
        "It brought down a process with nothing else in it, three times. Retry with more memory."
    ),
    Reason.WORKER_TIMEOUT: Advice("It took longer than STOCKMETA_SUSPECT_SECONDS by itself, three times."),
    Reason.INTERNAL: Advice("A bug of ours that no other picture meets. Please report it."),
    Reason.KEY_TOO_LONG: Advice("Its key is too long for a record beside it. Rename it, or keep outputs in a bucket."),
    Reason.KEY_INVALID: Advice("The store cannot hold a record under its key, or it lies among outputs. Rename it."),
}
"""By the reason of a record."""

OUTCOMES = {
    "tagged": Advice("Metadata were written.", BACKFILL_PAGE),
    "empty": Advice("It was read, and no keyword is certain enough. Nothing to do.", "docs/policy.md"),
    "failed/vanished": Advice(
        "It was deleted while the run went on; so were its records. Nothing to do.", BACKFILL_PAGE
    ),
}


def advice(outcome: str) -> Advice:
    """What to do about images with this outcome, `status` or `status/reason`."""
    status, _, reason = outcome.partition("/")
    if found := OUTCOMES.get(outcome) or OUTCOMES.get(status):
        return found
    known = next((REASONS[known] for known in REASONS if known == reason), None)
    return known or Advice("The image's record says more: stockmeta failed show KEY.")


def _left_to_a_backfill(left: Counts | None) -> bool:
    """Whether a re-score has done all that it can: the same command would find nothing more to do."""
    return left is not None and left.complete and not left.sent and left.unstored > 0


def next_steps(result: Result) -> tuple[str, ...]:
    """What to do next, the most urgent first."""
    library, left = shlex.quote(result.library), result.passes[-1] if result.passes else None
    steps = []
    if result.dry_run:
        due = left.sent if left else 0
        if due:
            return (f"Run it without --dry-run: {due:,} images are to be worked on.",)
        return ("Nothing is to be done.",)
    if result.interrupted:
        steps.append("Run the same command again: it goes on where this one ended.")
    elif not (result.converged or _left_to_a_backfill(left)):
        steps.append("Run the same command again until it says that it is complete.")
    if result.not_ended:
        steps.append(f"{result.not_ended:,} images were sent and have not ended: look at stockmeta status.")
    if left and left.unstored:
        steps.append(
            f"Of {left.unstored:,} images nothing is stored that could be scored: stockmeta backfill {library}, "
            "with the same settings"
        )
    if any(kept.reason == "too_many" for kept in result.kept):
        steps.append("Look at the records without an image before you remove them with --max-orphans.")
    if result.rejected or (left and left.terminal):
        steps.append(
            f"See why images have no metadata: stockmeta failed list --library {library}. "
            f"When the cause is put right: stockmeta backfill {library} --only failed"
        )
    if left and left.complete and not left.images and not steps:
        steps.append("No image was found: look whether it is the right place.")
    return tuple(steps) or ("Nothing is to be done.",)

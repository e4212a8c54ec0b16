"""How fast captions are generated, against a plain loop over open_clip's own forward; docs/speed.md has the figures.

`coca_ViT-B-32` with random weights, fp32, on the processor. Both sides take the same batch of images, encode them once,
and take the likeliest token so many times; the plain loop gives open_clip all tokens so far each time, which is what
can be done with it, as its own `generate` does not work here. Random weights hardly ever end a caption, so the length
is forced on both: every caption has it. The tokens of both are compared.
"""

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import open_clip
import torch

from worker.captioners.coca_steps import CocaSteps
from worker.captioners.decoding import Decoding, search

MODEL = "coca_ViT-B-32"


def main() -> int:
    """Returns the exit status: 1 if the two do not say the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument(
        "--tokens", type=int, default=15, help="a caption's length; people's on COCO have 13 on average"
    )
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--beams", type=int, default=4)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    model, images = prepared(given.batch)
    ours = Decoding(1, given.tokens, given.tokens, 0.0, 0)
    beams = Decoding(given.beams, given.tokens, given.tokens, 0.6, 3)
    print(
        f"{MODEL}, random weights, fp32, {given.threads} threads, batch {given.batch}, {given.tokens} tokens a caption"
    )
    ways: dict[str, Callable[[], Any]] = {
        "image tower alone": lambda: encoded(model, images),
        "plain loop": lambda: plain(model, images, given.tokens),
        "ours, greedy": lambda: decoded(model, images, ours),
        f"ours, {given.beams} beams": lambda: decoded(model, images, beams),
    }
    seconds = dict.fromkeys(ways, float("inf"))
    results: dict[str, Any] = {}
    # In turn, so that what disturbs the machine disturbs all.
    for _ in range(given.rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            results[name] = way()
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    print(f"{'':>20} {'images a second':>16} {'against the plain loop':>24}")
    for name in ways:
        print(f"{name:>20} {given.batch / seconds[name]:>16.2f} {seconds['plain loop'] / seconds[name]:>24.1f}")
    same = np.mean([a == b for a, b in zip(results["plain loop"], results["ours, greedy"], strict=True)])
    different = len(set(results["ours, greedy"]))
    print(f"{same:.0%} of the captions are the plain loop's, {different} of {given.batch} differ from each other")
    return 0 if same == 1 and different > 1 else 1


def prepared(batch: int) -> tuple[Any, torch.Tensor]:
    """The model, and images (batch, 3, 224, 224)."""
    generator = torch.Generator().manual_seed(0)
    model = open_clip.create_model(MODEL, precision="fp32").eval()
    with torch.no_grad():
        # open_clip 3.3 does not fill it: all logits would be 0, and any decoder would do.
        model.text_decoder.text_projection.normal_(generator=generator)
    return model, torch.randn(batch, 3, 224, 224, generator=generator)


@torch.inference_mode()
def encoded(model: Any, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings and tokens of the images."""
    found: tuple[torch.Tensor, torch.Tensor] = model._encode_image(images)
    return found


@torch.inference_mode()
def plain(model: Any, images: torch.Tensor, length: int) -> list[tuple[int, ...]]:
    """The likeliest token, `length` times, by open_clip's forward."""
    latent, tokens = encoded(model, images)
    tokenizer = open_clip.get_tokenizer(MODEL)
    text = torch.full((len(images), 1), tokenizer.sot_token_id)
    for place in range(length + 1):
        logits = model(None, text, image_latent=latent, image_embs=tokens, output_labels=False)["logits"][:, -1]
        if place == length:
            break
        logits[:, [tokenizer.eot_token_id, model.pad_id]] = -torch.inf
        text = torch.cat([text, logits.argmax(1)[:, None]], 1)
    return [tuple(row) for row in text[:, 1:].tolist()]


def decoded(model: Any, images: torch.Tensor, decoding: Decoding) -> list[tuple[int, ...]]:
    """The best caption of each image, by our decoding."""
    _, tokens = encoded(model, images)
    tokenizer = open_clip.get_tokenizer(MODEL)
    steps = CocaSteps(
        model,
        tokens.numpy(),
        beams=decoding.beams,
        start=tokenizer.sot_token_id,
        end=tokenizer.eot_token_id,
        # One step more, which ends every caption: as many steps as the plain loop's.
        length=decoding.max_tokens + 1,
    )
    longer = Decoding(
        decoding.beams, decoding.max_tokens + 1, decoding.max_tokens, decoding.length_penalty, decoding.no_repeat
    )
    return [hypotheses[0].tokens[: decoding.max_tokens] for hypotheses in search(steps, len(images), longer)]


if __name__ == "__main__":
    sys.exit(main())

"""One picture on the command line: `falip look IMAGE --box x0,y0,x1,y1 --text "..." --prompt falip,red_circle`."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from falip.errors import UserError
from falip.reading import MEGAPIXELS

if TYPE_CHECKING:
    from PIL import Image

    from falip.backbone import Backbone
    from falip.picture.inputs import MorePrompts
    from falip.picture.table import Scored
    from falip.regions import Region
    from falip.views import Prompt

EXAMPLE = """example:
  {program} kitchen.jpg --box 40,60,220,300 --text "a photo of a cup" --text "a photo of a plate" \\
      --prompt falip,red_circle --out kitchen_attention.png

Scores of every text for each region, under plain CLIP and under each prompt, and with --out a page: all scores on one
axis, and for each prompt what the model sees, the foveal mask, and the attention before and after."""


def main(
    argv: Sequence[str] | None = None,
    program: str = "python -m falip",
    more: Callable[[Path | None], MorePrompts] | None = None,
) -> int:
    """0, or 2 if the user must mend something.

    Args:
        argv: The arguments; those of the process if None.
        program: What the help calls the command.
        more: Gives prompts beside those that the library has names for, also of the folder that --config-dir names.
    """
    arguments = _parser(program, more is not None).parse_args(argv)
    with _warnings_shown():
        try:
            _run(arguments, more(arguments.config_dir) if more else None)
        except UserError as error:
            sys.stderr.write(f"error: {printable(str(error))}\n")
            return 2
    return 0


@contextmanager
def _warnings_shown() -> Iterator[None]:
    """What the library warns of goes to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("warning: %(message)s"))
    logger = logging.getLogger("falip")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def printable(text: str) -> str:
    """Text of which what is not valid Unicode, such as a file name's stray bytes, is written as escapes."""
    return text.encode(errors="backslashreplace").decode()


def _parser(program: str, more: bool) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="Shows how CLIP scores texts for regions of a picture, with and without visual prompts.",
        epilog=EXAMPLE.replace("{program}", program),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_regions(parser)
    parser.add_argument("--text", action="append", default=[], required=True, help="a text to score; may be repeated")
    parser.add_argument(
        "--prompt",
        default="falip",
        help="prompts, separated by commas: plain, crop, blur, red_circle, shade, grayscale, foveal (or falip), and "
        "read-outs: maskclip, sclip, naclip, clearclip, surgery, roi_align, text_region, mask_inversion ...; "
        + ("every other of `falip list prompts`; " if more else "")
        + "+ joins two in one view, as in red_circle+foveal (%(default)s)",
    )
    if more:
        parser.add_argument("--config-dir", type=Path, help="a folder of your own, whose prompt/*.yaml are prompts too")
    parser.add_argument(
        "--backbone",
        help="tiny (embedded), "
        + ("another of `falip list backbones`, " if more else "")
        + "a hub id such as openai/clip-vit-base-patch16, or a folder (the best CLIP of OpenAI in the hub's cache, else "
        "tiny)",
    )
    parser.add_argument("--out", type=Path, help="write the page here (.png, .pdf, .svg), and more as NAME-2 and so on")
    parser.add_argument("--heads", action="store_true", help="draw each head, which a page of one block does by itself")
    parser.add_argument("--json", action="store_true", help="print the scores as JSON")
    parser.add_argument("--alpha", type=float, default=0.2, help="largest value of the foveal mask (%(default)s)")
    parser.add_argument("--sigma", type=float, default=100.0, help="its standard deviation in tokens (%(default)s)")
    parser.add_argument("--layers", type=int, default=4, help="it is added in the last so many layers (%(default)s)")
    return parser


def _add_regions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", type=Path, help="a picture file; it is turned as its EXIF data say")
    parser.add_argument(
        "--box", action="append", default=[], metavar="x0,y0,x1,y1", help="a region in pixels; may be repeated"
    )
    parser.add_argument(
        "--mask",
        action="append",
        default=[],
        metavar="FILE[:ID]",
        help="a region as a picture of the same size: not 0 inside, or of the number ID (colours: R + 256 G + 65536 B); "
        "may be repeated",
    )
    parser.add_argument(
        "--accept-outside", action="store_true", help="take boxes of which most end outside of the picture, cut to it"
    )
    parser.add_argument(
        "--megapixels", type=float, default=MEGAPIXELS, help="the largest picture that is decoded (%(default)s)"
    )


def _run(arguments: argparse.Namespace, more: MorePrompts | None) -> None:
    # Imported here, so that --help answers at once.
    from falip.picture.content import scores_of
    from falip.picture.inputs import check_texts, picture_reader, read_boxes, read_mask, read_prompts
    from falip.prompts import Foveal

    check_texts(arguments.text)
    reader = picture_reader(arguments.megapixels)
    image = reader.picture(arguments.image)
    boxes = read_boxes(arguments.box, image, arguments.accept_outside)
    regions = {f"box {text}": region for text, region in boxes.items()}
    regions |= {f"mask {printable(Path(text).name)}": read_mask(text, image, reader) for text in arguments.mask}
    if not regions:
        raise UserError(f"No region of {arguments.image} is given. Add --box x0,y0,x1,y1 or --mask FILE.")
    if not arguments.sigma > 0:
        raise UserError(f"--sigma {arguments.sigma}: give a number above 0.")
    prompts = read_prompts(arguments.prompt, Foveal(arguments.alpha, arguments.sigma, arguments.layers), more)
    backbone, name = _backbone(arguments, more)
    scored = scores_of(backbone, name, image, regions, prompts, arguments.text, printable(str(arguments.image)))
    sys.stdout.write((json.dumps(scored.json(), indent=1, ensure_ascii=False) if arguments.json else scored.text()) + "\n")
    if arguments.out:
        _draw(arguments, backbone, image, list(regions.values()), prompts, scored)


def _backbone(arguments: argparse.Namespace, more: MorePrompts | None) -> tuple[Backbone, str]:
    """The backbone that is named, or the best that is here, and what it is called; its limits are warned of."""
    from falip.backbone import load_backbone
    from falip.picture.backbones import best_here, warnings

    if arguments.backbone:
        name, revision = more.weights(arguments.backbone) if more else (arguments.backbone, None)
    else:
        name, revision = best_here()
        sys.stderr.write(f"backbone: {name}, the best that is here; --backbone names another\n")
    backbone = load_backbone(name, revision=revision)
    for words in warnings(backbone, arguments.text):
        logging.getLogger("falip").warning("%s", words)
    return backbone, name


def _draw(
    arguments: argparse.Namespace,
    backbone: Backbone,
    image: Image.Image,
    regions: Sequence[Region],
    prompts: Mapping[str, Prompt],
    scored: Scored,
) -> None:
    from falip.picture.content import content_of
    from falip.picture.page import write

    heading = f"{printable(arguments.image.name)} seen by {scored.backbone}"
    content = content_of(backbone, image, regions, prompts, scored, heading, arguments.heads or None)
    for path in write(content, arguments.out):
        sys.stderr.write(f"wrote {path}\n")


if __name__ == "__main__":
    sys.exit(main())

"""Phrases that a class name is put into several of, so that their embeddings are averaged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from falip.errors import UserError

# CLIP, notebooks/Prompt_Engineering_for_ImageNet.ipynb: 80 templates, "a" whatever the name begins with.
_IMAGENET = """\
a bad photo of a {}.|a photo of many {}.|a sculpture of a {}.|a photo of the hard to see {}.
a low resolution photo of the {}.|a rendering of a {}.|graffiti of a {}.|a bad photo of the {}.
a cropped photo of the {}.|a tattoo of a {}.|the embroidered {}.|a photo of a hard to see {}.
a bright photo of a {}.|a photo of a clean {}.|a photo of a dirty {}.|a dark photo of the {}.
a drawing of a {}.|a photo of my {}.|the plastic {}.|a photo of the cool {}.
a close-up photo of a {}.|a black and white photo of the {}.|a painting of the {}.|a painting of a {}.
a pixelated photo of the {}.|a sculpture of the {}.|a bright photo of the {}.|a cropped photo of a {}.
a plastic {}.|a photo of the dirty {}.|a jpeg corrupted photo of a {}.|a blurry photo of the {}.
a photo of the {}.|a good photo of the {}.|a rendering of the {}.|a {} in a video game.
a photo of one {}.|a doodle of a {}.|a close-up photo of the {}.|a photo of a {}.
the origami {}.|the {} in a video game.|a sketch of a {}.|a doodle of the {}.
a origami {}.|a low resolution photo of a {}.|the toy {}.|a rendition of the {}.
a photo of the clean {}.|a photo of a large {}.|a rendition of a {}.|a photo of a nice {}.
a photo of a weird {}.|a blurry photo of a {}.|a cartoon {}.|art of a {}.
a sketch of the {}.|a embroidered {}.|a pixelated photo of a {}.|itap of the {}.
a jpeg corrupted photo of the {}.|a good photo of a {}.|a plushie {}.|a photo of the nice {}.
a photo of the small {}.|a photo of the weird {}.|the cartoon {}.|art of the {}.
a drawing of the {}.|a photo of the large {}.|a black and white photo of a {}.|the plushie {}.
a dark photo of a {}.|itap of a {}.|graffiti of the {}.|a toy {}.
itap of my {}.|a photo of a cool {}.|a photo of a small {}.|a tattoo of the {}."""
IMAGENET80 = tuple(_IMAGENET.replace("\n", "|").split("|"))

# ViLD (tensorflow/tpu, models/official/detection/projects/vild): 63 templates; "@" is "a" or "an".
_VILD = """\
There is @ {} in the scene.|There is the {} in the scene.|a photo of @ {} in the scene.|a photo of the {} in the scene.
a photo of one {} in the scene.|itap of @ {}.|itap of my {}.|itap of the {}.|a photo of @ {}.|a photo of my {}.
a photo of the {}.|a photo of one {}.|a photo of many {}.|a good photo of @ {}.|a good photo of the {}.
a bad photo of @ {}.|a bad photo of the {}.|a photo of a nice {}.|a photo of the nice {}.|a photo of a cool {}.
a photo of the cool {}.|a photo of a weird {}.|a photo of the weird {}.|a photo of a small {}.|a photo of the small {}.
a photo of a large {}.|a photo of the large {}.|a photo of a clean {}.|a photo of the clean {}.|a photo of a dirty {}.
a photo of the dirty {}.|a bright photo of @ {}.|a bright photo of the {}.|a dark photo of @ {}.|a dark photo of the {}.
a photo of a hard to see {}.|a photo of the hard to see {}.|a low resolution photo of @ {}.
a low resolution photo of the {}.|a cropped photo of @ {}.|a cropped photo of the {}.|a close-up photo of @ {}.
a close-up photo of the {}.|a jpeg corrupted photo of @ {}.|a jpeg corrupted photo of the {}.|a blurry photo of @ {}.
a blurry photo of the {}.|a pixelated photo of @ {}.|a pixelated photo of the {}.|a black and white photo of the {}.
a black and white photo of @ {}.|a plastic {}.|the plastic {}.|a toy {}.|the toy {}.|a plushie {}.|the plushie {}.
a cartoon {}.|the cartoon {}.|an embroidered {}.|the embroidered {}.|a painting of the {}.|a painting of a {}."""
VILD63 = tuple(_VILD.replace("\n", "|").split("|"))


def _vild(name: str) -> list[str]:
    """A name as ViLD writes it, in each of its phrases.

    "_" becomes a space and "/" " or ", all in lower case; "This is " stands before phrases that begin with "a" or "the"
    (as DeCLIP, tools/generate_text_embeddings.py, lines 9 to 18 and 136 to 162, does for CLIPSelf's class embeddings).
    """
    plain = name.replace("_", " ").replace("/", " or ").lower().rstrip(".")
    article = "an" if plain[:1] in tuple("aeiou") else "a"
    filled = [template.replace("@", article).replace("{}", plain) for template in VILD63]
    return [f"This is {text}" if text.startswith(("a", "the")) else text for text in filled]


SETS: Mapping[str, Callable[[str], list[str]]] = {
    "imagenet80": lambda name: [template.replace("{}", name) for template in IMAGENET80],
    "vild63": _vild,
}
"""Sets of templates by their names."""


def check_template(template: str | Sequence[str], setting: str) -> None:
    """Refuses a template that would give all classes the same text.

    Raises:
        UserError: If a phrase has no place for the name, or there is none.
    """
    phrases = [template] if isinstance(template, str) else list(template)
    if not phrases:
        raise UserError(f"{setting}=[] has no template. Give at least one, or one of {', '.join(SETS)}.")
    for one in phrases:
        if "{}" not in one and not (isinstance(template, str) and template in SETS):
            raise UserError(
                f"{setting}={one!r} has no {{}} to put the expression or class name in, and is no set of templates: "
                f"{', '.join(SETS)}."
            )


def phrasings(name: str, template: str | Sequence[str]) -> list[str]:
    """A name in every phrase of a set of templates.

    Args:
        name: An expression or class name.
        template: One of `SETS`, or a list of templates with "{}".
    """
    if isinstance(template, str):
        return SETS[template](name)
    return [one.replace("{}", name) for one in template]

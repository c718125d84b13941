"""`falip validate`: what is wrong with a configuration or its data is said before a model is loaded."""

import pytest
from PIL import Image

from benchmarks.data.samples import Picture, Query, Sample, SampleInfo
from benchmarks.data.survey import survey
from benchmarks.validate import main
from falip import Region
from falip.errors import UserError


class _Data:
    """Four samples: a sound one, one whose box ends outside, one that cannot be read, and one with the first one's name."""

    index = tuple(SampleInfo(name, 1, 1) for name in ("a", "b", "c", "a"))
    class_names = ("cat", "dog", "cow")

    def load(self, i):
        if i == 2:
            raise UserError("c.jpg is broken")
        box = (2, 2, 90, 30) if i == 1 else (2, 2, 20, 30)
        picture = Picture(Image.new("RGB", (40, 40)), (Region.from_box(*box),))
        return Sample(self.index[i].id, (picture,), (Query(self.index[i].id, ("cat", "dog")[i == 1], label=int(i == 1)),))


def test_a_survey_counts_and_names_what_is_wrong():
    found = survey(_Data(), lambda sample: sample.pictures, range(4))
    assert (found.samples, found.queries, found.regions) == (4, 3, 3)
    assert found.unread == {"c": "c.jpg is broken"}
    assert found.outside == ["b"] and found.doubled == ["a"] and found.unused == ["cow"]
    assert found.labels == {"cat": 2, "dog": 1}
    assert not found.sound


def test_a_sound_configuration_is_counted_and_drawn(tmp_path, capsys):
    out = tmp_path / "some" / "samples.png"
    arguments = ["task=rec/shapes", "prompt=plain,crop", "task.dataset.scenes=4", "--out", str(out)]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "the settings are sound: 2 runs" in said and "4 samples" in said
    with Image.open(out) as picture:
        assert picture.width > 500


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["prompt=folveal"], "there is no prompt 'folveal'"),
        (["prompt.alpha=big"], "prompt.alpha"),
        (["--samples", "0"], "--samples 0"),
        (["--config-dir", "nowhere"], "--config-dir nowhere"),
        (["task=rec/refcoco", "data_root=nowhere"], "nowhere"),
        (["task=rec/shapes,classification/shapes", "--out", "x.png"], "--out x.png"),
    ],
)
def test_what_cannot_run_is_said(arguments, words, capsys):
    assert main(arguments) == 2
    assert words in capsys.readouterr().err

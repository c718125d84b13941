import pytest

from benchmarks.run.evaluation import Runtime
from benchmarks.settings.building import build, checked_arguments
from falip import Compose, Foveal, UserError

FOVEAL = {"_target_": "falip.Foveal"}


def test_whole_numbers_become_floats_where_floats_are_asked_for():
    made = build(FOVEAL | {"alpha": 1, "layers": 4}, "prompt")
    assert made == Foveal(alpha=1.0, layers=4) and isinstance(made.alpha, float) and isinstance(made.layers, int)


def test_what_is_inside_is_built_too():
    made = build({"_target_": "falip.Compose", "prompts": [{"_target_": "falip.RedCircle"}, FOVEAL]}, "prompt")
    assert isinstance(made, Compose) and [type(p).__name__ for p in made.prompts] == ["RedCircle", "Foveal"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alfa": 1}, r"prompt\.alfa: Foveal has no such setting. Did you mean prompt\.alpha\?"),
        ({"alpha": "abc"}, r"prompt\.alpha='abc': give a number"),
        ({"alpha": True}, r"prompt\.alpha=True: give a number"),
        ({"alpha": float("nan")}, r"prompt\.alpha=nan: give a finite number"),
        ({"layers": 2.5}, r"prompt\.layers=2\.5: give a whole number or a list of a whole number"),
        ({"layers": ["a"]}, r"prompt\.layers"),
        ({"mask_form": "rows"}, r"prompt\.mask_form='rows': give cls_row or all_rows or diagonal"),
        ({"_target_": "falip.Fovea"}, r"prompt\._target_=falip\.Fovea: there is no such class"),
    ],
)
def test_a_bad_setting_is_named_with_its_value(changes, message):
    with pytest.raises(UserError, match=message):
        build(FOVEAL | changes, "prompt")


def test_a_bad_setting_inside_a_list_is_named_by_its_place():
    with pytest.raises(UserError, match=r"prompt\.prompts\[1\]\.sigma='x'"):
        build({"_target_": "falip.Ensemble", "prompts": [FOVEAL, FOVEAL | {"sigma": "x"}]}, "prompt")


def test_the_objects_own_complaint_comes_through_alone():
    with pytest.raises(UserError) as caught:
        build({"_target_": "falip.Compose", "prompts": []}, "prompt")
    assert str(caught.value).startswith("Compose needs at least one")


def test_a_missing_setting_is_named():
    with pytest.raises(UserError, match=r"task\.dataset\.root is missing: RefCOCO needs it"):
        build({"_target_": "benchmarks.data.refcoco.RefCOCO", "name": "refcoco"}, "task.dataset")


@pytest.mark.parametrize("changes", [{"workers": "two"}, {"progress": 1}, {"speed": 3}, {"shard": 0}])
def test_runtime_settings_are_checked_alike(changes):
    with pytest.raises(UserError, match="runtime"):
        checked_arguments(Runtime, changes, "runtime")

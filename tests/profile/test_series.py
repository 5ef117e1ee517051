import pytest

from conescope.profile.series import members


@pytest.mark.parametrize(
    ("models", "names", "steps"),
    [
        (["bert"], ["bert"], [None]),
        (["a/checkpoint-10/", "a/checkpoint-9"], ["checkpoint-9", "checkpoint-10"], [9, 10]),
        (["step100k", "step20k"], ["step20k", "step100k"], [20, 100]),
        (
            ["a/all-MiniLM-L6-v2", "b/all-mpnet-base-v2"],
            ["all-MiniLM-L6-v2", "all-mpnet-base-v2"],
            [None] * 2,
        ),
        (["one/final", "two/final"], ["one-final", "two-final"], [None, None]),
        (["seed1/checkpoint-5", "seed2/checkpoint-5"], ["seed1-checkpoint-5", "seed2-checkpoint-5"], [5, 5]),
        (["v1.0", "v1.5"], ["v1.0", "v1.5"], [None, None]),
        (["../x", "x"], ["1-x", "2-x"], [None, None]),
    ],
)
def test_names_tell_models_apart_and_checkpoints_are_in_order(models, names, steps):
    found = members(models)
    assert [member.name for member in found] == names
    assert [member.step for member in found] == steps


def test_a_model_is_named_once():
    with pytest.raises(ValueError, match="a/b is named twice"):
        members(["a/b", "a/b/"])

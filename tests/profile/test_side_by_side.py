"""Profiles against each other: which layers go together, and what differs beyond both intervals."""

import pytest
import torch

from conescope.profile.side_by_side import compare_profiles, stored_profile
from conescope.results.profiles import ProfileComparison, relative_depth
from conescope.survey import compare, measure
from tests.profile.profiled import cosines, layer, profile


def depths(found, space="b", stack=None):
    return [(each.depth, each.other_depth) for each in found.of(space, stack)]


def test_differences_and_their_intervals_by_hand():
    one = profile(
        layer(0, a=(0.5, 0.03), b=0.5, c=None),
        layer(1, a=(0.5, 0.03), b=0.5, c=(1, 0.1)),
    )
    two = profile(
        layer(0, a=(0.56, 0.04), b=(0.6, 0.2), c=(1, 0.1)),
        layer(1, a=(0.44, 0.04), b=(0.9, 0.2), c=(1, 0.1)),
    )
    found = compare_profiles(one, two, names=["a", "b"])
    # half widths 0.03 and 0.04 make 0.05 in quadrature, and 0.06 is more than that
    up, down = found.difference("a", "b", 0), found.difference("a", "b", 1)
    assert (up.outcome, down.outcome) == ("higher", "lower")
    assert (up.difference, up.low, up.high) == pytest.approx((0.06, 0.01, 0.11))
    assert (down.difference, down.low, down.high) == pytest.approx((-0.06, -0.11, -0.01))
    # one interval of 0.2 holds 0.1, whatever the other; it does not tell about 0.4
    assert [found.difference("b", "b", depth).outcome for depth in (0, 1)] == ["within noise", "not known"]
    assert [found.difference("c", "b", depth).outcome for depth in (0, 1)] == ["not known", "within noise"]
    assert found.difference("c", "b", 0).difference is None
    assert ProfileComparison.model_validate_json(found.model_dump_json()) == found
    assert "b against a, layer 0: a +0.0600 higher; b +0.1000 within noise; c undefined" in str(found)


def test_a_profile_against_itself_is_within_noise_everywhere():
    one = cosines(0.1, 0.5, 0.9)
    found = compare_profiles(one, one)
    assert list(found.profiles) == ["model", "model (2)"]
    assert depths(found, "model (2)") == [(0, 0), (1, 1), (2, 2)]
    assert {each.differences[0].outcome for each in found.layers} == {"within noise"}
    assert found.notes == ()


def test_layers_of_other_depths_go_together_by_relative_depth():
    one, two = cosines(0.1, 0.2, 0.3), cosines(0.1, 0.1, 0.1, 0.1, 0.1, 0.1)
    found = compare_profiles(one, two, names=["a", "b"])
    # of 2 blocks: 0, 1/2, 1. Of 5 blocks: 0, 0.2, 0.4, 0.6, 0.8, 1, where 0.4 and 0.6 are as near to 1/2
    assert depths(found) == [(0, 0), (1, 2), (2, 5)]
    assert found.notes == ("a has 2 blocks and b 5: layers go together by relative depth",)
    back = compare_profiles(two, one, names=["a", "b"])
    # 0.2 and 0.4 go to 0 and 1/2; 0.6, 0.8 and 1 to 1/2, 1 and 1
    assert depths(back) == [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (5, 2)]


def test_the_final_normalization_goes_with_its_like_only():
    plain = [layer(depth, a=(0.5, 0.1)) for depth in range(3)]
    ending = [*plain, layer(3, "final", a=(0.9, 0.1))]
    found = compare_profiles(profile(*plain), profile(*ending), names=["a", "b"])
    assert depths(found) == [(0, 0), (1, 1), (2, 2)]
    assert found.notes == ("only b has a normalization behind its last block; it is left out",)
    deeper = [*(layer(depth, a=(0.5, 0.1)) for depth in range(5)), layer(5, "final", a=(0.1, 0.1))]
    found = compare_profiles(profile(*ending), profile(*deeper), names=["a", "b"])
    assert depths(found) == [(0, 0), (1, 2), (2, 4), (3, 5)]
    assert [relative_depth(each, tuple(deeper)) for each in deeper] == [0, 0.25, 0.5, 0.75, 1, 1]


def test_stacks_go_together_by_name():
    def stacked(name, value):
        return [layer(depth, stack=name, a=(value, 0.01)) for depth in range(2)]

    both = profile(*stacked("encoder", 0.1), *stacked("decoder", 0.2))
    other = profile(*stacked("decoder", 0.4), *stacked("encoder", 0.1))
    found = compare_profiles(both, other, names=["a", "b"])
    outcomes = {(each.stack, each.other_stack): each.differences[0].outcome for each in found.layers}
    assert outcomes == {("encoder", "encoder"): "within noise", ("decoder", "decoder"): "higher"}
    with pytest.raises(KeyError, match="several stacks have layer 0"):
        found.difference("a", "b", 0)
    assert found.difference("a", "b", 0, "decoder").difference == pytest.approx(0.2)
    found = compare_profiles(both, profile(*stacked("encoder", 0.1)), names=["a", "b"])
    assert {each.stack for each in found.layers} == {"encoder"}
    assert found.notes == ("stacks of one profile only, and left out here: decoder",)
    # where each has one, the names do not matter
    found = compare_profiles(
        profile(*stacked("encoder", 0.1)), profile(*stacked("vision", 0.1)), names=["a", "b"]
    )
    assert [(each.stack, each.other_stack) for each in found.layers] == [("encoder", "vision")] * 2


def test_notes_say_what_the_profiles_do_not_share():
    one = profile(layer(0, a=1, b=1, d=8))
    two = profile(layer(0, c=1, a=1, d=16), pooling="cls", inputs=50, special_tokens=True)
    found = compare_profiles(one, two, names=["a", "b"])
    assert found.names() == ("a",)
    text = "\n".join(found.notes)
    assert "different poolings: mean, cls" in text
    assert "different numbers of inputs: 100, 50" in text
    assert "different ways with special tokens: out, in" in text
    assert "modalities" not in text
    assert "left out here: b, c" in text
    assert "different numbers of dimensions" in text


def test_files_are_read_and_named_by_their_paths(tmp_path):
    paths = [tmp_path / name / "profile.json" for name in "ab"]
    for path, value in zip(paths, (0.1, 0.5), strict=True):
        path.parent.mkdir()
        path.write_text(cosines(value).to_json())
    found = compare_profiles(*paths)
    assert list(found.profiles) == list(map(str, paths))
    assert found.difference("mean_cosine", str(paths[1]), 0).outcome == "higher"
    assert stored_profile(paths[0]) == cosines(0.1)


def test_errors(tmp_path):
    one = cosines(0.5)
    space = tmp_path / "space.json"
    space.write_text(measure(torch.eye(2), measures="mean_cosine").model_dump_json())
    later = tmp_path / "later.json"
    later.write_text(one.to_json().replace("conescope.profile/1", "conescope.profile/9"))
    path = tmp_path / "profile.json"
    path.write_text(one.to_json())
    with pytest.raises(ValueError, match="needs two profiles or more, got 1"):
        compare_profiles(one)
    with pytest.raises(FileNotFoundError, match="there is no file none"):
        compare_profiles(one, "none.json")
    with pytest.raises(ValueError, match=r"space\.json is not a profile, and a profile is compared with"):
        compare_profiles(path, space)
    with pytest.raises(ValueError, match="is a profile of layers and can not be compared with"):
        compare(space, path)
    with pytest.raises(ValueError, match=r"not a profile of this version of conescope \(schema_version"):
        compare_profiles(path, later)
    with pytest.raises(ValueError, match="model was profiled without isoscore; it has mean_cosine"):
        compare_profiles(one, one, measures="isoscore")
    with pytest.raises(ValueError, match="a measure in common: a has mean_cosine; b has isoscore"):
        compare_profiles(one, profile(layer(0, isoscore=1)), names=["a", "b"])
    two = profile(layer(0, stack="x", mean_cosine=1), layer(0, stack="y", mean_cosine=1))
    with pytest.raises(ValueError, match="a stack in common: a has ; b has x, y"):
        compare_profiles(one, two, names=["a", "b"])
    with pytest.raises(ValueError, match="names are different and one a space"):
        compare_profiles(one, one, names=["a", "a"])

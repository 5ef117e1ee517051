import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from conescope.capture import Images
from conescope.capture.batch import ordered
from conescope.capture.images import patch_of, prefix_tokens


def processor(**settings):
    kind = getattr(transformers, "ViTImageProcessorPil", None) or transformers.ViTImageProcessor
    return kind(**{"size": {"height": 8, "width": 8}, **settings})


def picture(height=8, width=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, size=(height, width, 3), dtype=np.uint8)


def test_every_form_of_an_image_gives_the_same_pixels(tmp_path):
    array = picture()
    Image.fromarray(array).save(tmp_path / "a.png")
    forms = [
        array,
        array.transpose(2, 0, 1),
        array.astype(np.float64) / 255,
        torch.from_numpy(array).permute(2, 0, 1),
        Image.fromarray(array),
        Image.fromarray(array).convert("RGBA"),
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
    ]
    pixels = Images(forms, processor()).batch(range(len(forms))).arguments["pixel_values"]
    truth = torch.from_numpy(array.astype(np.float32)).permute(2, 0, 1) / 127.5 - 1  # 0 to 255 as -1 to 1
    for found in pixels:
        torch.testing.assert_close(found, truth, rtol=1e-5, atol=1e-5)


def test_gray_is_equal_in_all_channels(tmp_path):
    gray = picture()[..., :1]
    Image.fromarray(gray[..., 0]).save(tmp_path / "gray.png")
    pixels = Images([gray, tmp_path / "gray.png"], processor()).batch([0, 1]).arguments["pixel_values"]
    truth = torch.from_numpy(gray[..., 0].astype(np.float32)) / 127.5 - 1
    torch.testing.assert_close(pixels, truth.expand(2, 3, 8, 8), rtol=1e-5, atol=1e-5)


def test_tokens_before_the_patches_are_special():
    prepared = Images([picture(), picture(seed=1)], processor(), patch=(4, 2), prefix=3)
    tokens = prepared.batch([0, 1]).tokens
    assert tokens.real.shape == (2, 3 + 2 * 4)  # 8 / 4 rows of 8 / 2 patches
    assert tokens.real.all()
    assert tokens.special.sum(dim=1).tolist() == [3, 3]
    assert tokens.special[:, :3].all()
    assert Images([picture()], processor(), patch=(4, 4)).batch([0]).tokens is None
    assert Images([picture()], processor(), prefix=1).batch([0]).tokens is None


def test_images_of_different_shapes_do_not_stand_together():
    images = [picture(8, 12), picture(12, 8), picture(8, 12, seed=1), picture(4, 4)]
    prepared = Images(images, processor(do_resize=False))
    assert ordered(prepared, 4) == [[1], [0, 2], [3]]
    for numbers in ordered(prepared, 4):
        shape = prepared.batch(numbers).arguments["pixel_values"].shape
        assert shape == (len(numbers), 3, *images[numbers[0]].shape[:2])
    assert len(ordered(Images(images, processor()), 4)) == 1  # all resized to one shape


def test_what_changes_the_inputs_changes_the_fingerprint():
    one, two = picture(), picture(seed=1)
    prints = [
        Images([one, two], processor()).fingerprint,
        Images([two, one], processor()).fingerprint,
        Images([one], processor()).fingerprint,
        Images([one, two], processor(image_mean=[0.4] * 3)).fingerprint,
    ]
    assert len(set(prints)) == len(prints)
    assert Images([one, two], processor()).fingerprint == prints[0]


def test_patches_and_prefixes_are_told_by_the_model():
    config = transformers.ViTConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        image_size=8,
        patch_size=4,
    )
    assert patch_of(config) == (4, 4)
    config.patch_size = [4, 2]
    assert patch_of(config) == (4, 2)
    assert patch_of(transformers.ResNetConfig()) is None
    assert patch_of(transformers.CLIPConfig()) == (32, 32)
    assert prefix_tokens(torch.nn.Linear(2, 2)) == 0


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((8, 8)), r"image 0 \(counted from 0\) has shape \(8, 8\); \(height, width, channels\)"),
        (np.zeros((8, 8, 7)), r"image 0 \(counted from 0\) has shape \(8, 8, 7\)"),
        (np.full((8, 8, 3), 200.0), "has values from 200 to 200; integers are expected in 0 to 255, floats"),
        (np.full((8, 8, 3), np.nan), "has values from nan to nan"),
        (7, r"image 0 \(counted from 0\) is of type int; a path, a PIL image or an array is expected"),
    ],
)
def test_what_is_no_image_is_named(image, message):
    with pytest.raises(ValueError, match=message):
        Images([image], processor())


def test_files_that_hold_no_image_are_named(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(ValueError, match=r"text\.png: not readable as an image"):
        Images([tmp_path / "text.png"], processor())
    with pytest.raises(FileNotFoundError, match=r"no file .*gone\.png"):
        Images([tmp_path / "gone.png"], processor())

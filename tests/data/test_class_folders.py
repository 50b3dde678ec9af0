"""Class folders are read as they lie, or refused by name."""

import numpy as np
import pytest
import torch
from PIL import Image

from xnb import data


def picture(side=8, mode="RGB", seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


@pytest.fixture
def root(tmp_path):
    for part, n in (("train", 3), ("test", 2)):
        for k, name in enumerate(("cat", "ant")):
            folder = tmp_path / "pets" / part / name
            folder.mkdir(parents=True)
            for i in range(n):
                picture(seed=100 * k + i).save(folder / f"{i}.png")
    return tmp_path / "pets"


def test_reads_classes_in_alphabetical_order(root):
    split = data.image_folder(root)
    assert split.classes == ("ant", "cat")
    assert split.train.y.tolist() == [0, 0, 0, 1, 1, 1]
    assert split.test.x.shape == (4, 3, 8, 8)
    expected = torch.tensor(np.array(picture(seed=101))).permute(2, 0, 1) / 255
    torch.testing.assert_close(split.train.x[1], expected)


def test_per_class_takes_the_first(root):
    split = data.image_folder(root, per_class=1)
    assert torch.equal(split.train.x, data.image_folder(root).train.x[[0, 3]])


def test_the_article_reads_one_level_too_high(root):
    with pytest.raises(ValueError, match=r"must hold train/ and test/\n  got: \['pets'\]\n  try: path/train/<class>"):
        data.image_folder(root.parent)


def test_class_folders_without_parts_are_all_test(root):
    """As torchvision's `ImageFolder` reads them; there is nothing to train on."""
    split = data.image_folder(root / "train")
    assert split.classes == ("ant", "cat")
    assert len(split.train) == 0
    assert split.train.x.shape[1:] == (3, 8, 8)
    assert torch.equal(split.test.x, data.image_folder(root).train.x)
    assert split.test.y.tolist() == [0, 0, 0, 1, 1, 1]
    assert split.names[:4] == ("ant/0.png", "ant/1.png", "ant/2.png", "cat/0.png")


def test_names_are_the_files_of_the_test_part(root):
    assert data.image_folder(root).names == ("ant/0.png", "ant/1.png", "cat/0.png", "cat/1.png")


def test_a_flat_folder_is_one_class_with_its_name(root):
    folder = root / "test" / "cat"
    as_class = data.image_folder(root).test.x[2:]
    picture(side=16).save(folder / "a photo.jpg")
    split = data.image_folder(folder, size=8)
    assert (split.classes, split.names) == (("cat",), ("0.png", "1.png", "a photo.jpg"))
    assert split.test.x.shape == (3, 3, 8, 8)
    assert split.test.y.tolist() == [0, 0, 0]
    assert len(split.train) == 0
    assert torch.equal(split.test.x[:2], as_class)
    assert data.image_folder(str(folder), size=8, per_class=2).names == ("0.png", "1.png")
    with pytest.raises(ValueError, match=r"must have one size; a photo.jpg differs.*\n.*\n  try: .*size=224"):
        data.image_folder(folder)


def test_a_flat_folder_names_what_it_cannot_read(root):
    folder = root / "test" / "cat"
    (folder / "notes.txt").write_text("no picture")
    with pytest.raises(ValueError, match=r"^image_folder: notes.txt must be a picture"):
        data.image_folder(folder, size=8)


def test_pictures_stand_upright(tmp_path):
    """A camera held sideways notes "turned by 90 degrees": what it wrote as the left column is the top row."""
    image = Image.new("RGB", (8, 4), "blue")
    image.paste("red", (0, 0, 2, 4))
    exif = image.getexif()
    exif[274] = 6
    image.save(tmp_path / "a.png", exif=exif)
    x = data.image_folder(tmp_path).test.x
    assert x.shape == (1, 3, 8, 4)
    assert x[0, 0, 0].tolist() == [1, 1, 1, 1]
    assert x[0, 0, 7].tolist() == [0, 0, 0, 0]


def test_pictures_beside_folders_are_refused(root):
    picture().save(root / "train" / "loose.png")
    with pytest.raises(ValueError, match=r"pictures or folders, not both\n  got: \['ant', 'cat', 'loose.png'\]"):
        data.image_folder(root / "train")


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match=r"must hold pictures\n  got: 'nothing in none'"):
        data.image_folder(tmp_path / "none")
    (tmp_path / "none" / "cat").mkdir()
    with pytest.raises(ValueError, match=r"every class of none/ must hold pictures\n  got: \['cat'\]"):
        data.image_folder(tmp_path / "none")


def test_one_part_alone_is_refused(root):
    for file in (root / "test").rglob("*.png"):
        file.unlink()
    for folder in [*(root / "test").iterdir(), root / "test"]:
        folder.rmdir()
    with pytest.raises(ValueError, match=r"must hold train/ and test/\n  got: \['train'\]"):
        data.image_folder(root)


def test_hidden_files_are_skipped(root):
    (root / "train" / "cat" / ".DS_Store").write_bytes(b"\0")
    (root / "train" / ".thumbnails").mkdir()
    assert len(data.image_folder(root).train) == 6


@pytest.mark.parametrize("mode", ["L", "P", "LA", "1"])
def test_other_colour_modes_become_rgb(mode, root):
    picture(mode="L", seed=1).convert(mode).save(root / "train" / "cat" / "0.png")
    x = data.image_folder(root).train.x[3]
    assert x.shape == (3, 8, 8)
    assert torch.equal(x[0], x[1])


def test_transparency_is_laid_on_white(root):
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(root / "train" / "cat" / "0.png")
    assert torch.equal(data.image_folder(root).train.x[3], torch.ones(3, 8, 8))


def test_mixed_sizes_are_refused_or_resized(root):
    picture(side=16).save(root / "train" / "cat" / "1.png")
    with pytest.raises(ValueError, match=r"must have one size; 1.png differs.*\n.*\n  try: size=224"):
        data.image_folder(root)
    assert data.image_folder(root, size=6).train.x.shape == (6, 3, 6, 6)


def test_resizing_keeps_the_middle(root):
    wide = Image.new("RGB", (30, 10), "blue")
    wide.paste("red", (10, 0, 20, 10))
    wide.save(root / "train" / "cat" / "0.png")
    x = data.image_folder(root, size=10).train.x[3]
    assert torch.equal(x, torch.tensor([1.0, 0, 0])[:, None, None].expand(3, 10, 10))


def spoil_missing(root):
    return root / "nowhere"


def spoil_text(root):
    (root / "test" / "ant" / "notes.txt").write_text("no picture")
    return root


def spoil_truncated(root):
    file = root / "test" / "ant" / "0.png"
    file.write_bytes(file.read_bytes()[:60])
    return root


def spoil_empty(root):
    (root / "train" / "bee").mkdir()
    (root / "test" / "bee").mkdir()
    return root


def spoil_classes(root):
    (root / "train" / "bee").mkdir()
    picture().save(root / "train" / "bee" / "0.png")
    return root


def spoil_no_class(root):
    for file in (root / "test").rglob("*.png"):
        file.unlink()
    for folder in list((root / "test").iterdir()):
        folder.rmdir()
    return root


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_missing, r"no such folder\n  got: 'nowhere'"),
        (spoil_text, r"test/ant/notes.txt must be a picture"),
        (spoil_truncated, r"test/ant/0.png must be a picture"),
        (spoil_empty, r"every class of train/ must hold pictures\n  got: \['bee'\]"),
        (spoil_classes, r"must have the same classes\n  got: \['bee'\]"),
        (spoil_no_class, r"test/ must hold a folder a class"),
    ],
)
def test_refusals(spoil, says, root):
    with pytest.raises(ValueError, match=says):
        data.image_folder(spoil(root))


def test_too_much_for_memory(root):
    with pytest.raises(ValueError, match=r"must fit into 4 GiB\n  got: '10 pictures of 9000 x 9000: 9.1 GiB'"):
        data.image_folder(root, size=9000)

"""Refused calls of data sets, in the form of `cases`."""

CASES = [
    ("xnb.data.bags(task='zebra')", ""),
    ("xnb.data.bags(n=(-1, 2))", ""),
    ("xnb.data.photos(size=0)", ""),
    ("paste_objects(part)", "from xnb.data.two_objects import paste_objects; part = xnb.data.Part(x, target)"),
    (
        "paste_objects(part, apart=0)",
        "from xnb.data.two_objects import paste_objects; part = xnb.data.shapes(n=(0, 12)).test",
    ),
    ("xnb.data.robots(n=(-1, 2))", ""),
    ("xnb.data.robots(n=(4, 2), remove=['wing'])", ""),
    ("xnb.data.shapes(size=8, n=(4, 2))", ""),
    ("xnb.data.shapes(n=(-1, 2))", ""),
    ("xnb.data.shapes(n=(4, 2), distractors=-1)", ""),
    ("xnb.data.shapes(n=(4, 2), watermark=2)", ""),
    ("xnb.data.tetrominoes(task='zebra')", ""),
    ("xnb.data.tetrominoes(n=(4, 2), background='zebra')", ""),
    ("xnb.data.tetrominoes(n=(-1, 2))", ""),
    ("xnb.data.objects_on_textures(n=(4, 2), label='zebra')", ""),
    ("xnb.data.objects_on_textures(n=(4, 2), size=8)", ""),
    ("xnb.data.objects_on_textures(n=(-1, 2))", ""),
    ("xnb.data.watermark(n=(4, 2), agreement=2)", ""),
    ("xnb.data.watermark(n=(4, 2), mark='zebra')", ""),
    ("xnb.data.shapes(n=(4, 2), blurred=('zebra',))", ""),
    ("xnb.data.watermark(n=(4, 2), size=8)", ""),
    ("xnb.data.watermark(n=(-1, 2))", ""),
    (
        "xnb.data.image_folder(path, size=0)",
        "from small_files import write_pictures; path = write_pictures({'test/a/1.png': 8, 'train/a/1.png': 8})",
    ),
    (
        "xnb.data.image_folder(path, per_class=0)",
        "from small_files import write_pictures; path = write_pictures({'test/a/1.png': 8, 'train/a/1.png': 8})",
    ),
    (
        "xnb.data.image_folder(path, size=100_000)",
        "from small_files import write_pictures; path = write_pictures({'test/a/1.png': 8, 'train/a/1.png': 8})",
    ),
    (
        "xnb.data.image_folder(path)",
        "from small_files import write_pictures; path = write_pictures({'1.png': 8, '2.png': 9})",
    ),
    (
        "xnb.data.masked_photos(path, {'dog': ('1.png', '2.png', {1})}, size=0)",
        "from small_files import write_pictures; path = write_pictures({'1.png': 8, '2.png': 8}, grey=1)",
    ),
    ("xnb.data.medmnist(path, test='train')", "from small_files import write_medical; path = write_medical()"),
    ("xnb.data.medmnist('zebra', download=True)", ""),
]

"""A small folder in the layout of IJB-C, of made-up pictures."""

import numpy as np
from PIL import Image

NUM_SUBJECTS = 4
NUM_FACES = 3  # of each template: two frames of a video and an image
HEAD = "TEMPLATE_ID,SUBJECT_ID,FILENAME\n"


def make_ijbc(folder):
    """Subjects 0 and 1 are in G1, 2 and 3 in G2; templates 10 to 13 are theirs, 20 to 23 ask."""
    (folder / "meta").mkdir(parents=True)
    (folder / "loose_crop").mkdir()
    sides = {"gallery_G1": (10, 0, 1), "gallery_G2": (10, 2, 3), "probe_mixed": (20, 0, 1, 2, 3)}
    faces = []
    for name, (first, *subjects) in sides.items():
        lines = [f"{first + subject},{subject},x.jpg\n" for subject in subjects]
        (folder / "meta" / f"ijbc_1N_{name}.csv").write_text(HEAD + "".join(lines))
        for subject in subjects:
            template = first + subject
            faces += [(template, medium) for medium in (5, 5, 6)]
    lines = [
        f"{number}.jpg {template} {medium}\n" for number, (template, medium) in enumerate(faces)
    ]
    (folder / "meta" / "ijbc_face_tid_mid.txt").write_text("".join(lines))
    for number in range(len(faces)):
        pixels = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "loose_crop" / f"{number}.jpg")
    pairs = [f"{10 + a} {20 + b} {int(a == b)}\n" for a in range(4) for b in range(4)]
    (folder / "meta" / "ijbc_template_pair_label.txt").write_text("".join(pairs))
    return folder

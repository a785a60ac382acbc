#!/usr/bin/env python3
"""Makes resize_reference.bin: what Pillow makes of the pixels of sample_pixels(), for test_resize.c.

Needs Pillow and NumPy; the tests do not. The two passes are asked for one by one, horizontal first, because Pillow 13
changes their order for some pictures. torchvision's and the Hugging Face processor's sizes and crops are written out here
from their documentation, to have them independent of the C code.

Format, little endian: "RSZ1", then for each case 12 int32
    width height seed  mode filter rounding  size resize_to  resized_width resized_height  true_width*8 true_height*8
and size * size * 3 bytes; for the cases of a fractional box (mode -1) size * size is width * height of the result.
"""
import math
import struct
import sys

import numpy as np
from PIL import Image

SHORTEST, SQUASH, LONGEST, BOX = 0, 1, 2, -1
BICUBIC, BILINEAR = 0, 1
HALF_EVEN, FLOOR = 0, 1


def pixels(w, h, seed):
    i = np.arange(w * h * 3, dtype=np.uint32) + np.uint32(seed)
    for factor, shift in ((0x9E3779B1, 15), (0x85EBCA77, 13), (0xC2B2AE3D, 16)):
        i = i * np.uint32(factor)
        i ^= i >> np.uint32(shift)
    noise = (i & 255).astype(int).reshape(h, w, 3)
    y, x = np.mgrid[0:h, 0:w]
    slope = np.stack([x * 255 // w, y * 255 // h, (x + 2 * y) & 255], -1)
    return Image.fromarray(((slope * 5 + noise * 3) // 8).astype(np.uint8))


def resize(im, w, h, filter, box=None):
    f = Image.Resampling.BILINEAR if filter == BILINEAR else Image.Resampling.BICUBIC
    x1, y1 = box or im.size
    im = im.resize((w, im.height), f, box=(0, 0, x1, im.height))
    return im.resize((w, h), f, box=(0, 0, w, y1))


def sizes(w, h, mode, to):
    if mode == SQUASH:
        return to, to
    if mode == SHORTEST:
        return (to, int(to * h / w)) if w <= h else (int(to * w / h), to)
    ratio = max(w, h) / to
    return max(1, round(w / ratio)), max(1, round(h / ratio))


def crop(im, size, rounding):
    canvas = Image.new("RGB", (max(size, im.width), max(size, im.height)))
    pad = (lambda m: (m + 1) // 2) if rounding == FLOOR else (lambda m: m // 2)
    canvas.paste(im, (pad(max(0, size - im.width)), pad(max(0, size - im.height))))
    off = (lambda m: m // 2) if rounding == FLOOR else (lambda m: int(round(m / 2.0)))
    left, top = off(canvas.width - size), off(canvas.height - size)
    return canvas.crop((left, top, left + size, top + size))


def write(out, head, im):
    out.write(struct.pack("<12i", *head))
    out.write(im.tobytes())


def main():
    cases = []
    for w, h in ((1, 1), (1, 1000), (1000, 1), (3000, 2), (2, 3000), (640, 480), (481, 641), (17, 17), (5, 3), (24, 25),
                 (99, 1201)):
        for mode in (SHORTEST, SQUASH):
            for filter in (BICUBIC, BILINEAR):
                cases.append((w, h, mode, filter, HALF_EVEN, 17, 0))
    for w, h in ((640, 480), (480, 642), (641, 333)):  # odd margins, both roundings, and a resize larger than the crop
        for rounding in (HALF_EVEN, FLOOR):
            cases.append((w, h, SHORTEST, BICUBIC, rounding, 16, 19))
            cases.append((w, h, SHORTEST, BICUBIC, rounding, 15, 21))
    for w, h in ((640, 480), (333, 641), (1000, 3), (5, 4)):  # margins
        for rounding in (HALF_EVEN, FLOOR):
            cases.append((w, h, LONGEST, BICUBIC, rounding, 16, 0))
            cases.append((w, h, SHORTEST, BILINEAR, rounding, 20, 11))
    cases.append((700, 500, SHORTEST, BICUBIC, HALF_EVEN, 64, 0))

    with open(sys.argv[1], "wb") as out:
        out.write(b"RSZ1")
        for n, (w, h, mode, filter, rounding, size, to) in enumerate(cases):
            seed = 1000 * n
            rw, rh = sizes(w, h, mode, to or size)
            if rw * h > 50_000_000:
                raise SystemExit("too large")
            im = crop(resize(pixels(w, h, seed), rw, rh, filter), size, rounding)
            write(out, (w, h, seed, mode, filter, rounding, size, to, rw, rh, w * 8, h * 8), im)
        # After scaled decoding the photo spans a fraction of the last pixel: 1/8 steps, whole picture kept.
        for n, (w, h, w8, h8) in enumerate(((100, 80, 793, 633), (37, 50, 296, 399), (200, 3, 1595, 17))):
            im = resize(pixels(w, h, n), 16, 16, BICUBIC, (w8 / 8, h8 / 8))
            write(out, (w, h, n, BOX, BICUBIC, 0, 16, 0, 16, 16, w8, h8), im)


main()

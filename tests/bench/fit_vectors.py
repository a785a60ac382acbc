"""fit_vectors.py: the figures of the generator in made_vectors.c, from real vectors.

    fit_vectors.py PHOTOS.npy PARTS TEXTS.npy >made_vectors.tsv

PHOTOS.npy is bench_crops' output (or the finished part of it), TEXTS.npy that of `clipsearch embed --npy`. Needs numpy.

The axes are the directions in which photos differ from each other (eigenvectors of the covariance between photos), the
largest first. For each: the mean and the deviation between photos, the deviation between parts of one photo, the mean and
the deviation of texts. Whatever goes beyond a Gaussian along these axes is lost; so are the axes themselves."""
import sys
import numpy as np

with open(sys.argv[1], "rb") as f:
    f.seek(128)
    x = np.frombuffer(f.read(), np.float32)
parts, texts = int(sys.argv[2]), np.load(sys.argv[3]).astype(np.float64)
dim = texts.shape[1]
x = x[: len(x) // (parts * dim) * parts * dim].reshape(-1, parts, dim).astype(np.float64)
center = x.mean(axis=1)
within = (x - center[:, None]).reshape(-1, dim)
within = within.T @ within / (len(x) * (parts - 1))
between = np.cov(center.T) - within / parts
values, axes = np.linalg.eigh(between)
axes = axes[:, np.argsort(values)[::-1]]
mean = center.mean(axis=0) @ axes
photo = np.sqrt(np.maximum(0, np.einsum("ij,ik,kj->j", axes, between, axes)))
part = np.sqrt(np.einsum("ij,ik,kj->j", axes, within, axes))
t = texts @ axes
sys.stderr.write(f"{len(x)} photos of {parts} parts, {len(t)} texts\n")
for row in zip(mean, photo, part, t.mean(axis=0), t.std(axis=0)):
    print("\t".join(f"{v:.5f}" for v in row))

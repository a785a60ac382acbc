"""Writes logistic_reference.h: what scikit-learn's LogisticRegression finds for the made-up photos of test_learn.c.

    python3 make_logistic_reference.py > logistic_reference.h

The photos are made by the formulas of made_photo() and made_label() in test_learn.c."""
import math
import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression


def photos(n, dim):
    return np.array([[math.sin(12.9898 * (i * dim + d + 1)) for d in range(dim)] for i in range(n)], np.float32)


def labels(x, classes):
    return np.array([int((2 * float(r[0]) + float(r[1]) + math.sin(5.0 * i) + 4) / 8 * classes) for i, r in enumerate(x)])


def show(name, values):
    rows = ["    {" + ", ".join("%.7f" % v for v in row) + "}" for row in values]
    print("static const double %s[%d][%d] = {\n%s};" % (name, len(values), len(values[0]), ",\n".join(rows)))


print("/* logistic_reference.h: written by make_logistic_reference.py with scikit-learn %s. A row: weights, then the bias. */" % sklearn.__version__)
for name, n, dim, classes, c in (("two", 40, 5, 2, 0.7), ("four", 80, 6, 4, 20.0)):
    x = photos(n, dim)
    weight = np.array([1 + i % 3 for i in range(n)]) if classes == 2 else None
    fit = LogisticRegression(C=c, tol=1e-10, max_iter=10000).fit(x.astype(np.float64), labels(x, classes), weight)
    show("reference_" + name, np.hstack([fit.coef_, fit.intercept_[:, None]]))

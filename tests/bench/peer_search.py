"""A straightforward text search in Python with faiss-cpu and ONNX Runtime, as a peer of a cold `clipsearch search`:

    peer_search.py make VECTORS.npy INDEX             the index that the search reads: every vector as half floats, exact scan
    peer_search.py search INDEX TEXTUAL.onnx ID...    one text by its token ids, so that no tokenizer is paid for; prints 10 lines
"""
import sys

import numpy as np


def make(vectors, index):
    import faiss
    x = np.load(vectors, mmap_mode="r")
    made = faiss.IndexScalarQuantizer(x.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    made.train(np.ascontiguousarray(x[:1000]))
    for i in range(0, len(x), 10000):
        made.add(np.ascontiguousarray(x[i:i + 10000]))
    faiss.write_index(made, index)


def search(index, textual, ids):
    import faiss
    import onnxruntime
    tower = onnxruntime.InferenceSession(textual, providers=["CPUExecutionProvider"])
    padded = np.zeros((1, 77), np.int64)
    padded[0, :len(ids)] = ids
    question = tower.run(None, {"input": padded})[0]
    question /= np.linalg.norm(question)
    scores, places = faiss.read_index(index).search(question, 10)
    for score, place in zip(scores[0], places[0]):
        print(f"{score:.4f}\t{place}")


if sys.argv[1] == "make":
    make(*sys.argv[2:4])
else:
    search(sys.argv[2], sys.argv[3], [int(i) for i in sys.argv[4:]])

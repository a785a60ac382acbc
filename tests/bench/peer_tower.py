"""An image tower in a peer, on the rows that bench_tower dumped:

    peer_tower.py onnx FILE.onnx MODEL_FOLDER PREFIX [ROUNDS [THREADS]]      ONNX Runtime
    peer_tower.py torch MODEL_FOLDER MODEL_FOLDER PREFIX [ROUNDS [THREADS]]  open_clip on PyTorch; the folder has the name
                                                                             of one of open_clip's architectures

As bench_tower: one call encodes all rows of PREFIX.rows, a round is half a second of calls, the median of the rounds counts. Prints the
same kind of lines, and the cosines between its vectors and PREFIX.vectors."""
import json
import os
import resource
import statistics
import sys
import time
import warnings

import numpy as np

warnings.filterwarnings("ignore")


def of_onnx(path, threads):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    if threads:
        options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"input": x})[0]


def of_torch(folder, threads):
    import open_clip
    import torch
    if threads:
        torch.set_num_threads(threads)
    model = open_clip.create_model(os.path.basename(folder), pretrained=f"{folder}/open_clip_model.safetensors")
    model.eval()

    def run(x):
        with torch.inference_mode():
            return model.encode_image(torch.from_numpy(x)).numpy()
    return run


def read_rows(folder, prefix):
    with open(f"{folder}/open_clip_config.json") as f:
        config = json.load(f)
    size = config["model_cfg"]["vision_cfg"]["image_size"]
    rows = np.fromfile(f"{prefix}.rows", np.uint8).reshape(-1, size, size, 3).astype(np.float32) / 255
    mean = np.array(config.get("preprocess_cfg", {}).get("mean", [0.48145466, 0.4578275, 0.40821073]), np.float32)
    std = np.array(config.get("preprocess_cfg", {}).get("std", [0.26862954, 0.26130258, 0.27577711]), np.float32)
    return np.ascontiguousarray(((rows - mean) / std).transpose(0, 3, 1, 2))


def main():
    kind, source, folder, prefix = sys.argv[1:5]
    rounds = int(sys.argv[5]) if len(sys.argv) > 5 else 7
    threads = int(sys.argv[6]) if len(sys.argv) > 6 else 0
    x = read_rows(folder, prefix)
    run = of_onnx(source, threads) if kind == "onnx" else of_torch(source, threads)
    run(x)
    rates, cores = [], []
    for _ in range(rounds):
        start, cpu, calls = time.monotonic(), time.process_time(), 0
        while calls == 0 or time.monotonic() - start < 0.5:
            y = run(x)
            calls += 1
        rates.append(calls * len(x) / (time.monotonic() - start))
        cores.append(1e3 * (time.process_time() - cpu) / (calls * len(x)))
    print(f"images\t{statistics.median(rates):.5g}\t/s\t{kind}, batch {len(x)}, best {max(rates):.2f}")
    print(f"cpu\t{statistics.median(cores):.5g}\tms\tof one core for an image")
    print(f"peak\t{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.5g}\tMB\t")
    if os.path.exists(f"{prefix}.vectors"):
        ours = np.fromfile(f"{prefix}.vectors", np.float32).reshape(len(x), -1)
        cosines = (y / np.linalg.norm(y, axis=1, keepdims=True) * ours).sum(1)
        print(f"cosine\t{cosines.mean():.7f}\t\tleast {cosines.min():.7f}, to ours on the same rows")


main()

#!/usr/bin/env python3
"""Measures clipsearch and its peers in turn, A B A B, on the same files with the same weights, and says which bars are reached.
METHOD.md explains what is measured and how; `against_peers.py --help` lists the places. A peer that is not named, or not there, is
reported as not installed, and its rows are left open. Prints Markdown."""
import argparse
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import peer_run as run  # noqa: E402
import peer_tables as tables  # noqa: E402


def arguments():
    a = argparse.ArgumentParser(description="clipsearch beside its peers; METHOD.md has the whole story")
    a.add_argument("--build", default="build", help="the build folder, made with -Dbench=true")
    a.add_argument("--bundled", default="models/default", help="the bundled model")
    a.add_argument("--prepared", help="what peer_models.py made: ViT-B-32/, bundled/, small/")
    a.add_argument("--photos", help="a folder of 12-megapixel JPEGs")
    a.add_argument("--rclip", help="rclip's program")
    a.add_argument("--rclip-data", help="a folder with rclip's models, as RCLIP_DATADIR")
    a.add_argument("--rclip-model", help="rclip's model as a model folder, the same weights")
    a.add_argument("--python", help="a Python with ONNX Runtime, PyTorch, open_clip, faiss-cpu")
    a.add_argument("--libraries", help="a folder for the libraries of 100,000 and 1,000,000 vectors; made where they are missing")
    a.add_argument("--rounds", type=int, default=3, help="how often each index run is repeated (3)")
    a.add_argument("--only", default=",".join(tables.PARTS), help=f"of {','.join(tables.PARTS)}")
    a.add_argument("--no-million", action="store_true", help="leave out the library of 1,000,000")
    return a.parse_args()


def main():
    o = arguments()
    os.nice(10 - os.nice(0))  # `index` takes this niceness by itself when nobody looks on; its peers get the same
    report = tables.Report()
    print(run.machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="against_peers.") as work:
        for part in o.only.split(","):
            tables.PARTS[part](tables.Places(o, work), report)
    print(report.text())
    print(run.machine())


main()

"""peer_tables.py: the parts of against_peers.py, each of which measures in turn and adds rows to the report."""
import json
import math
import os
import random
import shutil
import sqlite3
import struct

import peer_run as run

HERE = os.path.dirname(os.path.abspath(__file__))
QUESTIONS = 15  # cold queries of each kind; the median counts


class Places:
    """Where everything is; a property is None where it is not installed."""

    def __init__(self, options, work):
        self.o, self.work = options, work
        self.program = os.path.join(options.build, "clipsearch")
        self.bench = os.path.join(options.build, "tests", "bench")
        self.bundled = os.path.abspath(options.bundled)
        self.vit = self.made("ViT-B-32")
        self.small = self.made("small")
        self.vit_onnx, self.vit_int8 = self.made("ViT-B-32/visual.onnx"), self.made("ViT-B-32/visual-int8.onnx")
        self.vit_text = self.made("ViT-B-32/textual.onnx")
        self.bundled_onnx, self.bundled_int8 = self.made("bundled/visual.onnx"), self.made("bundled/visual-int8.onnx")
        self.photos, self.rclip, self.rclip_data = map(there, (options.photos, options.rclip, options.rclip_data))
        self.rclip_model, self.python = there(options.rclip_model), there(options.python)

    def made(self, name):
        return there(os.path.join(self.o.prepared, name)) if self.o.prepared else None

    def new(self, name):
        path = os.path.join(self.work, name)
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path)
        return path


def there(path):
    return os.path.abspath(path) if path and os.path.exists(path) else None


class Report:
    def __init__(self):
        self.rows, self.remarks = [], []

    def row(self, what, ours, theirs, value, bar, higher=True, unit="×"):
        """value: what is compared with the bar; None where it could not be measured."""
        reached = "not measured" if value is None else "reached" if (value >= bar if higher else value <= bar) else "**not reached**"
        sign = "≥" if higher else "≤"
        shown = "" if value is None else f"{value:.3g} {unit}"
        self.rows.append(f"| {what} | {ours} | {theirs or 'not installed'} | {shown} | {sign} {bar} {unit} | {reached} |")
        print(self.rows[-1], flush=True)

    def remark(self, text):
        self.remarks.append(f"- {text}")
        print(self.remarks[-1], flush=True)

    def text(self):
        head = "| figure | ours | peer | measured | bar | |\n|---|---|---|---|---|---|\n"
        return "\n" + head + "\n".join(self.rows) + "\n\n" + "\n".join(self.remarks) + "\n"


# ---- index ---------------------------------------------------------------------------------------------------------------


def our_index(p, photos, model, precision, name="ours"):
    db = os.path.join(p.new(name), "library.db")
    cost = run.command([p.program, "index", photos, "--db", db, "--model", model, "--precision", precision, "--no-config", "-q"])
    cost.db = db
    return cost


def new_rclip_data(p, name="rclip"):
    """rclip's models where it looks for them, and no database."""
    data = p.new(name)
    for entry in os.listdir(p.rclip_data):
        if not entry.startswith("db."):
            os.symlink(os.path.join(p.rclip_data, entry), os.path.join(data, entry))
    return data


def rclip_search(p, data, folder, text):
    return run.command([p.rclip, "-n", text], cwd=folder, env={"RCLIP_DATADIR": data, "HF_HUB_OFFLINE": "1"})


def rclip_index(p, photos):
    """rclip cannot index without searching: a search alone over the same photos is taken off again, which favours rclip, for that has
    its start in it."""
    data = new_rclip_data(p)
    cost = run.command([p.rclip, "a sunset"], cwd=photos, env={"RCLIP_DATADIR": data, "HF_HUB_OFFLINE": "1"})
    search = rclip_search(p, data, photos, "a sunset")
    cost.wall, cost.cpu, cost.db = cost.wall - search.wall, cost.cpu - search.cpu, os.path.join(data, "db.sqlite3")
    return cost


def our_vectors(p, db):
    got = {}
    for line in run.command([p.program, "export", "--db", db, "--no-config"]).out.splitlines():
        one = json.loads(line)
        got[one["path"]] = one["vector"]
    return got


def rclip_vectors(db):
    with sqlite3.connect(db) as c:
        return {path: struct.unpack(f"{len(v) // 4}f", v) for path, v in c.execute("SELECT filepath, vector FROM images")}


def cosines(ours, theirs):
    return [sum(a * b for a, b in zip(v, theirs[k])) / math.sqrt(sum(a * a for a in v)) for k, v in ours.items() if k in theirs]


def pace(costs, n):
    return f"{n / run.median(costs):.1f} photos/s ({run.median(costs, 'cpu') / n * 1e3:.0f} core-ms each, {run.peak(costs):.0f} MB)"


def compare_indexes(p, report, photos, name, ours, rounds):
    """ours: {label: (model, precision, bar)}"""
    n = len([f for f in os.listdir(photos) if f.endswith(".jpg")])
    jobs = {label: (lambda m=m, q=q, l=label: our_index(p, photos, m, q, l.replace(" ", "."))) for label, (m, q, _) in ours.items()}
    if p.rclip and p.rclip_data:
        jobs["rclip"] = lambda: rclip_index(p, photos)
    got = run.in_turn(rounds, jobs)
    rclip = got.get("rclip")
    for label, (model, _, bar) in ours.items():
        value = run.median(rclip) / run.median(got[label]) if rclip else None
        report.row(f"`index`, {label}, {name}", pace(got[label], n), pace(rclip, n) if rclip else None, value, bar)
        if rclip:
            report.remark(f"{label}, {name}: {run.median(rclip, 'cpu') / run.median(got[label], 'cpu'):.2f} × by core seconds")
        if rclip and model == p.rclip_model:
            same = cosines(our_vectors(p, got[label][-1].db), rclip_vectors(rclip[-1].db))
            report.remark(f"{label}, {name}: cosine to rclip's vectors {sum(same) / len(same):.5f}, least {min(same):.5f}, {len(same)} photos")
    return got


def vnni(with_it, without):
    flags = open("/proc/cpuinfo").read()
    return with_it if "avx512_vnni" in flags or "avx_vnni" in flags else without


def part_index(p, report):
    auto = vnni((3, 3.5), (2, 2))
    if p.photos and p.rclip_model:
        ours = {"ViT-B-32-256 f32": (p.rclip_model, "f32", 1.3), "ViT-B-32-256 auto": (p.rclip_model, "auto", auto[0]),
                "bundled auto": (p.bundled, "auto", 5)}
        got = compare_indexes(p, report, p.photos, "12 megapixels", ours, p.o.rounds)
        report.row("peak memory, `index`, bundled auto", f"{run.peak(got['bundled auto']):.0f} MB", " ", run.peak(got["bundled auto"]), 250,
                   False, "MB")
    if p.photos and p.vit:
        costs = [our_index(p, p.photos, p.vit, q) for q in ("f32", "auto")]
        report.row("peak memory, `index`, ViT-B/32, f32 and auto", " and ".join(f"{c.peak:.0f} MB" for c in costs), " ", run.peak(costs), 900,
                   False, "MB")
    if p.small and p.rclip_model:
        ours = {"ViT-B-32-256 f32": (p.rclip_model, "f32", 1.15), "ViT-B-32-256 auto": (p.rclip_model, "auto", auto[1])}
        compare_indexes(p, report, p.small, "500×375", ours, min(2, p.o.rounds))


# ---- towers --------------------------------------------------------------------------------------------------------------


def our_tower(p, model, precision, photos, prefix):
    return run.command([os.path.join(p.bench, "bench_tower"), model, "--precision", precision, "--rounds", "3", "--dump", prefix] + photos)


def peer_tower(p, kind, source, model, prefix):
    return run.command([p.python, os.path.join(HERE, "peer_tower.py"), kind, source, model, prefix, "3"])


def middle(costs, name):
    values = sorted(run.figures(c)[name][0] for c in costs)
    return values[len(values) // 2]


def images(costs):
    return f"{middle(costs, 'images'):.1f} images/s ({middle(costs, 'cpu'):.1f} core-ms)"


def ran_in(costs):
    return run.figures(costs[0])["images"][1].split(",")[0]


def part_towers(p, report):
    photos = [os.path.join(p.photos, f) for f in sorted(os.listdir(p.photos))[:24:3]] if p.photos else []
    vit, small = os.path.join(p.work, "vit"), os.path.join(p.work, "bundled")
    jobs = {"bundled f32": lambda: our_tower(p, p.bundled, "f32", photos, small), "bundled low": lambda: our_tower(p, p.bundled, "auto", photos, small + ".low")}
    if p.vit:
        jobs["f32"] = lambda: our_tower(p, p.vit, "f32", photos, vit)
        jobs["int8"] = lambda: our_tower(p, p.vit, "int8", photos, vit + ".int8")
        jobs["low"] = lambda: our_tower(p, p.vit, "auto", photos, vit + ".low")
    if p.vit and p.python:
        jobs["onnx f32"] = lambda: peer_tower(p, "onnx", p.vit_onnx, p.vit, vit)
        jobs["onnx int8"] = lambda: peer_tower(p, "onnx", p.vit_int8, p.vit, vit)
        jobs["torch"] = lambda: peer_tower(p, "torch", p.vit, p.vit, vit)
    if p.bundled_onnx and p.python:
        jobs["onnx bundled"] = lambda: peer_tower(p, "onnx", p.bundled_onnx, p.bundled, small)
    got = run.in_turn(max(3, p.o.rounds), jobs)
    rows_of_towers(report, got)
    for name in ("onnx f32", "onnx int8", "torch", "onnx bundled"):
        if name in got:
            value, remark = run.figures(got[name][0]).get("cosine", (0, ""))
            report.remark(f"{name}: {images(got[name])}; cosine {value:.6f}, {remark}")


def compare_towers(report, got, what, ours, theirs, bar):
    have = ours in got and theirs in got
    value = middle(got[ours], "images") / middle(got[theirs], "images") if have else None
    report.row(what, images(got[ours]) if ours in got else "", images(got[theirs]) if theirs in got else None, value, bar)
    if have:
        report.remark(f"{what}: {middle(got[theirs], 'cpu') / middle(got[ours], 'cpu'):.2f} × by core seconds")


def rows_of_towers(report, got):
    if "f32" in got:
        compare_towers(report, got, "ViT-B/32 tower, batch 8, f32, against ONNX Runtime f32", "f32", "onnx f32", 1.1)
        low = ran_in(got["low"])
        if low == "bf16":
            compare_towers(report, got, "bf16 against ONNX Runtime f32", "low", "onnx f32", 2)
        integers = ran_in(got["int8"])  # int16 where the CPU has no VNNI
        compare_towers(report, got if integers != "f32" else {}, f"{integers} against ONNX Runtime dynamic int8", "int8", "onnx int8", vnni(1.4, 1))
        share = middle(got["f32"], "share")
        report.row("share of the measured GEMM roofline in the ViT-B/32 tower, f32",
                   f"{middle(got['f32'], 'gemm_f32'):.0f} Gop/s roofline; {middle(got['f32'], 'share_cpu'):.1f} % by core seconds", " ", share, 88, True, "%")
        compare_towers(report, got, "bundled tower against our ViT-B/32, f32", "bundled f32", "f32", 4)
        compare_towers(report, got, f"the same as `auto` has it, {ran_in(got['bundled low'])} against {low}", "bundled low", "low", 2.5)
    compare_towers(report, got, "bundled tower, f32, against ONNX Runtime f32", "bundled f32", "onnx bundled", 1.3)


# ---- search --------------------------------------------------------------------------------------------------------------


class Texts:
    """Texts that nobody has asked before, in this run or an earlier one: a library remembers them. Hence no seed."""

    def __init__(self):
        self.random, self.used = random.SystemRandom(), set()

    def next(self):
        while True:
            nouns = "dog cat bus bird child bridge guitar boat horse tree car flower ball house lake street".split()
            colours = "red blue green small large old young white black yellow".split()
            a, b = self.random.sample(nouns, 2)
            text = f"a {self.random.choice(colours)} {a} near a {self.random.choice(colours)} {b}"
            if text not in self.used:
                self.used.add(text)
                return text


def library(p, model, name, n):
    """A library of n vectors for this model, made once by bench_store."""
    db = os.path.join(p.o.libraries, f"{name}-{n}.db")
    if not os.path.exists(db + ".made"):
        for old in (db, db + "-wal", db + "-shm"):
            if os.path.exists(old):
                os.unlink(old)
        run.command([os.path.join(p.bench, "bench_store"), db, "make", str(n), model, os.path.join(HERE, "made_vectors.tsv")])
        open(db + ".made", "w").close()
    return db


def our_search(p, db, text):
    return run.command([p.program, "search", text, "--db", db, "--no-config"])


def rclip_library(p, db):
    """rclip's database with the same vectors under made-up names, in a folder that exists."""
    data, photos, npy = new_rclip_data(p, "rclip.search"), p.new("rclip.photos"), os.path.join(p.work, "vectors.npy")
    run.command([p.program, "export", "--db", db, "--format", "npy", "--output", npy, "--no-config"])
    run.command([p.rclip, "-n", "a"], cwd=photos, env={"RCLIP_DATADIR": data, "HF_HUB_OFFLINE": "1"})
    with open(npy, "rb") as f, sqlite3.connect(os.path.join(data, "db.sqlite3")) as c:
        f.seek(8)
        head = f.read(struct.unpack("<H", f.read(2))[0]).decode()
        n, dim = (int(x) for x in head.split("(")[1].split(")")[0].split(",")[:2])
        rows = ((f"{photos}/{i // 500:04d}/IMG_{i:07d}.jpg", 1.6e9 + i, 3000000 + i, f.read(4 * dim), f"{i:032x}") for i in range(n))
        c.executemany("INSERT INTO images(filepath, modified_at, size, vector, hash) VALUES (?, ?, ?, ?, ?)", rows)
    return data, photos, npy


def search_jobs(p, db, texts):
    seen = texts.next()
    our_search(p, db, seen)
    return {"fresh": lambda: our_search(p, db, texts.next()), "repeated": lambda: our_search(p, db, seen)}


def dropped(p, db, model, texts):
    def one():
        run.drop_from_cache(run.libraries_of(p.program) + [model, db, db + ".cache"])
        return our_search(p, db, texts.next())
    return run.in_turn(5, {"dropped": one})["dropped"]


def milliseconds(costs):
    return f"{1e3 * run.median(costs):.1f} ms ({1e3 * run.median(costs, 'cpu'):.1f} core-ms, {run.peak(costs):.0f} MB)"


def peers_of_search(p, db, texts):
    jobs = {}
    if p.rclip and p.rclip_data:
        data, photos, npy = rclip_library(p, db)
        jobs["rclip"] = lambda: rclip_search(p, data, photos, texts.next())
    if p.python and p.vit_text and jobs:
        index = os.path.join(p.work, "vectors.faiss")
        script = os.path.join(HERE, "peer_search.py")
        run.command([p.python, script, "make", npy, index])
        jobs["python"] = lambda: run.command([p.python, script, "search", index, p.vit_text, "49406", "320", "1125", "539", "2368", "49407"])
    return jobs


def part_search(p, report):
    texts = Texts()
    if not p.o.libraries:
        report.remark("no --libraries: searches were not measured")
        return
    os.makedirs(p.o.libraries, exist_ok=True)
    if p.vit:
        db = library(p, p.vit, "vit", 100000)
        jobs = dict(search_jobs(p, db, texts), **peers_of_search(p, db, texts))
        got = run.in_turn(QUESTIONS, jobs)
        fresh, rclip = got["fresh"], got.get("rclip")
        report.row("cold text query, 100,000, ViT-B/32", milliseconds(fresh), milliseconds(rclip) if rclip else None, 1e3 * run.median(fresh), 80, False, "ms")
        value = run.median(rclip) / run.median(fresh) if rclip else None
        report.row("the same against rclip", milliseconds(fresh), milliseconds(rclip) if rclip else None, value, 15)
        if "python" in got:
            report.remark(f"Python with faiss-cpu and ONNX Runtime, the same vectors, no tokenizer: {milliseconds(got['python'])}")
        report.row("the same, repeated text", milliseconds(got["repeated"]), " ", 1e3 * run.median(got["repeated"]), 25, False, "ms")
        report.remark(f"ViT-B/32, 100,000, page cache dropped: {milliseconds(dropped(p, db, p.vit, texts))}")
        report.row("peak memory, search over 100,000, ViT-B/32", f"{run.peak(fresh):.0f} MB", f"{run.peak(rclip):.0f} MB" if rclip else None,
                   run.peak(fresh), 250, False, "MB")
    for n, bar, most in ((100000, 35, 250), (1000000, 120, 700)):
        if n == 1000000 and p.o.no_million:
            continue
        db = library(p, p.bundled, "bundled", n)
        got = run.in_turn(QUESTIONS, search_jobs(p, db, texts))
        report.row(f"cold text query, {n:,}, bundled model", milliseconds(got["fresh"]), " ", 1e3 * run.median(got["fresh"]), bar, False, "ms")
        report.row("the same, repeated text", milliseconds(got["repeated"]), " ", 1e3 * run.median(got["repeated"]), 25 if n == 100000 else bar, False, "ms")
        report.remark(f"bundled, {n:,}, page cache dropped: {milliseconds(dropped(p, db, p.bundled, texts))}")
        report.row(f"peak memory, search over {n:,}, bundled model", f"{run.peak(got['fresh']):.0f} MB", " ", run.peak(got["fresh"]), most, False, "MB")


PARTS = {"towers": part_towers, "index": part_index, "search": part_search}

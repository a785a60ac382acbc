"""peer_run.py: running programs one after another and keeping what they cost. For against_peers.py."""
import os
import statistics
import subprocess
import tempfile
import time


class Cost:
    """Of one whole process: seconds, seconds of a core, maximum resident set in MB, what it printed."""

    def __init__(self, wall, cpu, peak, out):
        self.wall, self.cpu, self.peak, self.out = wall, cpu, peak, out


def command(argv, cwd=None, env=None, may_fail=False):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.monotonic()
        child = subprocess.Popen(argv, cwd=cwd, env=dict(os.environ, **(env or {})), stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        text = out.read().decode(errors="replace")
        if child.returncode and not may_fail:
            raise SystemExit(f"{' '.join(map(str, argv))}\nended with {child.returncode}:\n{err.read().decode(errors='replace')[-2000:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, text)


def in_turn(rounds, jobs):
    """jobs: {name: function}; each is called once a round, one after another. {name: [what it returned]}"""
    got = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            got[name].append(job())
    return got


def median(costs, field="wall"):
    return statistics.median(getattr(c, field) for c in costs)


def peak(costs):
    return max(c.peak for c in costs)


def figures(cost):
    """The lines NAME <tab> VALUE <tab> UNIT <tab> REMARK of a benchmark program: {name: (value, remark)}"""
    lines = (line.split("\t") for line in cost.out.splitlines() if line.count("\t") >= 3)
    return {l[0]: (float(l[1]), l[3]) for l in lines}


def files_below(paths):
    for path in paths:
        if os.path.isfile(path):
            yield path
        for folder, _, names in os.walk(path):
            yield from (os.path.join(folder, n) for n in names)


def drop_from_cache(paths):
    """Asks the system to forget the pages of these files, folders included; no privilege is needed."""
    for path in files_below(paths):
        try:
            fd = os.open(path, os.O_RDONLY)
        except OSError:
            continue
        try:
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError:
            pass
        os.close(fd)


def libraries_of(program):
    """The program and the libraries that it names."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True).stdout.split()
    return [program] + [w for w in listed if w.startswith("/")]


def machine():
    name = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown CPU")
    flags = next((line.split() for line in open("/proc/cpuinfo") if line.startswith("flags")), [])
    known = [f for f in ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16") if f in flags]
    return f"{name}, {os.cpu_count()} cores, {' '.join(known)}; load {os.getloadavg()[0]:.1f}; {time.strftime('%Y-%m-%d %H:%M')}"

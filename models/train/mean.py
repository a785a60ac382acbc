"""The weighted mean of the heads of several checkpoints, in one: WORK/<out>.pt. All else is the first one's."""
import torch
from common import arguments

if __name__ == "__main__":
    a = arguments(__doc__, of="", shares="", out="final")
    cs = [torch.load(f"{a.work}/{name}") for name in a.of.split(",")]
    shares = [float(s) for s in a.shares.split(",")]
    assert len(cs) == len(shares) and abs(sum(shares) - 1) < 1e-6
    for key, value in cs[0]["state"].items():
        if "visual.head" in key:
            cs[0]["state"][key] = sum(s * c["state"][key] for s, c in zip(shares, cs))
    torch.save(cs[0], f"{a.work}/{a.out}.pt")

"""Teaches the small text tower the sentence encoder's vectors: WORK/text.pt. Resumes from its last checkpoint.

The target is the teacher's vector, centred and partly whitened by the training captions (their covariance to the power
-0.4, 320 directions): in that space the linear map from photo to caption alone finds 24 % of development photos first,
against 18 % in the teacher's own space.
Loss: (1 - cosine) plus a contrast in which the teacher's own similarities within the batch are the soft labels.
The token embeddings start as the teacher's vectors of the words themselves, which is worth some hundreds of steps.
"""
import math, os, time
import numpy as np, torch, torch.nn.functional as F
from common import arguments, autocast, captions
from text import Ids, TextTower, encode

WEIGHT = {"caption": 3, "span": 1.5, "imagenet": 1.5, "name": 0.8, "scene": 0.8, "gloss": 0.4}


@torch.no_grad()
def start(tower, words):
    """words [vocab,width]: the targets of the vocabulary's own strings."""
    tower.token_embedding.weight.copy_(words / words.std() * 0.05 + torch.randn_like(words) * 0.005)
    tower.text_projection.copy_(torch.eye(*tower.text_projection.shape))


def whitening(captions, power=0.4, keep=320, floor=1e-4):
    """-> mean [384], map [384,keep]. Few directions of a sentence vector carry most of its variance, and not most of
    what tells two photos apart."""
    mean = captions.mean(0)
    e, v = torch.linalg.eigh(torch.cov((captions - mean).T))
    w = v[:, -keep:] * (e[-keep:] + floor) ** -power
    return mean, w / w.norm() * keep ** 0.5


def loss_of(v, target, tau=0.06):
    v = F.normalize(v.float(), dim=-1)
    soft = (target @ target.T / tau).softmax(-1)
    contrast = -(soft * (v @ target.T / tau).log_softmax(-1)).sum(-1).mean() + (soft * soft.log()).sum(-1).mean()
    return (1 - (v * target).sum(-1)).mean() + 0.5 * contrast


def batches(ids, weights, size, rng):
    """One weighted draw of the corpus, in batches of like length, in random order."""
    n = int(weights.sum())
    rows = torch.multinomial(weights, min(n, 2 ** 23), replacement=True, generator=rng)
    for part in rows.split(size * 50):
        part = part[ids.length[part].argsort()].split(size)
        for i in torch.randperm(len(part), generator=rng).tolist():
            if len(part[i]) == size:
                yield part[i]


def main():
    a = arguments(__doc__, steps=1400, batch=384, lr=1.2e-3, width=320, heads=5, layers=4, out="text.pt")
    rows = [line.rstrip("\n").split("\t") for line in open(f"{a.work}/corpus.tsv")]
    teacher = torch.from_numpy(np.load(f"{a.work}/teacher-corpus.npy"))
    weights = torch.tensor([WEIGHT[g] for g, _ in rows])
    rng = torch.Generator().manual_seed(a.seed)
    load = lambda name: torch.from_numpy(np.load(f"{a.work}/{name}.npy")).float()
    mean, white = whitening(load("teacher-train"))
    whiten = lambda v: F.normalize((v.float() - mean) @ white, dim=-1)
    ids = Ids(f"{a.work}/tokenizer.json", [s for _, s in rows])
    dev_ids = Ids(f"{a.work}/tokenizer.json", [c for cs in captions(a.data, "dev")[1] for c in cs][::5])
    dev = whiten(load("teacher-dev")[::5])

    tower = TextTower(16384, a.width, a.heads, a.layers, white.shape[1])
    start(tower, whiten(load("teacher-words")))
    decay = [p for n, p in tower.named_parameters() if p.ndim > 1 and "embedding" not in n]
    rest = [p for n, p in tower.named_parameters() if p.ndim == 1 or "embedding" in n]
    opt = torch.optim.AdamW([{"params": decay, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0}],
                            lr=a.lr, betas=(0.9, 0.98), fused=True)
    path, step = f"{a.work}/{a.out}", 0
    if os.path.exists(path):
        c = torch.load(path)
        tower.load_state_dict(c["state"]); opt.load_state_dict(c["opt"]); step = c["step"]
        rng.manual_seed(a.seed + step)

    began = time.time()
    while step < a.steps:
        for pick in batches(ids, weights, a.batch, rng):
            rate = a.lr * min(1, (step + 1) / 100) * (0.02 + 0.49 * (1 + math.cos(math.pi * step / a.steps)))
            for g in opt.param_groups:
                g["lr"] = rate
            target = whiten(teacher[pick])
            with autocast():
                v = tower(ids.batch(pick.tolist()))
            loss = loss_of(v, target)
            opt.zero_grad(); loss.backward()
            torch.nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
            opt.step(); step += 1
            if step % 50 == 0 or step == a.steps:
                cos = (encode(tower, dev_ids) * dev).sum(1).mean()
                print(f"step {step} loss {loss.item():.4f} dev cosine {cos:.4f} {time.time() - began:.0f} s", flush=True)
                torch.save({"state": tower.state_dict(), "opt": opt.state_dict(), "step": step, "mean": mean, "white": white,
                            "text": {"vocab_size": 16384, "width": a.width, "heads": a.heads, "layers": a.layers}}, path)
            if step >= a.steps:
                break


if __name__ == "__main__":
    main()

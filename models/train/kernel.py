"""Kernel ridge regression as the head's teacher, after train.py: WORK/<out>.pt. Image trunk and text tower stay as they were.

The regression goes from a photo's features (their square roots, standardised; a Gaussian kernel whose width is the median
distance) to the mean vector of its captions. On so few photos it generalises better than any head trained by contrast, but it
is 6,000 photos large. So the head learns its answers, on views of photos and on mixtures of two, for which it may be
asked for as many as one likes. The concepts are kept as in train.py.
"""
import copy, math, time
import numpy as np, torch, torch.nn.functional as F
from common import arguments, captions, checkpoint, recalls, trunk
from head import Head, Pseudo
from text import Ids, TextTower, hidden
from train import Concepts, class_vectors, info_nce

unit = lambda v: F.normalize(v.float(), dim=-1)


class Kernel:
    """From features [n,1280] to text [n,d]."""

    def __init__(self, features, text, width, ridge):
        root = features.clamp(min=0).sqrt()
        self.mean, self.std = root.mean(0), root.std(0) + 1e-3
        self.photos = self.place(features)
        d = self.distance(self.photos)
        self.width = width / d.median()
        k = torch.exp(-self.width * d)
        k.diagonal().add_(ridge)
        self.weight = torch.cholesky_solve(text - text.mean(0), torch.linalg.cholesky(k))

    def place(self, x):
        return (x.clamp(min=0).sqrt() - self.mean) / self.std

    def distance(self, p):
        q = self.photos
        return (p.square().sum(1)[:, None] + q.square().sum(1)[None] - 2 * p @ q.T).clamp(min=0)

    def __call__(self, x):
        return torch.cat([unit(torch.exp(-self.width * self.distance(self.place(p))) @ self.weight) for p in x.split(1500)])


def rate_at(step, steps):
    return min(1, (step + 1) / 20) * (0.05 + 0.475 * (1 + math.cos(math.pi * step / steps)))


class Averaged:
    """AdamW with a cosine rate, and the exponential mean of its steps."""

    def __init__(self, modules, lr, decay, steps, hold):
        self.own, self.mean, self.hold = modules, [copy.deepcopy(m) for m in modules], hold
        ps = [p for m in modules for p in m.parameters()]
        self.opt = torch.optim.AdamW([{"params": [p for p in ps if p.ndim > 1], "weight_decay": decay},
                                      {"params": [p for p in ps if p.ndim < 2], "weight_decay": 0}], lr=lr, betas=(0.9, 0.98))
        self.lr, self.steps, self.done, self.params = lr, steps, 0, ps

    def step(self, losses):
        for g in self.opt.param_groups:
            g["lr"] = self.lr * rate_at(self.done, self.steps)
        self.opt.zero_grad(); sum(losses).backward()
        torch.nn.utils.clip_grad_norm_(self.params, 1.0)
        self.opt.step(); self.done += 1
        hold = min(self.hold, self.done / (self.done + 10))
        with torch.no_grad():
            for m, o in zip(self.mean, self.own):
                for x, y in zip(m.parameters(), o.parameters()):
                    x.lerp_(y, 1 - hold)


def mixtures(views, count, rng):
    """`views` and mixtures of two of them, the first weighing more."""
    i, j = (torch.from_numpy(rng.integers(0, len(views), count)) for _ in range(2))
    m = torch.from_numpy(rng.uniform(0.5, 1, (count, 1))).float()
    return torch.cat([views, m * views[i] + (1 - m) * views[j]])


def train_head(head, kernel, projection, texts, concepts, classifier, views, low, save, a, rng):
    """-> the averaged head. projection [width,d] stays; texts: hidden vectors of captions, concepts and class prompts."""
    told, con, cls = (unit(h @ projection) for h in texts)
    names = class_vectors(texts[2], projection)
    plain = views[0]
    points = mixtures(torch.cat(views), a.mixtures, rng)
    answers = kernel(points)
    print(len(points), "points", flush=True)
    truth, pseudo = classifier(plain).softmax(1), Pseudo(classifier, plain, torch.Generator().manual_seed(a.seed))
    run, began = Averaged([head], a.lr, 0.05, a.steps, 0.97), time.time()
    for step in range(a.steps):
        z = torch.from_numpy(rng.integers(0, len(points), a.batch))
        j = torch.from_numpy(rng.permutation(len(plain))[:512])
        k, view, wanted = j[:320], views[rng.integers(len(views))], torch.from_numpy(rng.integers(0, 1000, 320))
        base = low if rng.random() < a.low_share else view
        fake = pseudo(base[k], k, wanted)
        with torch.no_grad():
            aim = torch.cat([classifier(fake).softmax(1), truth[k]])
        out = head(torch.cat([points[z], view[j], fake, base[k]]))
        o, x, f = out[:a.batch], out[a.batch:a.batch + 512], out[a.batch + 512:]
        near = (1 - (o * answers[z]).sum(1)).mean()
        some = told[torch.from_numpy(rng.integers(0, len(told), 768))].T
        ours, theirs = 20 * o @ some, 20 * answers[z] @ some
        order = sum(F.kl_div(p.log_softmax(1), q.softmax(1), reduction="batchmean")
                    for p, q in ((ours, theirs), (ours.T, theirs.T))) / 2
        nce = info_nce(20 * x @ told[j * 5 + torch.from_numpy(rng.integers(0, 5, 512))].T)
        kl = F.kl_div((25 * f @ names.T).log_softmax(1), aim, reduction="batchmean")
        sure = truth[j].max(1)
        real = (sure.values > 0.6).nonzero()[:64, 0]
        what = torch.cat([wanted, sure.indices[real]])
        concept, rows = concepts.draw(what, rng)
        multi = info_nce(25 * torch.cat([f[:320], x[real]]) @ con[rows].T, concepts.member[what][:, concept])
        losses = [a.near * near, a.order * order, 0.2 * nce, a.kl * kl, a.multi * multi]
        run.step(losses)
        if run.done % 20 == 0:
            save(run.mean[0])
            print(f"head {run.done} " + " ".join(f"{l.item():.3f}" for l in losses) + f" {time.time() - began:.0f} s", flush=True)
    return run.mean[0]


def main():
    a = arguments(__doc__, net="tf_efficientnet_lite0", size=224, views="plain,flip,crop1,crop2", begin="model.pt", out="kernel",
                  steps=140, batch=1536, mixtures=30000, lr=1e-3, width=1.0, ridge=0.6, near=4.0,
                  order=0.5, kl=1.5, multi=2.0, low_share=0.6)
    begun, rng = checkpoint(f"{a.work}/{a.begin}"), np.random.default_rng(a.seed)
    state, shape, dim = begun["state"], begun["text"], begun["dim"]
    feats = lambda split, view: torch.from_numpy(np.load(f"{a.work}/{a.net[-5:]}-{a.size}-{split}-{view}.npy")).float()
    views, dev = [feats("train", v) for v in a.views.split(",")], feats("dev", "plain")
    tower = TextTower(shape["vocab_size"], shape["width"], shape["heads"], shape["layers"], dim)
    tower.load_state_dict({k: state[k] for k in tower.state_dict()})
    tok = f"{a.work}/tokenizer.json"
    ids, dev_ids = (Ids(tok, [c for cs in captions(a.data, s)[1] for c in cs]) for s in ("train", "dev"))
    concepts, classifier = Concepts(a.data, tok), trunk(a.net).classifier.requires_grad_(False)
    cap_h, dev_h, con_h, cls_h = hidden(tower, [ids, dev_ids, concepts.ids, concepts.prompts], a.work, a.begin)
    projection = tower.text_projection.detach()
    kernel = Kernel(views[0], unit(cap_h @ projection).view(len(views[0]), 5, dim).mean(1), a.width, a.ridge)

    def report(tag, image):
        with torch.no_grad():
            t2i, i2t = recalls(unit(dev_h @ projection) @ image(dev).T, torch.arange(len(dev_h)) // 5)
        print(f"{tag}: t2i " + "/".join(f"{x:.1f}" for x in t2i) + " i2t " + "/".join(f"{x:.1f}" for x in i2t), flush=True)

    report("regression", kernel)
    head = Head(views[0].mean(0), views[0].std(0) + 1e-3, dim)
    head.unfold(state)
    report("head", head)

    def save(head):
        new = state | head.folded()
        torch.save({**begun, "state": {k: v.detach() for k, v in new.items()}}, f"{a.work}/{a.out}.pt")

    head = train_head(head, kernel, projection, (cap_h, con_h, cls_h), concepts, classifier, views, feats("train", "low"), save, a, rng)
    report("head, taught", head)
    save(head)


if __name__ == "__main__":
    main()

"""Trains the last stages of the image trunk too, with the head, after train.py: WORK/<out>.pt. Resumes.

What lies before --stages does not change, so the steps start from cached maps (`features.py --stages 6`). Batch norms keep
their statistics. The text tower stays, but for its projection: its words are cached, so that the time goes to the trunk.
The losses are train.py's, and one more: pseudo photos live in the space of the supervised features, so the
trained features must keep that space. They keep to the supervised ones (standardised, squared) and the supervised
classifier must go on saying of them what it said; of a small picture, what it said of the whole one.
Only --tail photos of a batch pass the trunk in each step; the others are features of their last visit.
"""
import copy, math, os, time
import numpy as np, torch, torch.nn as nn, torch.nn.functional as F
from common import arguments, autocast, captions, checkpoint, recalls, trunk
from head import Head, Pseudo
from text import Ids, TextTower, hidden
from train import Concepts, class_vectors, info_nce


class Tail(nn.Module):
    """The trunk after `stages` stages: maps [n,C,H,W] -> pooled features [n,1280]. Shares the trunk's modules."""

    def __init__(self, net, stages):
        super().__init__()
        self.blocks, self.conv_head, self.bn2 = net.blocks[stages:], net.conv_head, net.bn2

    def forward(self, maps):
        x = self.blocks(maps.contiguous(memory_format=torch.channels_last))
        return self.bn2(self.conv_head(x)).float().mean((2, 3))


class Data:
    """Maps and supervised features of every view, and the features of each photo's last visit."""

    def __init__(self, stem, views, stages):
        load = lambda name: torch.from_numpy(np.load(f"{stem}-{name}.npy"))
        self.maps = {v: load(f"train-{v}-s{stages}") for v in views}
        self.first = {v: load(f"train-{v}").float() for v in views}
        self.last = {v: f.clone() for v, f in self.first.items()}
        self.dev_maps = {v: load(f"dev-{v}-s{stages}") for v in ("plain", "low")}

    def seen(self, tail, view, photos):
        x = tail(self.maps[view][photos].float())
        self.last[view][photos] = x.detach()
        return x


@torch.no_grad()
def through(tail, maps):
    with autocast():
        return torch.cat([tail(m.float()) for m in maps.split(128)])


def main():
    a = arguments(__doc__, net="tf_efficientnet_lite0", size=224, stages=6, views="plain,crop1", begin="model.pt", out="tail",
                  steps=200, batch=1536, tail=320, little=96, lr=1e-4, trunk_lr=1e-4, kl=1.0, multi=0.8, near=0.1, same=0.3,
                  hold=0.98, report=40)
    begun = checkpoint(f"{a.work}/{a.begin}")
    state, shape, dim = begun["state"], begun["text"], begun["dim"]
    net = trunk(a.net)
    classifier = net.classifier.requires_grad_(False)
    views = a.views.split(",")
    data = Data(f"{a.work}/{a.net[-5:]}-{a.size}", views + ["low"], a.stages)
    plain, n = data.first["plain"], len(data.first["plain"])
    truth = classifier(plain).softmax(1)
    mean, std = plain.mean(0), plain.std(0) + 1e-3
    pseudo = Pseudo(classifier, plain, torch.Generator().manual_seed(a.seed))
    tail = Tail(net, a.stages).eval().to(memory_format=torch.channels_last)
    head = Head(mean, std, dim)
    head.unfold(state)
    tower = TextTower(shape["vocab_size"], shape["width"], shape["heads"], shape["layers"], dim)
    tower.load_state_dict({k: state[k] for k in tower.state_dict()})
    tok = f"{a.work}/tokenizer.json"
    concepts = Concepts(a.data, tok)
    told = [Ids(tok, [c for cs in captions(a.data, s)[1] for c in cs]) for s in ("train", "dev")]
    cap_h, dev_h, con_h, cls_h = hidden(tower, [*told, concepts.ids, concepts.prompts], a.work, a.begin)
    words = nn.Module()                           # what is trained of the text side
    words.projection, words.scale = tower.text_projection, nn.Parameter(state["logit_scale"].clone())
    own = nn.ModuleList([tail, head, words])
    ema = copy.deepcopy(own)
    groups = [([p for p in m.parameters() if (p.ndim > 1) == big], lr, wd if big else 0)
              for m, lr, wd in ((tail, a.trunk_lr, 0.05), (head, a.lr, 0.2), (words, a.lr, 0)) for big in (True, False)]
    opt = torch.optim.AdamW([{"params": ps, "lr": lr, "rate": lr, "weight_decay": wd} for ps, lr, wd in groups if ps],
                            betas=(0.9, 0.98))

    @torch.no_grad()
    def report(tag):
        t, h, w = ema
        dev, low = through(t, data.dev_maps["plain"]), through(t, data.dev_maps["low"])
        c, i = class_vectors(cls_h, w.projection), h(dev)
        t2i, i2t = recalls(F.normalize(dev_h @ w.projection, dim=-1) @ i.T, torch.arange(len(dev_h)) // 5)
        best = dev_best
        agree = (i @ c.T).argmax(1) == best.indices
        little = (h(low) @ c.T).argmax(1) == best.indices
        sure = best.values > 0.5
        moved = ((dev - dev_first) / std).square().mean()
        print(f"{tag}: t2i " + "/".join(f"{x:.1f}" for x in t2i) + " i2t " + "/".join(f"{x:.1f}" for x in i2t) +
              f" agree {100 * agree.float().mean():.1f} (sure {100 * agree[sure].float().mean():.1f})"
              f" low {100 * little[sure].float().mean():.1f} classifier itself "
              f"{100 * (classifier(dev).argmax(1) == best.indices).float().mean():.1f} moved {moved:.3f}", flush=True)

    def save(step):
        t, h, w = ema
        body = copy.deepcopy(net)
        body.conv_head, body.bn2 = t.conv_head, t.bn2
        for k, stage in enumerate(t.blocks):
            body.blocks[a.stages + k] = stage
        s = {"visual.trunk." + k: v for k, v in body.state_dict().items() if "classifier" not in k}
        s |= h.folded() | tower.state_dict() | {"text_projection": w.projection, "logit_scale": w.scale}
        torch.save({**{k: v for k, v in begun.items() if k != "state"},
                    "state": {k: v.detach().contiguous() for k, v in s.items()}}, f"{a.work}/{a.out}.pt")
        torch.save({"own": own.state_dict(), "ema": ema.state_dict(), "opt": opt.state_dict(), "step": step},
                   f"{a.work}/{a.out}-resume.pt")

    def losses_of(rng):
        view = views[rng.integers(len(views))]
        i = torch.from_numpy(rng.permutation(n)[:a.batch])
        x = data.seen(tail, view, i[:a.tail])
        small = data.seen(tail, "low", i[:a.little])
        rest = data.last[view][i[a.tail:]]
        base = torch.cat([data.last["low"][i[:160]], data.last[view][i[160:320]]])
        wanted = torch.from_numpy(rng.integers(0, 1000, 320))
        fake = pseudo(base, i[:320], wanted)
        out = head(torch.cat([x, rest, fake, small]))
        f = out[a.batch:a.batch + 320]
        unit = lambda h: F.normalize((h @ words.projection).float(), dim=-1)
        pick = torch.from_numpy(rng.integers(0, 5, a.batch))
        nce = info_nce(words.scale.exp() * out[:a.batch] @ unit(cap_h[i * 5 + pick]).T)
        look = i[:a.tail]
        with torch.no_grad():
            said = classifier(data.first[view][look]).softmax(1)
            aim = torch.cat([classifier(fake).softmax(1), truth[look], truth[i[:a.little]]])
        names = class_vectors(cls_h, words.projection)
        kl = F.kl_div((25 * torch.cat([f, out[:a.tail], out[a.batch + 320:]]) @ names.T).log_softmax(1), aim,
                      reduction="batchmean")
        sure = truth[i[:a.tail]].max(1)
        real = (sure.values > 0.6).nonzero()[:64, 0]
        what = torch.cat([wanted, sure.indices[real]])
        concept, rows = concepts.draw(what, rng)
        multi = info_nce(25 * torch.cat([f, out[real]]) @ unit(con_h[rows]).T, concepts.member[what][:, concept])
        near = ((x - data.first[view][look]) / std).square().mean()
        same = F.kl_div(classifier(torch.cat([x, small])).float().log_softmax(1),
                        torch.cat([said, truth[i[:a.little]]]), reduction="batchmean")
        return nce, a.kl * kl, a.multi * multi, a.near * near, a.same * same

    dev_first = through(tail, data.dev_maps["plain"])
    dev_best = classifier(dev_first).softmax(1).max(1)
    step, resume = 0, f"{a.work}/{a.out}-resume.pt"
    if os.path.exists(resume):
        c = torch.load(resume)
        own.load_state_dict(c["own"]); ema.load_state_dict(c["ema"]); opt.load_state_dict(c["opt"]); step = c["step"]
        with torch.no_grad():
            for v in data.last:
                data.last[v] = through(tail, data.maps[v])
    report(f"start {step}")
    began = time.time()
    while step < a.steps:
        rng = np.random.default_rng([a.seed, step])
        rate = min(1, (step + 1) / 15) * (0.05 + 0.475 * (1 + math.cos(math.pi * step / a.steps)))
        for g in opt.param_groups:
            g["lr"] = g["rate"] * rate
        with autocast():
            losses = losses_of(rng)
        opt.zero_grad(); sum(losses).backward()
        nn.utils.clip_grad_norm_(own.parameters(), 1.0)
        opt.step(); step += 1
        hold = min(a.hold, step / (step + 10))
        with torch.no_grad():
            for p, q in zip(ema.parameters(), own.parameters()):
                p.lerp_(q, 1 - hold)
        if step % 10 == 0:
            print(f"{step} " + " ".join(f"{l.item():.3f}" for l in losses) + f" {time.time() - began:.0f} s", flush=True)
        if step % a.report == 0 or step == a.steps:
            report(f"step {step}"); save(step)


if __name__ == "__main__":
    main()

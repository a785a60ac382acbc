"""Trains the image head, then head and text tower together: WORK/<out>.pt. The image trunk stays as it was.

Three losses. (1) Symmetric InfoNCE on photos and their captions, learned temperature. (2) Concepts: real and pseudo
photos (head.py) against names, WordNet synonyms and hypernyms of the 1,000 classes, multi-positive, and the supervised
classifier's probabilities over the class names as a teacher: so that what ImageNet knows survives the captions.
(3) In the joint phase the text tower keeps to its own teacher on the distillation corpus.
Small pictures: the view shrunk to 32 px learns from the classifier's answer to the whole one.
The exported weights are an exponential average of the steps.
"""
import copy, math, time
import numpy as np, torch, torch.nn.functional as F
from common import arguments, autocast, captions, checkpoint, recalls, trunk
from corpus import PLAIN, hypernyms, imagenet, wordnet
from distil import WEIGHT
from head import Head, Pseudo, start
from text import Ids, TextTower, encode, hidden

SEVEN = ["itap of a {}.", "a bad photo of the {}.", "a origami {}.", "a photo of the large {}.", "a {} in a video game.",
         "art of the {}.", "a photo of the small {}."]
NAMING = ["a photo of a {}.", "a photo of the {}.", "a {}", "{}", "a blurry photo of a {}.", "a low resolution photo of a {}.",
          "a close-up photo of a {}.", "a photo of a small {}."]


class Concepts:
    """The texts of the classes: row (concept, naming) for every class name, synonym and hypernym."""

    def __init__(self, data, tokenizer):
        nouns = wordnet("noun")
        names, offsets = imagenet(data)
        words, self.of = [], []                       # concept -> its words; class -> concepts, itself first
        index = {}
        for name, o in zip(names, offsets):
            index[("class", name, o)] = len(words)
            words.append([name, name, name] + nouns[o][1])
            self.of.append([len(words) - 1])
        for c, o in enumerate(offsets):
            for lemmas in hypernyms(nouns, o)[:9]:
                k = ("above", lemmas[0])
                if k not in index:
                    index[k] = len(words); words.append(lemmas[:3])
                self.of[c].append(index[k])
        self.member = torch.zeros(1000, len(words), dtype=torch.bool)
        for c, concepts in enumerate(self.of):
            self.member[c, concepts] = True
        texts, self.row = [], []                      # concept -> rows of its texts
        for ws in words:
            mine = [t.format(w) for w in ws for t in NAMING]
            self.row.append(range(len(texts), len(texts) + len(mine))); texts += mine
        self.ids = Ids(tokenizer, texts)
        self.prompts = Ids(tokenizer, [t.format(n) for n in names for t in SEVEN + ["a photo of a {}."]])

    def draw(self, classes, rng, higher=0.4):
        """-> a concept of each class and one of its texts' rows."""
        pick = [self.of[c][rng.integers(1, len(self.of[c]))] if rng.random() < higher else self.of[c][0]
                for c in classes.tolist()]
        return pick, [int(rng.choice(self.row[k])) for k in pick]


def info_nce(logits, positive=None):
    """[photos, texts]. Without `positive` text i belongs to photo i, and there may be more photos than texts."""
    if positive is None:
        y = torch.arange(logits.shape[1])
        return (F.cross_entropy(logits[:len(y)], y) + F.cross_entropy(logits.T, y)) / 2
    loss = 0
    for l, p in ((logits, positive.float()), (logits.T, positive.T.float())):
        loss = loss - (p / p.sum(1, keepdim=True).clamp(min=1) * l.log_softmax(1)).sum(1).mean() / 2
    return loss


def class_vectors(hidden, projection):
    v = F.normalize(hidden @ projection, dim=-1).view(1000, -1, projection.shape[1]).mean(1)
    return F.normalize(v, dim=-1)


def main():
    a = arguments(__doc__, net="tf_efficientnet_lite0", size=224, dim=640, views="plain,flip,crop1,crop2",
                  head_steps=120, joint_steps=260, batch=1536, told=512, lr=2e-4, text_lr=2e-4, kl=1.0, multi=0.4, keep=1.0, low=True,
                  low_share=0.3, text="text.pt", begin="", out="model", beta=5.0, gain=25.0, hold=0.985)
    load = lambda name: torch.from_numpy(np.load(f"{a.work}/{name}.npy"))
    feats = lambda split, view: load(f"{a.net[-5:]}-{a.size}-{split}-{view}").float()
    nprng = np.random.default_rng(a.seed)
    net = trunk(a.net)
    classifier = net.classifier.requires_grad_(False)
    views = [feats("train", v) for v in a.views.split(",")]
    low = feats("train", "low") if a.low else None
    plain, dev = views[0], feats("dev", "plain")
    truth, dev_truth = classifier(plain).softmax(1), classifier(dev).softmax(1)
    pseudo = Pseudo(classifier, plain, torch.Generator().manual_seed(a.seed))

    # The text side: the distilled tower, its projection widened to the model's dimension.
    t = torch.load(f"{a.work}/{a.text}")
    shape = t["text"]
    tower = TextTower(shape["vocab_size"], shape["width"], shape["heads"], shape["layers"], a.dim)
    p = t["state"].pop("text_projection")
    tower.load_state_dict(t["state"] | {"text_projection": F.pad(p, (0, a.dim - p.shape[1]))})
    begun = checkpoint(f"{a.work}/{a.begin}")["state"] if a.begin else None
    if begun:
        tower.load_state_dict({k: begun[k] for k in tower.state_dict()})
    tok = f"{a.work}/tokenizer.json"
    ids = Ids(tok, [c for cs in captions(a.data, "train")[1] for c in cs])
    dev_ids = Ids(tok, [c for cs in captions(a.data, "dev")[1] for c in cs])
    concepts = Concepts(a.data, tok)
    n = len(plain)

    cap_h, dev_h, con_h, cls_h = hidden(tower, [ids, dev_ids, concepts.ids, concepts.prompts], a.work, a.begin or a.text)
    head = Head(plain.mean(0), plain.std(0) + 1e-3, a.dim)
    with torch.no_grad():
        project = lambda h: F.normalize(h @ tower.text_projection, dim=-1)
        cap = project(cap_h).view(n, -1, a.dim).mean(1)
        start(head, classifier, class_vectors(cls_h, tower.text_projection), plain, cap - cap.mean(0), a.beta, a.gain)
        if begun:
            head.unfold(begun)
    scale = torch.nn.Parameter(torch.tensor(math.log(20.0)))

    def report(tag, head, tower, fresh=True):
        h = (encode(tower, dev_ids, hidden=True), encode(tower, concepts.prompts, hidden=True)) if fresh else (dev_h, cls_h)
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=False):
            c = class_vectors(h[1], tower.text_projection)
            i = head(dev)
            t2i, i2t = recalls(F.normalize(h[0] @ tower.text_projection, dim=-1) @ i.T, torch.arange(len(h[0])) // 5)
            sure = dev_truth.max(1).values > 0.5
            agree = (i @ c.T).argmax(1) == dev_truth.argmax(1)
            g = torch.Generator().manual_seed(99)
            j, w = torch.randint(n, (3000,), generator=g), torch.randint(1000, (3000,), generator=g)
            x = pseudo(plain[j], j, w)
            ok = classifier(x).argmax(1) == w
            top = (head(x) @ c.T).topk(5).indices[ok] == w[ok, None]
        line = (f"{tag}: t2i " + "/".join(f"{x:.1f}" for x in t2i) + " i2t " + "/".join(f"{x:.1f}" for x in i2t) +
                f" agree {100 * agree.float().mean():.1f} (sure {100 * agree[sure].float().mean():.1f})"
                f" pseudo {100 * top[:, 0].float().mean():.1f}/{100 * top.any(1).float().mean():.1f}"
                f" scale {scale.exp().item():.1f}")
        print(line, flush=True)

    def optimizer(groups):
        return torch.optim.AdamW([{"params": [p for p in ps if p.ndim > 1], "lr": lr, "rate": lr, "weight_decay": wd}
                                  for ps, lr, wd in groups] +
                                 [{"params": [p for p in ps if p.ndim < 2], "lr": lr, "rate": lr, "weight_decay": 0}
                                  for ps, lr, _ in groups], betas=(0.9, 0.98))

    def image_losses(text_of, class_v, caption_v, j):
        """caption_v [B,d] of photos j; text_of(rows) -> concept texts [C,d]."""
        view = views[nprng.integers(len(views))]
        s = scale.exp().clamp(max=100)
        x = view[j]
        cs = torch.from_numpy(nprng.integers(0, 1000, 320))
        k = j[:320]
        base = low if low is not None and nprng.random() < a.low_share else view
        fake = pseudo(base[k], k, cs)
        sure = truth[j].max(1)
        real = (sure.values > 0.6).nonzero()[:64, 0]
        with torch.no_grad():
            aim = torch.cat([classifier(fake).softmax(1), truth[k]])
        seen = base[k]
        out = head(torch.cat([x, fake, seen]))
        b, f = len(x), len(fake)
        loss = info_nce(s * out[:b] @ caption_v.T)
        kl = F.kl_div((25 * out[b:] @ class_v.T).log_softmax(1), aim, reduction="batchmean")
        what = torch.cat([cs, sure.indices[real]])
        pick, rows = concepts.draw(what, nprng)
        v = text_of(rows)
        multi = info_nce(25 * torch.cat([out[b:b + f], out[real]]) @ v.T, concepts.member[what][:, pick])
        return loss, kl, multi

    def phase(name, steps, opt, step_losses, averaged):
        mean = [copy.deepcopy(m) for m in averaged]
        began = time.time()
        for step in range(steps):
            rate = min(1, (step + 1) / 20) * (0.05 + 0.475 * (1 + math.cos(math.pi * step / steps)))
            for g in opt.param_groups:
                g["lr"] = g["rate"] * rate
            with autocast():
                losses = step_losses(torch.from_numpy(nprng.permutation(n)[:a.batch]))
            opt.zero_grad(); sum(losses).backward()
            torch.nn.utils.clip_grad_norm_([p for g in opt.param_groups for p in g["params"]], 1.0)
            opt.step()
            hold = min(a.hold, (step + 1) / (step + 10))
            with torch.no_grad():
                for m, q in zip(mean, averaged):
                    for x, y in zip(m.parameters(), q.parameters()):
                        x.lerp_(y, 1 - hold)
            if (step + 1) % 50 == 0 or step + 1 == steps:
                print(f"{name} {step + 1} " + " ".join(f"{l.item():.3f}" for l in losses) + f" {time.time() - began:.0f} s")
                if (step + 1) % 100 == 0 or step + 1 == steps:
                    report(f"{name} {step + 1}", *(mean if len(mean) == 2 else (mean[0], tower)), fresh=len(mean) == 2)
                    save(mean[0], mean[1] if len(mean) == 2 else tower)
        return mean

    def save(head, tower):
        state = {"visual.trunk." + k: v for k, v in net.state_dict().items() if "classifier" not in k}
        state |= head.folded() | tower.state_dict() | {"logit_scale": scale.detach()}
        torch.save({"net": a.net, "size": a.size, "dim": a.dim, "text": shape,
                    "state": {k: v.detach() for k, v in state.items()}}, f"{a.work}/{a.out}.pt")

    report("start", head, tower, fresh=False)

    def head_step(j):
        pick = torch.from_numpy(nprng.integers(0, 5, len(j)))
        v = lambda h: F.normalize((h @ tower.text_projection).float(), dim=-1)
        l = image_losses(lambda rows: v(con_h[rows]), class_vectors(cls_h, tower.text_projection), v(cap_h[j * 5 + pick]), j)
        return l[0], a.kl * l[1], a.multi * l[2]

    if a.head_steps:
        groups = [(list(head.parameters()), a.lr, 0.2), ([tower.text_projection, scale], a.lr, 0.0)]
        head, = phase("head", a.head_steps, optimizer(groups), head_step, [head])
        save(head, tower)
    if not a.joint_steps:
        return

    rows = [line.rstrip("\n").split("\t") for line in open(f"{a.work}/corpus.tsv")]
    corpus_ids, teacher = Ids(tok, [s for _, s in rows]), load("teacher-corpus")
    told_teacher = load("teacher-train").float()
    weights = torch.tensor([WEIGHT[g] for g, _ in rows])
    state = {"class": None, "step": 0}

    def joint_step(j):
        if state["step"] % 40 == 0:
            state["class"] = encode(tower, concepts.prompts, hidden=True)
        state["step"] += 1
        whole, j = j, j[:a.told]
        pick = torch.from_numpy(nprng.integers(0, 5, len(j)))
        v = lambda i, r: F.normalize(tower(i.batch(r)).float(), dim=-1)
        told = v(ids, (j * 5 + pick).tolist())         # the other photos of the batch are negatives only: text is dear
        l = image_losses(lambda r: v(concepts.ids, r), class_vectors(state["class"], tower.text_projection.detach()),
                         told, whole)
        some = torch.multinomial(weights, 256)
        target = F.normalize((torch.cat([teacher[some].float(), told_teacher[j * 5 + pick]]) - t["mean"]) @ t["white"], dim=-1)
        near = torch.cat([v(corpus_ids, some.tolist()), told])
        kept = (1 - (near * F.pad(target, (0, a.dim - target.shape[1]))).sum(1)).mean()
        return l[0], a.kl * l[1], a.multi * l[2], a.keep * kept

    groups = [(list(head.parameters()), a.lr, 0.2), (list(tower.parameters()), a.text_lr, 0.05), ([scale], a.lr, 0.0)]
    phase("joint", a.joint_steps, optimizer(groups), joint_step, [head, tower])


if __name__ == "__main__":
    main()

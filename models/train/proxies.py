"""The stand-ins by which runs are compared (and no more than that), for a checkpoint: the card's development figures.

Recall on the development split with a bootstrap over photos; pseudo photos of ImageNet's, Caltech-101's and CIFAR-10's
classes made from development photos; and, with --photos DIR, obvious queries over a folder of desktop wallpapers
(Debian's lomiri-wallpapers-16.04 and -20.04, mate-backgrounds, plasma-workspace-wallpapers; one file a wallpaper, named
after it). Nothing trains on any of it. --checkpoint may be a model directory; --size tries its
weights at another input size.
"""
import glob, json, os, random
import numpy as np, torch, torch.nn.functional as F
from PIL import Image, ImageOps
from common import arguments, captions, checkpoint, photo, recalls, trunk
from corpus import hypernyms, imagenet, wordnet
from features import folded, run, seen
from head import Pseudo
from text import Ids, TextTower, encode
from train import SEVEN

TEMPLATES = ["a photo of a {}.", "a blurry photo of a {}.", "a low contrast photo of a {}.", "a good photo of a {}.",
             "a photo of a small {}.", "a photo of the {}.", "a photo of a big {}."]
CIFAR = {"airplane": {"airplane", "aircraft"}, "automobile": {"car", "motorcar"}, "bird": {"bird"},
         "cat": {"cat", "domestic cat"}, "deer": {"deer", "antelope"}, "dog": {"dog"}, "frog": {"frog"},
         "horse": {"horse"}, "ship": {"ship", "vessel"}, "truck": {"truck", "motortruck"}}
QUERIES = """a bird on a tree trunk:Kleiber  paint brushes:Picture_1A  a ladybug:LadyBird  a kite in the sky:Kite
a mountain path:picosdeeuropa  dogs at a window:friends  sunset:sunset|EveningGlow|summer_1am
dandelions:seeding|TwoWings  a brook:life  sand dunes:Dune|Volna  a wooden pier:ColdRipple|BytheWater
boats on the shore:EveningGlow  autumn leaves:FallenLeaf|Autumn|Dragonfly  a forest:Path  green grass:GreenMeadow
a clock:greentock  plastic cups:ColorfulCups  water drops on a leaf:RainDrops  a drop of water:Aqua
a yellow flower:YellowFlower  storm clouds over a road:Storm  ocean waves on a beach:Volna
a fig in a red bowl:Picture_0B  the milky way:Infinite-Sea|MilkyWay  an orange flower:FreshFlower|Garden"""


class Model:
    def __init__(self, path, tokenizer):
        c = checkpoint(path)
        self.s, self.tok, self.size, t = c["state"], tokenizer, c["size"], c["text"]
        self.tower = TextTower(t["vocab_size"], t["width"], t["heads"], t["layers"], c["dim"])
        self.tower.load_state_dict({k: self.s[k] for k in self.tower.state_dict()})

        self.trunk = trunk(c["net"])
        own = {k[len("visual.trunk."):]: v for k, v in self.s.items() if k.startswith("visual.trunk.")}
        missing = self.trunk.load_state_dict(own, strict=False).missing_keys
        assert all("classifier" in k for k in missing), missing
        self.trunk = folded(self.trunk)

    def image(self, x):
        w = lambda name: self.s["visual.head.mlp." + name]
        return F.normalize(F.linear(F.gelu(F.linear(x, w("fc1.weight"), w("fc1.bias"))), w("fc2.weight")), dim=-1)

    def text(self, texts):
        return encode(self.tower, Ids(self.tok, texts))

    def names(self, names, templates=TEMPLATES):
        v = self.text([t.format(n) for n in names for t in templates]).view(len(names), len(templates), -1).mean(1)
        return F.normalize(v, dim=-1)


def retrieval(model, data, plain):
    sims = model.text([c for cs in captions(data, "dev")[1] for c in cs]) @ model.image(plain).T
    owner = torch.arange(len(sims)) // 5
    rank = (sims > sims.gather(1, owner[:, None])).sum(1).view(-1, 5)
    rng = np.random.default_rng(0)
    for k in (1, 5, 10):
        hit = (rank < k).float().mean(1).numpy() * 100
        low, high = np.quantile([hit[rng.integers(0, len(hit), len(hit))].mean() for _ in range(1000)], [.025, .975])
        print(f"text-to-image R@{k} {hit.mean():.1f} [{low:.1f}, {high:.1f}]")
    print("image-to-text R@1/5/10", [round(x, 1) for x in recalls(sims, owner)[1]])


def zero_shot(model, data, views):
    nouns = wordnet("noun")
    names, offsets = imagenet(data)
    kinds = [{l.lower() for ls in [nouns[o][1]] + hypernyms(nouns, o) for l in ls} for o in offsets]
    caltech = json.load(open(f"{data}/clip/prompts/en_classnames.json"))["caltech101"]
    classifier = trunk("tf_efficientnet_lite0").classifier.requires_grad_(False)
    rng = torch.Generator().manual_seed(4)
    pseudo = Pseudo(classifier, views["plain"], rng)

    def accuracy(view, labels, members, each):
        v, right = model.names(labels), []
        for k, classes in enumerate(members):
            if classes:
                j = torch.randint(len(view), (each,), generator=rng)
                w = torch.tensor(classes)[torch.randint(len(classes), (each,), generator=rng)]
                right.append(((model.image(pseudo(view[j], j, w)) @ v.T).argmax(1) == k).float().mean().item())
        return f"{100 * np.mean(right):.1f} over {len(right)} classes"

    every = [[c] for c in range(1000)]
    print("pseudo ImageNet names, top-1", accuracy(views["plain"], names, every, 3))
    of = [[i for i, k in enumerate(kinds) if c.lower() in k or c.lower() == names[i].lower()] for c in caltech]
    print("pseudo Caltech-101 names", accuracy(views["plain"], caltech, of, 40))
    of = [[i for i, k in enumerate(kinds) if k & words] for words in CIFAR.values()]
    for view in ("plain", "low"):
        print(f"pseudo CIFAR-10 names, {view}", accuracy(views[view], list(CIFAR), of, 200))


def small_crops(model, data, seed):
    """Real squares of development photos, then shrunk to 32 px: named as the classifier names the square when whole?"""
    names, _ = imagenet(data)
    nouns, rng = wordnet("noun"), random.Random(seed)
    squares = []
    for n in captions(data, "dev")[0]:
        img, side = photo(data, n), rng.randint(80, 224)
        x, y = rng.randint(0, img.width - side), rng.randint(0, img.height - side)
        squares.append(img.crop((x, y, x + side, y + side)))
    small = [s.resize((32, 32), Image.BICUBIC) for s in squares]
    whole, small = (run(model.trunk, s, model.size, 0)[0].float() for s in (squares, small))
    p = trunk("tf_efficientnet_lite0").classifier.requires_grad_(False)(whole).softmax(1)
    sure = p.max(1).values > 0.5
    kinds = [{l.lower() for ls in [nouns[o][1]] + hypernyms(nouns, o) for l in ls} for o in imagenet(data)[1]]
    ten = torch.tensor([[float(bool(k & words)) for k in kinds] for words in CIFAR.values()])
    kind = (p @ ten.T).max(1)
    known = kind.values > 0.6
    every = open(f"{data}/clip/prompts/imagenet_templates.txt").read().strip().split("\n")
    print("small crops:", int(sure.sum()), "of a sure class,", torch.bincount(kind.indices[known], minlength=10).tolist(),
          "of CIFAR-10's")
    for label, ts in (("simple7", SEVEN), ("imagenet80", every), ("one sentence", ["a photo of a {}."])):
        v = model.names(list(CIFAR), ts)
        right = [((model.image(x) @ v.T).argmax(1) == kind.indices)[known].float().mean().item() for x in (whole, small)]
        print(f"  {label}: CIFAR-10's names {100 * right[0]:.1f} whole, {100 * right[1]:.1f} small")
    v = model.names(names, SEVEN)
    right = [((model.image(x) @ v.T).argmax(1) == p.argmax(1))[sure].float().mean().item() for x in (whole, small)]
    print(f"  simple7: ImageNet's names {100 * right[0]:.1f} whole, {100 * right[1]:.1f} small")


def wallpapers(model, folder):
    files = sorted(glob.glob(f"{folder}/*"))
    photos = [Image.open(f).convert("RGB") for f in files]
    queries = [q.split(":") for line in QUERIES.split("\n") for q in line.split("  ")]
    square = (model.size, model.size)
    for how, images in (("squashed", photos), ("cropped", [ImageOps.fit(p, square, Image.BICUBIC) for p in photos])):
        sims = model.text([q for q, _ in queries]) @ model.image(run(model.trunk, images, model.size, 0)[0].float()).T
        place = []
        for (q, right), order in zip(queries, sims.argsort(descending=True).tolist()):
            good = [os.path.basename(files[i]).startswith(tuple(right.split("|"))) for i in order]
            place.append(good.index(True))
        print(f"{len(files)} wallpapers, {how}: right first {sum(p < 1 for p in place)}, among three "
              f"{sum(p < 3 for p in place)} of {len(place)} queries")


if __name__ == "__main__":
    a = arguments(__doc__, checkpoint="", photos="", size=0)
    m = Model(a.checkpoint, f"{a.work}/tokenizer.json")
    m.size = a.size or m.size
    views = {v: seen(m.trunk, a.data, "dev", v, a.seed, m.size, 0)[0].float() for v in ("plain", "low")}
    retrieval(m, a.data, views["plain"])
    zero_shot(m, a.data, views)
    small_crops(m, a.data, a.seed)
    if a.photos:
        wallpapers(m, a.photos)

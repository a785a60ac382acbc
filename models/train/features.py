"""Caches what the frozen part of the image trunk sees: pooled features, or the map before the last stages.

Views: plain; flip; cropN (random resized crop, flip, colour); low (down to 32 px and up again, as small pictures are).
"""
import random
import numpy as np, torch
from PIL import ImageEnhance, ImageOps, Image
from common import BF16, arguments, captions, photo, pixels, trunk


def crop(img, rng):
    w, h = img.size
    for _ in range(10):
        area, ratio = rng.uniform(0.45, 1) * w * h, rng.uniform(0.75, 1.333)
        cw, ch = int((area * ratio) ** 0.5), int((area / ratio) ** 0.5)
        if cw <= w and ch <= h:
            break
    else:
        cw, ch = w, h
    x, y = rng.randint(0, w - cw), rng.randint(0, h - ch)
    img = img.crop((x, y, x + cw, y + ch))
    if rng.random() < 0.5:
        img = ImageOps.mirror(img)
    for tool in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        img = tool(img).enhance(rng.uniform(0.75, 1.25))
    return img


def view(img, kind, rng):
    if kind == "flip":
        return ImageOps.mirror(img)
    if kind.startswith("crop"):
        return crop(img, rng)
    if kind == "low":
        if rng.random() < 0.5:
            img = crop(img, rng)
        return img.resize((32, 32), Image.BICUBIC)
    return img


@torch.no_grad()
def folded(net):
    """Batch norms into their convolutions; bf16 where the CPU has it: twice as fast, and the features agree to 0.999."""
    pairs = [(net, "conv_stem", "bn1"), (net, "conv_head", "bn2")]
    for block in [b for stage in net.blocks for b in stage]:
        order = ("conv_dw", "conv_pw") if hasattr(block, "bn2") and not hasattr(block, "conv_pwl") else \
                ("conv_pw", "conv_dw", "conv_pwl")
        pairs += [(block, c, f"bn{i + 1}") for i, c in enumerate(order)]
    for module, conv, norm in pairs:
        c, b = getattr(module, conv), getattr(module, norm)
        k = b.weight / (b.running_var + b.eps).sqrt()
        c.weight.mul_(k[:, None, None, None])
        c.bias = torch.nn.Parameter(b.bias - b.running_mean * k)
        setattr(module, norm, b.act)
    return net.to(torch.bfloat16 if BF16 else torch.float32).to(memory_format=torch.channels_last)


@torch.inference_mode()
def run(net, images, size, stages):
    """-> pooled features [n,1280] f16, and the map after `stages` stages as [n,C,H,W] f16 (or None)."""
    pooled, maps = [], []
    for i in range(0, len(images), 64):
        x = torch.stack([pixels(im, size) for im in images[i:i + 64]]).to(memory_format=torch.channels_last)
        x = net.bn1(net.conv_stem(x.to(net.conv_stem.weight.dtype)))
        for s, stage in enumerate(net.blocks):
            x = stage(x)
            if s + 1 == stages:
                maps.append(x.half().contiguous())
        x = net.bn2(net.conv_head(x))
        pooled.append(x.float().mean((2, 3)).half())
    return torch.cat(pooled), (torch.cat(maps) if maps else None)


def seen(net, data, split, kind, seed, size, stages):
    """What run() gives, for one view of a whole split. The seed decides the crops."""
    names, _ = captions(data, split)
    rng = random.Random(f"{seed} {kind} {split}")
    parts = [run(net, [view(photo(data, n), kind, rng) for n in names[i:i + 512]], size, stages)
             for i in range(0, len(names), 512)]
    return torch.cat([p for p, _ in parts]), torch.cat([m for _, m in parts]) if stages else None


if __name__ == "__main__":
    a = arguments(__doc__, net="tf_efficientnet_lite0", size=224, views="plain", splits="train,dev", stages=0)
    net = folded(trunk(a.net))
    for split in a.splits.split(","):
        for kind in a.views.split(","):
            pooled, maps = seen(net, a.data, split, kind, a.seed, a.size, a.stages)
            stem = f"{a.work}/{a.net[-5:]}-{a.size}-{split}-{kind}"
            np.save(stem + ".npy", pooled.numpy())
            if a.stages:
                np.save(f"{stem}-s{a.stages}.npy", maps.numpy())
            print(stem, flush=True)

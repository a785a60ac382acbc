"""What features.py caches, computed by clipsearch itself: several times faster than PyTorch on a CPU without bf16.

WORK needs the tokenizer. The model directory made for it hands the trunk's pooled features through the projection:
hidden unit i is GELU(feature i + 10), nearly feature i + 10, the next one GELU(10), which the second layer takes off
again; a last output, always 1, tells the length that the program divides its vectors by.
"""
import json, os, random, shutil, subprocess, tempfile
import numpy as np, torch
from safetensors.torch import save_file
from common import arguments, captions, photo, trunk
from export import config
from features import view
from text import TextTower

TOKENIZER = ("vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json")


@torch.no_grad()
def directory(net, name, size, work, out):
    """net: the supervised network."""
    state = {"visual.trunk." + k: v for k, v in net.state_dict().items() if "classifier" not in k}
    wide = net.classifier.in_features
    first, bias, second = torch.zeros(2 * wide + 2, wide), torch.zeros(2 * wide + 2), torch.zeros(wide + 1, 2 * wide + 2)
    first[:wide], bias[:wide + 1] = torch.eye(wide), 10
    second[:wide, :wide], second[:wide, wide], second[wide, wide] = torch.eye(wide), -1, 0.1
    state |= {"visual.head.mlp.fc1.weight": first, "visual.head.mlp.fc1.bias": bias, "visual.head.mlp.fc2.weight": second}
    text = {"vocab_size": 16384, "width": 64, "heads": 1, "layers": 1}      # never asked
    state |= TextTower(16384, 64, 1, 1, wide + 1).state_dict() | {"logit_scale": torch.zeros(())}
    save_file({k: v.contiguous() for k, v in state.items()}, f"{out}/open_clip_model.safetensors", {"format": "pt"})
    json.dump(config(name, size, wide + 1, text), open(f"{out}/open_clip_config.json", "w"))
    for f in TOKENIZER:
        shutil.copy(f"{work}/{f}", out)


def pooled(program, model, files):
    """-> [n, wide] f16"""
    out = subprocess.run([program, "--model", model, "embed", "--json", "--image", *files], check=True,
                         capture_output=True, text=True).stdout
    v = np.array([json.loads(line)["vector"] for line in out.strip().split("\n")], np.float32)
    return (v[:, :-1] / v[:, -1:]).astype(np.float16)


def seen(program, model, data, split, kind, seed, folder):
    """One view of a whole split; the same crops as in features.py."""
    names, rng, parts = captions(data, split)[0], random.Random(f"{seed} {kind} {split}"), []
    for i in range(0, len(names), 512):
        files = [f"{data}/captions/images/{n}" for n in names[i:i + 512]]
        if kind != "plain":
            made = [f"{folder}/{k}.png" for k in range(len(files))]
            for n, f in zip(names[i:], made):
                view(photo(data, n), kind, rng).save(f, compress_level=1)
            files = made
        parts.append(pooled(program, model, files))
    return np.concatenate(parts)


if __name__ == "__main__":
    a = arguments(__doc__, net="tf_efficientnet_lite0", size=224, views="plain", splits="train,dev", program="clipsearch")
    with tempfile.TemporaryDirectory() as model, tempfile.TemporaryDirectory() as folder:
        directory(trunk(a.net), a.net, a.size, a.work, model)
        for split in a.splits.split(","):
            for kind in a.views.split(","):
                stem = f"{a.work}/{a.net[-5:]}-{a.size}-{split}-{kind}"
                np.save(stem + ".npy", seen(a.program, model, a.data, split, kind, a.seed, folder))
                print(stem, flush=True)

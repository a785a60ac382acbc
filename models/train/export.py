"""Writes a model directory in open_clip's form from a checkpoint, f16, and loads it back with open_clip to be sure."""
import hashlib, json, os, shutil
import open_clip, torch
from safetensors.torch import save_file
from common import MEAN, STD, arguments


def config(net, size, dim, text):
    return {"model_cfg": {
                "embed_dim": dim,
                "vision_cfg": {"timm_model_name": net, "timm_model_pretrained": False, "timm_pool": "",
                               "timm_proj": "mlp", "image_size": size},
                "text_cfg": {"context_length": 77, **text, "hf_tokenizer_name": "."}},
            "preprocess_cfg": {"mean": [MEAN] * 3, "std": [STD] * 3, "interpolation": "bicubic",
                               "resize_mode": "squash", "size": [size, size]}}


def sums(folder):
    names = sorted(n for n in os.listdir(folder) if n != "SHA256SUMS")
    with open(f"{folder}/SHA256SUMS", "w") as f:
        for n in names:
            f.write(f"{hashlib.sha256(open(f'{folder}/{n}', 'rb').read()).hexdigest()}  {n}\n")


def main():
    a = arguments(__doc__, checkpoint="", out="", resize="shortest")
    c = torch.load(a.checkpoint)                  # {"net", "size", "dim", "text", "state"}: see train.py
    os.makedirs(a.out, exist_ok=True)
    cfg = config(c["net"], c["size"], c["dim"], c["text"])
    cfg["preprocess_cfg"]["resize_mode"] = a.resize
    json.dump(cfg, open(f"{a.out}/open_clip_config.json", "w"), indent=2)
    state = {k: v.half().contiguous() if v.is_floating_point() else v for k, v in c["state"].items()}
    assert all(v.isfinite().all() for v in state.values() if v.is_floating_point())
    save_file(state, f"{a.out}/open_clip_model.safetensors", {"format": "pt"})
    for name in ("vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(f"{a.work}/{name}", a.out)
    here = os.path.dirname(os.path.abspath(__file__))
    for name in ("MODEL_CARD.md", "NOTICE"):
        if os.path.exists(f"{here}/../default/{name}") and not os.path.exists(f"{a.out}/{name}"):
            shutil.copy(f"{here}/../default/{name}", a.out)
    sums(a.out)
    model, _, prep = open_clip.create_model_and_transforms(f"local-dir:{a.out}")
    tok = open_clip.get_tokenizer(f"local-dir:{a.out}")
    print(prep, tok(["A photo of a dog."])[0, :8], sum(p.numel() for p in model.parameters()))
    print(sum(os.path.getsize(f"{a.out}/{n}") for n in os.listdir(a.out)) / 1e6, "MB")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Full-size towers with random weights, ours against PyTorch: full_size.py ENCODE_DUMP [--threads N] [--images N] [--index CLIPSEARCH] [--precision P] [NAME...]

NAME is open_clip's (ViT-B-32-quickgelu, ViT-L-14, RN50-quickgelu, ViT-B-16-SigLIP, ...), or hf:NAME for the same sizes in Hugging Face's form. Each model is
made with a fixed seed, written to a temporary folder, run by PyTorch and by ENCODE_DUMP (tests/engine/encode_dump.c, in the
build folder) on the same pixels and texts, and compared; the table on stdout is Markdown. Needs torch, open_clip_torch,
transformers, numpy; nothing of it is needed to build, test or use clipsearch."""
import argparse, gzip, json, os, re, subprocess, sys, tempfile, time, warnings

import numpy as np
import open_clip
import torch
from open_clip.factory import get_model_config
from safetensors.torch import save_file

warnings.filterwarnings("ignore")
TEXTS = ["a bird on a tree trunk", "a photo of a dog", "two people walking along the beach at sunset, seen from far away",
         "sunset", "42 red balloons!", "a very long caption " * 30, "it's raining cats & dogs", "."]


HALVES = {"mean": [0.5] * 3, "std": [0.5] * 3, "resize_mode": "squash"}  # what open_clip has beside the pretrained weights
ALL = ["RN50-quickgelu", "RN101-quickgelu", "RN50x4-quickgelu", "RN50x16-quickgelu", "RN50x64-quickgelu", "ViT-B-32-quickgelu",
       "ViT-B-16-quickgelu", "ViT-L-14-quickgelu", "ViT-L-14-336-quickgelu", "ViT-H-14"]


def write_vocabulary(folder):
    bpe = os.path.join(os.path.dirname(open_clip.__file__), "bpe_simple_vocab_16e6.txt.gz")
    merges = gzip.open(bpe).read().decode().split("\n")[1:49152 - 256 - 2 + 1]
    json.dump(open_clip.SimpleTokenizer().encoder, open(f"{folder}/vocab.json", "w"))
    open(f"{folder}/merges.txt", "w").write("#version: 0.2\n" + "\n".join(merges) + "\n")


def write_pieces(folder):
    """A small sentencepiece model for SigLIP, and the texts' ids by it."""
    sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tokenizer"))
    import make_pieces, sentencepiece
    from open_clip.tokenizer import _clean_canonicalize
    make_pieces.train(f"{folder}/spiece.model", normalization_rule_name="nmt_nfkc")
    ids = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/spiece.model").encode([_clean_canonicalize(t) for t in TEXTS])
    return torch.tensor([(i[:63] + [1] * 64)[:64] for i in ids])


def excite(state):
    """Random initial weights are so small that every vector comes out alike: give norms and biases some life."""
    for name, x in state.items():
        if x.dtype != torch.float32 or name == "logit_scale":
            continue
        if name.endswith("running_var"):
            x.uniform_(0.5, 1.5)
        elif x.dim() == 1:
            x.add_(torch.randn_like(x) * 0.1)
    return state


def make_open_clip(name, folder, dtype):
    model = open_clip.create_model(name, pretrained=None).eval()
    model.load_state_dict(excite(model.state_dict()))
    model = model.to(dtype).float()
    json.dump({"model_cfg": get_model_config(name), "preprocess_cfg": open_clip.get_model_preprocess_cfg(model) | (HALVES if "SigLIP" in name else {})},
              open(f"{folder}/open_clip_config.json", "w"))
    save_file({k: v.contiguous().clone().to(dtype) if v.is_floating_point() else v for k, v in model.state_dict().items()},
              f"{folder}/open_clip_model.safetensors")
    return model, model.visual.image_size, lambda x: model.encode_image(x, normalize=True), lambda t: model.encode_text(t, normalize=True)


def make_huggingface(name, folder, dtype):
    from transformers import CLIPConfig, CLIPModel
    c = get_model_config(name)
    v, t = c["vision_cfg"], c["text_cfg"]
    act = "quick_gelu" if c.get("quick_gelu") else "gelu"
    config = CLIPConfig(
        text_config=dict(hidden_size=t["width"], intermediate_size=4 * t["width"], num_hidden_layers=t["layers"],
                         num_attention_heads=t["heads"], hidden_act=act, eos_token_id=49407, projection_dim=c["embed_dim"]),
        vision_config=dict(hidden_size=v["width"], intermediate_size=4 * v["width"], num_hidden_layers=v["layers"],
                           num_attention_heads=v["width"] // v.get("head_width", 64), image_size=v["image_size"],
                           patch_size=v["patch_size"], hidden_act=act, projection_dim=c["embed_dim"]),
        projection_dim=c["embed_dim"])
    model = CLIPModel(config).eval()
    model.load_state_dict(excite(model.state_dict()))
    model = model.to(dtype)
    model.save_pretrained(folder, safe_serialization=True)
    model = model.float()
    unit = torch.nn.functional.normalize
    feature = lambda x: x if torch.is_tensor(x) else x.pooler_output
    return (model, v["image_size"], lambda x: unit(feature(model.get_image_features(pixel_values=x)), dim=-1),
            lambda t: unit(feature(model.get_text_features(input_ids=t)), dim=-1))


def encode(model, folder, size, images, texts, siglip, n):
    rows = torch.randint(0, 256, (n, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    rows = (rows.float() * 0.2 + torch.linspace(0, 200, n).view(n, 1, 1, 1)).clamp(0, 255).to(torch.uint8)
    rows.numpy().tofile(f"{folder}/rows.u8")
    open(f"{folder}/texts.txt", "w").write("\n".join(TEXTS) + "\n")
    mean, std = (torch.tensor(HALVES[k.lower()] if siglip else getattr(open_clip, f"OPENAI_DATASET_{k}")).view(1, 3, 1, 1) for k in ("MEAN", "STD"))
    ids = write_pieces(folder) if siglip else open_clip.SimpleTokenizer()(TEXTS)
    x = (rows.permute(0, 3, 1, 2).float() / 255 - mean) / std
    with torch.no_grad():
        cpu = time.process_time()
        v = images(x)
        cost = (time.process_time() - cpu) / len(rows)
        return v.numpy(), texts(ids).numpy(), cost


def index_peak(program, folder):
    """What `clipsearch index` of a few photos with the model takes at most, in MB, by GNU time: wait4 would count this process too."""
    from PIL import Image
    os.mkdir(f"{folder}/photos")
    for i in range(9):
        Image.effect_noise((1200, 900), 30 + i).convert("RGB").save(f"{folder}/photos/{i}.jpg")
    run = subprocess.run(["/usr/bin/time", "-f", "%M", program, "index", "--db", f"{folder}/library.db", "--quiet", "--no-config", "--model",
                          folder, f"{folder}/photos"], check=True, capture_output=True, text=True)
    return int(run.stderr.split()[-1]) / 1024


def main():
    p = argparse.ArgumentParser()
    p.add_argument("encode_dump")
    p.add_argument("names", nargs="*", default=ALL, help="open_clip's names; default: the paper's nine and ViT-H-14")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--images", type=int, default=8)
    p.add_argument("--index", metavar="CLIPSEARCH", help="also measure the peak memory of indexing with this program")
    p.add_argument("--precision", default="f32")
    p.add_argument("--dtype", default="float16", choices=["float32", "float16", "bfloat16"], help="of the weight file")
    a = p.parse_intermixed_args()
    torch.set_num_threads(a.threads)
    print("| model | weights | least cosine, image / text | largest error, image / text | CPU s a photo, ours / PyTorch | peak memory |" + (" of index |" if a.index else ""))
    print("|---|---|---|---|---|---|" + ("---|" if a.index else ""))
    for name in a.names:
        torch.manual_seed(0)
        with tempfile.TemporaryDirectory() as folder:
            make = make_huggingface if name.startswith("hf:") else make_open_clip
            model, size, images, texts = make(name.removeprefix("hf:"), folder, getattr(torch, a.dtype))
            size = size if isinstance(size, int) else size[0]
            siglip = "SigLIP" in name
            if not siglip:
                write_vocabulary(folder)
            want_i, want_t, cpu = encode(model, folder, size, images, texts, siglip, a.images)
            del model, images, texts
            run = subprocess.run([a.encode_dump, folder, f"{folder}/out.f32", "--threads", str(a.threads), "--batch", "8",
                                  "--repeat", "2", "--precision", a.precision, "--rows", f"{folder}/rows.u8",
                                  "--texts", f"{folder}/texts.txt"], check=True, capture_output=True, text=True)
            indexing = f" {index_peak(a.index, folder):,.0f} MB |" if a.index else ""
            got = np.fromfile(f"{folder}/out.f32", "f4").reshape(-1, want_i.shape[1])
        got_i, got_t = got[:len(want_i)], got[len(want_i):]
        own = re.search(r"photos: .*?; ([\d.]+) ms.*peak ([\d.]+)", run.stderr)
        print(f"| {name} | {a.dtype} | {(got_i * want_i).sum(1).min():.7f} / {(got_t * want_t).sum(1).min():.7f} "
              f"| {abs(got_i - want_i).max():.1e} / {abs(got_t - want_t).max():.1e} | {float(own[1]) / 1000:.3f} / {cpu:.3f} | {float(own[2]):,.0f} MB |{indexing}",
              flush=True)


if __name__ == "__main__":
    sys.exit(main())

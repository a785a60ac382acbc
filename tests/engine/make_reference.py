#!/usr/bin/env python3
"""Reference values for the engine's tests: make_reference.py [NAME...] rewrites tests/engine/models/NAME/.

No weights are kept. A model's tensors are listed (tensors.txt), and every number in them follows from the tensor's name and
the number's place by the rule in `fill` below, which tests/engine/made_model.c repeats in C. The numbers have at most eight
significant bits, so f32, f16 and bf16 files of one model hold the same values. What PyTorch makes of them, in f64, is kept, thinned to at
most 512 numbers a layer:

    reference.bin   records: name[16] | u32 rows | u32 width | u32 n | f32 values[n], value j being number
                    j * rows * width / n of the layer's output; layer "vector" is the final unit vector

Needs torch, open_clip_torch, timm, transformers, numpy (1 GB); none of it is needed to build, test or use clipsearch."""
import json, math, os, shutil, struct, sys, warnings

import numpy as np
import open_clip
import torch
from open_clip import CLIP, CustomTextCLIP

warnings.filterwarnings("ignore")
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "models")
DTYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64"}
IMAGES, VOCAB, CONTEXT, MOST = 3, 514, 16, 512
TEXTS = ["a", "bird on a trunk", "x y"]


def fnv(name):
    h = 2166136261
    for c in name.encode():
        h = ((h ^ c) * 16777619) & 0xFFFFFFFF
    return h


def noise(name, n):
    """n whole numbers 0..255, from the name alone (the finaliser of MurmurHash3)."""
    x = (np.arange(n, dtype=np.uint64) * 2654435761 + fnv(name)).astype(np.uint32)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x ^= x >> np.uint32(shift)
        x = (x.astype(np.uint64) * factor).astype(np.uint32)
    x ^= x >> np.uint32(16)
    return (x >> np.uint32(24)).astype(np.int64)


def fill(name, shape):
    n = int(np.prod(shape, dtype=np.int64))
    k = noise(name, n)
    if name == "logit_scale":
        v = np.full(n, 2.65625)
    elif name.endswith("running_var"):
        v = (64 + k // 4) / 128
    elif len(shape) == 1 and name.endswith("weight"):
        v = (64 + (k // 16 - 8)) / 64
    elif len(shape) <= 1:
        v = (k // 16 - 8) / 64
    else:
        fan_in = int(np.prod(shape[1:], dtype=np.int64))
        v = (k - 128) / 128 * 2.0 ** round(math.log2(math.sqrt((6 if "trunk" in name and "pwl" not in name else 3) / fan_in)))
    return torch.tensor(v.reshape(shape))


def images(size):
    return torch.tensor(noise("images", IMAGES * size * size * 3).reshape(IMAGES, size, size, 3))


def byte_ids(text):
    """CLIP's ids with a vocabulary of bytes and no merges: 256 bytes, 256 that end a word, start, end."""
    order = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    order += [b for b in range(256) if b not in order]
    ids = [512]
    for word in text.split():
        b = [order.index(c) for c in word.encode()]
        ids += b[:-1] + [b[-1] + 256]
    return ids + [513]


def piece_ids(text):
    """SigLIP's ids with a vocabulary of <pad>, </s>, <unk>, the space and a to z, filled up with </s>."""
    ids = [3 if c == " " else ord(c) - ord("a") + 4 for c in " " + text]
    return (ids[:CONTEXT - 1] + [1] * CONTEXT)[:CONTEXT]


def padded_ids():
    ids = torch.zeros(len(TEXTS), CONTEXT, dtype=torch.long)
    for i, t in enumerate(TEXTS):
        ids[i, :len(byte_ids(t))] = torch.tensor(byte_ids(t))
    return ids


class Recorder:
    def __init__(self):
        self.records = []

    def keep(self, name, x):
        x = x.detach().float().reshape(-1, x.shape[-1]).numpy()
        n = min(x.size, MOST)
        v = x.reshape(-1)[np.arange(n, dtype=np.int64) * x.size // n]
        self.records.append(struct.pack("16sIII", name.encode(), *x.shape, n) + v.astype("<f4").tobytes())

    def tokens(self, name, module, pick=lambda x: x, before=False):
        """Keep the module's output (or input) of every forward pass as name."""
        def hook(mod, args, out=None):
            x = args[0] if before else out
            self.keep(name, pick(x[0] if isinstance(x, tuple) else x))
        return (module.register_forward_pre_hook if before else module.register_forward_hook)(hook)


def used_rows(x):
    return torch.cat([x[i, :len(byte_ids(t))] for i, t in enumerate(TEXTS)])


def end_rows(x):
    return torch.stack([x[i, len(byte_ids(t)) - 1] for i, t in enumerate(TEXTS)])


def record_blocks(r, kind, blocks, last, every):
    for i, b in enumerate(blocks):
        final = i == len(blocks) - 1
        r.tokens(f"{kind}.last" if final else f"{kind}.block", b, last if final else every)


def record_trunk(r, trunk):
    rows = lambda x: x.permute(0, 2, 3, 1)
    r.tokens("image.embedding", trunk.bn1, rows)
    for stage in trunk.blocks:
        for b in stage:
            r.tokens("image.block", b, rows)
    r.tokens("image.head", trunk.bn2, rows)


def record_resnet(r, visual):
    rows = lambda x: x.permute(0, 2, 3, 1)
    r.tokens("image.embedding", visual.avgpool, rows)
    for stage in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
        for b in stage:
            r.tokens("image.block", b, rows)


def run(r, size, mean, std, encode_image, encode_text, ids=None):
    x = images(size).permute(0, 3, 1, 2).to(torch.get_default_dtype()) / 255
    x = (x - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    unit = lambda v: torch.nn.functional.normalize(v, dim=-1)
    with torch.no_grad():
        r.keep("image.vector", unit(encode_image(x)))
        r.keep("text.vector", unit(encode_text(padded_ids() if ids is None else ids)))


def write(name, state, dtype, configs, r):
    folder = f"{FOLDER}/{name}"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    with open(f"{folder}/tensors.txt", "w") as f:
        for k, v in sorted(state.items()):
            kind = DTYPES[dtype if v.is_floating_point() else v.dtype]
            f.write(" ".join([k, kind] + [str(s) for s in v.shape]) + "\n")
    for file, content in configs.items():
        json.dump(content, open(f"{folder}/{file}", "w"), indent=1)
    open(f"{folder}/reference.bin", "wb").write(b"".join(r.records))


def filled(model, prefix=""):
    state = model.state_dict()
    for k, v in state.items():
        if v.is_floating_point():
            v.copy_(fill(prefix + k, tuple(v.shape)))
    model.load_state_dict(state)
    return model.eval()


def make_open_clip(name, dtype, vision, text, quick_gelu=False, separate_text=False, dim=24,
                   mean=(0.48145466, 0.4578275, 0.40821073), std=(0.26862954, 0.26130258, 0.27577711), **preprocess):
    text = {"context_length": CONTEXT, "vocab_size": VOCAB, **text}
    model = filled((CustomTextCLIP if separate_text else CLIP)(embed_dim=dim, vision_cfg=vision, text_cfg=text, quick_gelu=quick_gelu))
    size, r = vision["image_size"], Recorder()
    if "timm_model_name" in vision:
        record_trunk(r, model.visual.trunk)
    elif isinstance(vision["layers"], list):
        record_resnet(r, model.visual)
    else:
        r.tokens("image.embedding", model.visual.ln_pre)
        record_blocks(r, "image", model.visual.transformer.resblocks, lambda x: x[:, 0], lambda x: x)
    tower = model.text if separate_text else model
    r.tokens("text.embedding", tower.transformer.resblocks[0], used_rows, before=True)
    record_blocks(r, "text", tower.transformer.resblocks, end_rows, used_rows)
    run(r, size, mean, std, model.encode_image, model.encode_text)
    model_cfg = {"embed_dim": dim, "vision_cfg": vision, "text_cfg": text}
    model_cfg |= {"quick_gelu": True} if quick_gelu else {}
    preprocess_cfg = {"size": [size, size], "mean": mean, "std": std, "interpolation": "bicubic", "resize_mode": "shortest"} | preprocess
    write(name, model.state_dict(), dtype, {"open_clip_config.json": {"model_cfg": model_cfg, "preprocess_cfg": preprocess_cfg}}, r)


def huggingface(act, vision, text, dim):
    from transformers import CLIPConfig, CLIPModel
    vision = {"hidden_act": act, "projection_dim": dim, **vision}
    text = {"hidden_act": act, "projection_dim": dim, "vocab_size": VOCAB, "max_position_embeddings": CONTEXT, "eos_token_id": 513,
            "bos_token_id": 512, "pad_token_id": 0, **text}
    torch.manual_seed(0)
    return filled(CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=dim))), vision, text


def make_huggingface(name, dtype, act, vision, text, dim=24):
    model, vision, text = huggingface(act, vision, text, dim)
    r, size = Recorder(), vision["image_size"]
    r.tokens("image.embedding", model.vision_model.pre_layrnorm)
    record_blocks(r, "image", model.vision_model.encoder.layers, lambda x: x[:, 0], lambda x: x)
    r.tokens("text.embedding", model.text_model.encoder.layers[0], used_rows, before=True)
    record_blocks(r, "text", model.text_model.encoder.layers, end_rows, used_rows)
    feature = lambda x: x if torch.is_tensor(x) else x.pooler_output
    run(r, size, open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD,
        lambda x: feature(model.get_image_features(pixel_values=x)), lambda t: feature(model.get_text_features(input_ids=t)))
    config = {"model_type": "clip", "projection_dim": dim, "vision_config": vision, "text_config": text}
    pre = {"crop_size": {"height": size, "width": size}, "do_center_crop": True, "do_normalize": True, "do_resize": True,
           "image_mean": open_clip.OPENAI_DATASET_MEAN, "image_std": open_clip.OPENAI_DATASET_STD, "resample": 3,
           "size": {"shortest_edge": size}}
    state = dict(model.state_dict())
    state["text_model.embeddings.position_ids"] = torch.arange(CONTEXT)[None]
    write(name, state, dtype, {"config.json": config, "preprocessor_config.json": pre}, r)


def run_siglip(r, size, encode_image, encode_text, blocks, pool, text_blocks):
    """Of every layer all rows: there is no mask; of the last one that the text's feature comes from."""
    for b in blocks:
        r.tokens("image.block", b)
    r.tokens("image.last", pool)
    r.tokens("text.embedding", text_blocks[0], before=True)
    record_blocks(r, "text", text_blocks, lambda x: x[:, -1], lambda x: x)
    run(r, size, (0.5,) * 3, (0.5,) * 3, encode_image, encode_text, torch.tensor([piece_ids(t) for t in TEXTS]))


def make_siglip(name, dtype, size, patch, width, layers, heads, text):
    """open_clip's form. No SigLIP of timm's is small, so that the test sets the image tower's sizes, which no file holds."""
    from timm.models.vision_transformer import VisionTransformer
    from open_clip.transformer import LayerNorm, TextTransformer
    from functools import partial
    trunk = filled(VisionTransformer(img_size=size, patch_size=patch, embed_dim=width, depth=layers, num_heads=heads, class_token=False,
                                     global_pool="map", num_classes=0), "visual.trunk.")
    tower = filled(TextTransformer(context_length=CONTEXT, vocab_size=VOCAB, output_dim=width, no_causal_mask=True, pool_type="last", proj_bias=True,
                                   act_layer=partial(torch.nn.GELU, approximate="tanh"), norm_layer=partial(LayerNorm, eps=1e-6), **text), "text.")
    r = Recorder()
    r.tokens("image.embedding", trunk.norm_pre)
    run_siglip(r, size, trunk, tower, trunk.blocks, trunk.attn_pool, tower.transformer.resblocks)
    state = {f"visual.trunk.{k}": v for k, v in trunk.state_dict().items()} | {f"text.{k}": v for k, v in tower.state_dict().items()}
    state |= {k: torch.zeros(()) for k in ("logit_scale", "logit_bias")}
    vision = {"image_size": size, "timm_model_name": f"vit_base_patch{patch}_siglip_224", "timm_model_pretrained": False, "timm_pool": "map",
              "timm_proj": "none"}
    text_cfg = {"context_length": CONTEXT, "vocab_size": VOCAB, "hf_tokenizer_name": "x", "tokenizer_kwargs": {"clean": "canonicalize"}, **text,
                "no_causal_mask": True, "proj_bias": True, "pool_type": "last", "norm_kwargs": {"eps": 1e-6}, "act_kwargs": {"approximate": "tanh"}}
    config = {"model_cfg": {"embed_dim": 768, "init_logit_bias": -10, "custom_text": True, "vision_cfg": vision, "text_cfg": text_cfg},
              "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}}
    write(name, state, dtype, {"open_clip_config.json": config}, r)


def make_huggingface_siglip(name, dtype, vision, text):
    from transformers import SiglipConfig, SiglipModel
    text = {"vocab_size": VOCAB, "max_position_embeddings": CONTEXT, **text}
    torch.manual_seed(0)
    model = filled(SiglipModel(SiglipConfig(vision_config=vision, text_config=text)))
    r, v, t = Recorder(), model.vision_model, model.text_model
    r.tokens("image.embedding", v.embeddings)
    run_siglip(r, vision["image_size"], lambda x: v(x).pooler_output, lambda i: t(i).pooler_output, v.encoder.layers, v.head, t.encoder.layers)
    pre = {"do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 3,
           "size": {"height": vision["image_size"], "width": vision["image_size"]}}
    write(name, model.state_dict(), dtype, {"config.json": {"model_type": "siglip", "vision_config": vision, "text_config": text},
                                            "preprocessor_config.json": pre}, r)


def lite(variant, size, proj):
    return {"image_size": size, "timm_model_name": f"tf_efficientnet_lite{variant}", "timm_model_pretrained": False,
            "timm_pool": "", "timm_proj": proj}


SMALL_TEXT = {"width": 48, "heads": 3, "layers": 3}
HALVES = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "resize_mode": "squash"}
# Sizes from which the rest can be told, for make_torch_files.py: vision, text, QuickGELU, length of a vector.
ONE_HEAD = {"width": 32, "heads": 1, "layers": 1}
IMPORTED = {
    "import_quick_f16": ({"image_size": 32, "layers": 1, "width": 32, "head_width": 32, "patch_size": 16}, ONE_HEAD, True, 16),
    "import_gelu_f32": ({"image_size": 24, "layers": 2, "width": 16, "head_width": 16, "patch_size": 8, "mlp_ratio": 2.6},
                        {"width": 16, "heads": 1, "layers": 1}, False, 20),
    "import_resnet_f16": ({"image_size": 64, "layers": [1, 2, 1, 1], "width": 4, "patch_size": None}, ONE_HEAD, True, 16),
}
IMPORTED_HF = ("quick_gelu", dict(image_size=16, patch_size=8, hidden_size=32, intermediate_size=64, num_hidden_layers=1,
                                  num_attention_heads=2), dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2), 16)


def huggingface_model():
    return huggingface(*IMPORTED_HF)[0]


MODELS = {
    "vit_quick_f32": lambda n: make_open_clip(n, torch.float32, {"image_size": 32, "layers": 3, "width": 64, "head_width": 32, "patch_size": 8},
                                              SMALL_TEXT, quick_gelu=True),
    "vit_gelu_f16": lambda n: make_open_clip(n, torch.float16, {"image_size": 35, "layers": 2, "width": 80, "head_width": 40, "patch_size": 8,
                                             "mlp_ratio": 3.0}, {"width": 40, "heads": 2, "layers": 2}, separate_text=True, dim=20),
    "vit_gelu_bf16": lambda n: make_open_clip(n, torch.bfloat16, {"image_size": 28, "layers": 2, "width": 32, "head_width": 16, "patch_size": 14},
                                              {"width": 32, "heads": 2, "layers": 1}, dim=16),
    "hf_quick_f16": lambda n: make_huggingface(n, torch.float16, "quick_gelu", dict(image_size=32, patch_size=16, hidden_size=64,
                                               intermediate_size=128, num_hidden_layers=3, num_attention_heads=4),
                                               dict(hidden_size=32, intermediate_size=96, num_hidden_layers=3, num_attention_heads=2)),
    "hf_gelu_f32": lambda n: make_huggingface(n, torch.float32, "gelu", dict(image_size=24, patch_size=8, hidden_size=24,
                                              intermediate_size=100, num_hidden_layers=2, num_attention_heads=3),
                                              dict(hidden_size=56, intermediate_size=60, num_hidden_layers=2, num_attention_heads=7)),
    # The widths of a head in ViT-H/14, and TinyCLIP's 8M/3M with fewer blocks.
    "vit_head80_f16": lambda n: make_open_clip(n, torch.float16, {"image_size": 28, "layers": 2, "width": 160, "head_width": 80, "patch_size": 14},
                                               {"width": 64, "heads": 1, "layers": 1}, dim=24),
    "vit_tiny_f16": lambda n: make_open_clip(n, torch.float16, {"image_size": 32, "layers": 2, "width": 256, "head_width": 64, "patch_size": 16},
                                             {"width": 256, "heads": 4, "layers": 1}, quick_gelu=True, dim=64),
    # Between its two products a token is an eighth as long as outside.
    "vit_slim_f16": lambda n: make_open_clip(n, torch.float16, {"image_size": 16, "layers": 2, "width": 64, "head_width": 32, "patch_size": 2,
                                             "mlp_ratio": 0.125}, {"width": 64, "heads": 2, "layers": 2, "mlp_ratio": 0.125}),
    "lite0_mlp_f16": lambda n: make_open_clip(n, torch.float16, lite(0, 96, "mlp"), SMALL_TEXT, dim=32, **HALVES),
    "lite1_linear_bf16": lambda n: make_open_clip(n, torch.bfloat16, lite(1, 75, "linear"), SMALL_TEXT, dim=32, **HALVES),
    "lite2_linear_f32": lambda n: make_open_clip(n, torch.float32, lite(2, 68, "linear"), SMALL_TEXT, dim=32, **HALVES),
    "lite3_mlp_f16": lambda n: make_open_clip(n, torch.float16, lite(3, 50, "mlp"), SMALL_TEXT, dim=32, **HALVES),
    "lite4_mlp_f16": lambda n: make_open_clip(n, torch.float16, lite(4, 64, "mlp"), SMALL_TEXT, dim=32, **HALVES),
    "resnet_quick_f16": lambda n: make_open_clip(n, torch.float16, {"image_size": 96, "layers": [1, 2, 1, 2], "width": 16, "head_width": 32,
                                                 "patch_size": None}, SMALL_TEXT, quick_gelu=True, dim=32),
    "resnet_gelu_f32": lambda n: make_open_clip(n, torch.float32, {"image_size": 70, "layers": [2, 1, 1, 1], "width": 12, "patch_size": None},
                                                SMALL_TEXT, dim=20),
    "resnet_deep_bf16": lambda n: make_open_clip(n, torch.bfloat16, {"image_size": 33, "layers": [3, 4, 6, 3], "width": 10, "head_width": 64,
                                                 "patch_size": None}, SMALL_TEXT, separate_text=True, dim=24),
    "siglip_timm_f16": lambda n: make_siglip(n, torch.float16, 35, 8, 48, 2, 3, {"width": 40, "heads": 2, "layers": 2}),
    "hf_siglip_f32": lambda n: make_huggingface_siglip(n, torch.float32, dict(image_size=32, patch_size=8, hidden_size=144, intermediate_size=100,
                                                       num_hidden_layers=2, num_attention_heads=2), dict(hidden_size=144,
                                                       intermediate_size=120, num_hidden_layers=2, num_attention_heads=3)),
    "hf_import_bf16": lambda n: make_huggingface(n, torch.bfloat16, *IMPORTED_HF),
}
for name, (vision, text, quick, dim) in IMPORTED.items():
    MODELS[name] = lambda n, v=vision, t=text, q=quick, d=dim: make_open_clip(n, getattr(torch, {"16": "float16", "32": "float32"}[n[-2:]]), v, t,
                                                                             quick_gelu=q, dim=d)

if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    for wanted in sys.argv[1:] or MODELS:
        MODELS[wanted](wanted)
        print(wanted)

"""What the peers run, made from what we run, so that both have the same weights and photos.

    peer_models.py OUT BUNDLED_MODEL PHOTOS        (a Python with PyTorch, open_clip, onnx, ONNX Runtime, Pillow)

OUT/ViT-B-32/        a seeded random CLIP ViT-B/32 as a model folder of ours; visual.onnx and visual-int8.onnx (ONNX Runtime's dynamic
                     quantisation, per channel) beside it; the same of textual
OUT/bundled/         visual.onnx, visual-int8.onnx of the bundled model
OUT/small/           1,000 JPEGs of 500 x 375: random crops of PHOTOS, reduced, quality 90, seeded

The speed of a network does not depend on the values of its weights, and equal weights let the vectors be compared."""
import glob
import gzip
import json
import os
import random
import sys
import warnings

import onnx
import open_clip
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from open_clip.factory import get_model_config
from PIL import Image
from safetensors.torch import load_file, save_file

warnings.filterwarnings("ignore")
torch.backends.mha.set_fastpath_enabled(False)  # its fused operator cannot be exported


class Text(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids):
        return self.model.encode_text(ids)


def fix_padding(module, example):
    """TensorFlow's SAME padding as constants; exported as it is, it would be computed anew at every run, which slows the peer."""
    from timm.layers import Conv2dSame
    found = {}

    def note(conv, inputs):
        found[conv] = inputs[0].shape[-1]
    hooks = [m.register_forward_pre_hook(note) for m in module.modules() if isinstance(m, Conv2dSame)]
    with torch.inference_mode():
        module(example)
    for hook in hooks:
        hook.remove()
    for parent in list(module.modules()):
        for name, conv in list(parent.named_children()):
            if conv not in found:
                continue
            side, kernel, stride = found[conv], conv.kernel_size[0], conv.stride[0]
            pad = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            plain = torch.nn.Conv2d(conv.in_channels, conv.out_channels, kernel, stride, 0, groups=conv.groups, bias=conv.bias is not None)
            plain.load_state_dict(conv.state_dict())
            setattr(parent, name, torch.nn.Sequential(torch.nn.ZeroPad2d((pad // 2, pad - pad // 2, pad // 2, pad - pad // 2)), plain))


def export(module, example, path):
    axes = {"input": {0: "n"}, "output": {0: "n"}}
    torch.onnx.export(module.eval(), (example,), path, input_names=["input"], output_names=["output"], dynamic_axes=axes,
                      opset_version=18, dynamo=False)
    small = path.replace(".onnx", "-int8.onnx")
    onnx.shape_inference.infer_shapes_path(path, path)
    quantize_dynamic(path, small, per_channel=True, weight_type=QuantType.QInt8)


def vit(out):
    torch.manual_seed(0)
    name = "ViT-B-32"
    model = open_clip.create_model(name, pretrained=None).eval()
    os.makedirs(out, exist_ok=True)
    config = {"model_cfg": get_model_config(name), "preprocess_cfg": open_clip.get_model_preprocess_cfg(model)}
    with open(f"{out}/open_clip_config.json", "w") as f:
        json.dump(config, f, indent=2)
    save_file({k: v.contiguous().clone() for k, v in model.state_dict().items()}, f"{out}/open_clip_model.safetensors")
    tokenizer = open_clip.SimpleTokenizer()
    with open(f"{out}/vocab.json", "w") as f:
        json.dump(tokenizer.encoder, f)
    words = os.path.join(os.path.dirname(open_clip.__file__), "bpe_simple_vocab_16e6.txt.gz")
    merges = gzip.open(words).read().decode().split("\n")[1:49152 - 256 - 2 + 1]
    with open(f"{out}/merges.txt", "w") as f:
        f.write("#version: 0.2\n" + "\n".join(merges) + "\n")
    export(model.visual, torch.randn(1, 3, 224, 224), f"{out}/visual.onnx")
    export(Text(model), torch.zeros(1, 77, dtype=torch.long), f"{out}/textual.onnx")


def bundled(out, folder):
    with open(f"{folder}/open_clip_config.json") as f:
        config = json.load(f)["model_cfg"]
    os.makedirs(out, exist_ok=True)
    with open(f"{out}/config.json", "w") as f:
        json.dump(config, f)
    open_clip.add_model_config(f"{out}/config.json")
    model = open_clip.create_model("config", pretrained=None)
    model.load_state_dict({k: v.float() for k, v in load_file(f"{folder}/open_clip_model.safetensors").items()})
    size = config["vision_cfg"]["image_size"]
    example = torch.randn(1, 3, size, size)
    model.visual.eval()
    fix_padding(model.visual, example)
    export(model.visual, example, f"{out}/visual.onnx")


def small(out, photos, n=1000):
    os.makedirs(out, exist_ok=True)
    rng = random.Random(7)
    files = sorted(glob.glob(f"{photos}/*.jpg"))
    opened = None
    for i in range(n):
        if opened != files[i * len(files) // n]:
            opened = files[i * len(files) // n]
            image = Image.open(opened).convert("RGB")
        w = rng.randrange(1000, min(image.width, image.height * 4 // 3))
        x, y = rng.randrange(image.width - w + 1), rng.randrange(image.height - w * 3 // 4 + 1)
        crop = image.crop((x, y, x + w, y + w * 3 // 4)).resize((500, 375), Image.LANCZOS)
        crop.save(f"{out}/{i:04d}.jpg", quality=90)


def main():
    out, folder, photos = sys.argv[1:4]
    for name, make in (("ViT-B-32", vit), ("bundled", lambda o: bundled(o, folder)), ("small", lambda o: small(o, photos))):
        if not os.path.exists(f"{out}/{name}"):
            make(f"{out}/{name}")


main()

#!/usr/bin/env python3
"""Files for the tests of import, as PyTorch writes them: make_torch_files.py rewrites tests/engine/torch/.

The models are those called import_* in tests/engine/models/ (make_reference.py), so what must come out of each file is known
number by number. Needs what make_reference.py needs; none of it is needed to build, test or use clipsearch."""
import json, os, warnings

import torch
from open_clip import CLIP

import make_reference as reference

warnings.filterwarnings("ignore")
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "torch")


def model_of(name, dtype):
    vision, text, quick, dim = reference.IMPORTED[name]
    text = {"context_length": reference.CONTEXT, "vocab_size": reference.VOCAB, **text}
    return reference.filled(CLIP(embed_dim=dim, vision_cfg=vision, text_cfg=text, quick_gelu=quick)).to(dtype)


def path(name):
    return f"{FOLDER}/{name}"


def turned(state):
    """The same tensors, none of them lying in memory as its shape says, and two in one storage."""
    state = {k: v.transpose(0, -1).contiguous().transpose(0, -1) if v.dim() > 1 else v for k, v in state.items()}
    both = torch.cat([torch.zeros(3, dtype=torch.float32), state["ln_final.weight"], state["ln_final.bias"]])
    n = len(state["ln_final.bias"])
    return state | {"ln_final.weight": both[3:3 + n], "ln_final.bias": both[3 + n:]}


def write_seeds():
    """Of the fuzz target: the smallest files that go every way there is."""
    seeds = os.path.join(FOLDER, "..", "..", "fuzz", "corpus", "torch")
    os.makedirs(seeds, exist_ok=True)
    half = lambda *shape: torch.zeros(shape, dtype=torch.float16)
    text = {"token_embedding.weight": half(3, 2), "positional_embedding": half(4, 2), "text_projection": half(2, 2),
            "transformer.resblocks.0.ln_1.weight": half(2), "transformer.resblocks.0.mlp.c_fc.weight": half(5, 2)}
    vit = {"visual.conv1.weight": half(2, 3, 1, 1), "visual.positional_embedding": half(2, 5).t(),
           "visual.transformer.resblocks.0.ln_1.weight": half(2), "visual.transformer.resblocks.0.mlp.c_fc.weight": half(8, 2)}
    resnet = {"visual.layer1.0.conv1.weight": half(2, 2, 1, 1), "visual.attnpool.positional_embedding": half(2, 4)}
    torch.save(text | vit, f"{seeds}/vit")
    torch.save({"state_dict": {"module." + k: v for k, v in (text | resnet).items()}, "epoch": 1}, f"{seeds}/resnet")
    torch.jit.script(torch.nn.Sequential(torch.nn.Linear(1, 1, dtype=torch.float32))).save(f"{seeds}/script")


def write_shards(state):
    """As transformers splits a model that is too large for one file: every second tensor in each of two."""
    os.makedirs(path("shards"), exist_ok=True)
    where = {name: f"pytorch_model-0000{1 + i % 2}-of-00002.bin" for i, name in enumerate(sorted(state))}
    for file in set(where.values()):
        torch.save({name: state[name].clone() for name in state if where[name] == file}, path("shards/" + file))
    with open(path("shards/pytorch_model.bin.index.json"), "w") as f:
        json.dump({"metadata": {"total_size": 1}, "weight_map": where}, f, indent=1)


def main():
    os.makedirs(FOLDER, exist_ok=True)
    write_seeds()
    quick, gelu = model_of("import_quick_f16", torch.float16), model_of("import_gelu_f32", torch.float32)
    torch.jit.script(quick).save(path("script_quick_f16.pt"))
    torch.save(model_of("import_resnet_f16", torch.float16).state_dict(), path("state_resnet_f16.pt"))
    size = gelu.visual.image_size[0]
    torch.jit.trace(gelu, (torch.zeros(1, 3, size, size, dtype=torch.float32), torch.zeros(1, reference.CONTEXT, dtype=torch.long))).save(path("trace_gelu_f32.pt"))
    torch.save(turned(gelu.state_dict()), path("turned_gelu_f32.bin"))
    adam = torch.optim.AdamW([gelu.logit_scale])
    gelu.logit_scale.grad = torch.ones((), dtype=torch.float32)
    adam.step()
    torch.save({"epoch": 3, "name": "a run", "state_dict": {"module." + k: v for k, v in quick.state_dict().items()},
                "optimizer": adam.state_dict(), "loss": 0.25}, path("checkpoint_quick_f16.pt"))
    torch.save(reference.huggingface_model().to(torch.bfloat16).state_dict(), path("hf_bf16.bin"))
    write_shards(reference.huggingface_model().to(torch.bfloat16).state_dict())
    few = {"logit_scale": torch.ones(())}
    torch.save(few, path("old_form.bin"), _use_new_zipfile_serialization=False)
    torch.save(few, path("not_clip.pt"))
    torch.save(torch.nn.Linear(1, 1), path("whole_module.pt"))


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    main()

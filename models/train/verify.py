"""Checks a model directory, in three ways.

1. open_clip loads it unchanged: the ids from its tokenizer.json equal a byte-pair encoding done here from merges.txt, the
   end token is the largest id, the files match SHA256SUMS, the directory is at most 40 MB, all weights are finite f16.
2. f16 rounding: recall on the development split with the f16 weights and, given --checkpoint, with the f32 ones.
3. With --program: 100 photos and 100 captions through `clipsearch embed --json` against open_clip: cosine >= 0.9999.
"""
import hashlib, json, os, subprocess
import open_clip, torch, torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from common import arguments, captions, recalls
from vocab import END, START, WORD, byte_symbols


def encode_by_hand(folder):
    """A slow byte-pair encoder from the two files that the program reads."""
    import regex
    vocab = json.load(open(f"{folder}/vocab.json"))
    lines = open(f"{folder}/merges.txt").read().split("\n")[1:]
    rank = {tuple(l.split(" ")): i for i, l in enumerate(lines) if l}
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    symbol = dict(zip(plain + [b for b in range(256) if b not in plain], byte_symbols()))

    def encode(text):
        ids = [vocab[START]]
        for word in regex.findall(WORD, " ".join(text.split()).lower(), regex.IGNORECASE):
            parts = [symbol[b] for b in word.encode()]
            parts[-1] += "</w>"
            while len(parts) > 1:
                best = min(zip(parts, parts[1:]), key=lambda p: rank.get(p, 1 << 30))
                if best not in rank:
                    break
                i, joined = 0, []
                while i < len(parts):
                    hit = i + 1 < len(parts) and (parts[i], parts[i + 1]) == best
                    joined.append("".join(best) if hit else parts[i])
                    i += 2 if hit else 1
                parts = joined
            ids += [vocab[p] for p in parts]
        return (ids + [vocab[END]])[:76] + [vocab[END]] if len(ids) > 76 else ids + [vocab[END]]
    return encode


def check_files(folder):
    for line in open(f"{folder}/SHA256SUMS"):
        digest, name = line.split()
        assert hashlib.sha256(open(f"{folder}/{name}", "rb").read()).hexdigest() == digest, name
    size = sum(os.path.getsize(f"{folder}/{n}") for n in os.listdir(folder))
    assert size <= 40e6, size
    for name, t in load_file(f"{folder}/open_clip_model.safetensors").items():
        assert t.isfinite().all(), name
        assert t.dtype == torch.float16 or name.endswith("num_batches_tracked"), (name, t.dtype)
    print("files: sums agree,", size, "bytes")


@torch.inference_mode()
def vectors(model, prep, tok, photos, texts):
    image = torch.cat([model.encode_image(torch.stack([prep(Image.open(p)) for p in photos[i:i + 50]]), normalize=True)
                       for i in range(0, len(photos), 50)])
    ids = tok(texts)
    ids = ids[:, :int(ids.argmax(1).max()) + 1]                     # beyond the last end token nothing matters
    ids = F.pad(ids, (0, 77 - ids.shape[1]), value=int(ids.max()))
    text = torch.cat([model.encode_text(ids[i:i + 100], normalize=True) for i in range(0, len(ids), 100)])
    return image, text


def embedded(program, folder, kind, items):
    out = subprocess.run([program, "--model", folder, "embed", "--json", f"--{kind}", *items], check=True,
                         capture_output=True, text=True).stdout
    return F.normalize(torch.tensor([json.loads(line)["vector"] for line in out.strip().split("\n")]), dim=1)


def main():
    a = arguments(__doc__, model="", program="", checkpoint="", recall=True)
    check_files(a.model)
    name = f"local-dir:{a.model}"
    model, _, prep = open_clip.create_model_and_transforms(name)
    model.eval()
    tok = open_clip.get_tokenizer(name)
    names, told = captions(a.data, "dev")
    texts = [c for cs in told for c in cs]
    hand = encode_by_hand(a.model)
    odd = ["Don't stop: 2 dogs & a cat's toy!", "CAFÉ  crème\tbrûlée", "犬 и кошка", "x" * 300, "a photo of a Komodo dragon."]
    for text, row in zip(odd + texts, tok(odd + texts).tolist()):
        want = hand(text)
        assert row[:len(want)] == want and max(want) == want[-1] and row.index(want[-1]) == len(want) - 1, text
    print("ids:", len(odd + texts), "texts agree")

    folder = f"{a.data}/captions/images"
    if a.recall:
        photos = [f"{folder}/{n}" for n in names]
        sides = [("f16", model)]
        if a.checkpoint:
            exact, _, _ = open_clip.create_model_and_transforms(name)
            exact.eval().load_state_dict(torch.load(a.checkpoint)["state"])
            sides.append(("f32", exact))
        for which, m in sides:
            i, t = vectors(m, prep, tok, photos, texts)
            t2i, i2t = recalls(t @ i.T, torch.arange(len(texts)) // 5)
            print(which, "dev text-to-image R@1/5/10", [round(x, 2) for x in t2i],
                  "image-to-text", [round(x, 2) for x in i2t])
    if a.program:
        photos, some = [f"{folder}/{n}" for n in names[:100]], texts[::50][:100]
        i, t = vectors(model, prep, tok, photos, some)
        for kind, items, want in (("image", photos, i), ("text", some, t)):
            cos = (embedded(a.program, a.model, kind, items) * want).sum(1)
            print(f"{kind}: cosine of program and open_clip: least {cos.min():.6f} mean {cos.mean():.6f}")
            assert cos.min() >= 0.9999
    print("verified")


if __name__ == "__main__":
    main()

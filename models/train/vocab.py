"""Makes the byte-pair vocabulary in CLIP's form: WORK/vocab.json, merges.txt, tokenizer.json, tokenizer_config.json.

Ids in CLIP's order: 256 bytes, 256 bytes that end a word, the merges by rank, start, end. The end token is the
largest id, because CLIP's text tower finds it by argmax.
"""
import json
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors,
                        trainers)
from common import arguments

WORD = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
START, END = "<|startoftext|>", "<|endoftext|>"


def byte_symbols():
    """GPT-2's printable stand-ins for the 256 bytes, in GPT-2's (and so CLIP's) order."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    return [chr(b) for b in plain] + [chr(256 + i) for i in range(len(rest))]


def shell(model):
    """CLIP's cleaning and splitting around a byte-pair model."""
    t = Tokenizer(model)
    t.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(WORD), "removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t.decoder = decoders.ByteLevel()
    return t


def learn(lines, merges):
    """-> the first `merges` merges as pairs. The trainer's own ids are thrown away."""
    t = shell(models.BPE(end_of_word_suffix="</w>"))
    t.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=512 + 2 * merges, min_frequency=2, end_of_word_suffix="</w>", show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    pairs = json.loads(t.to_str())["model"]["merges"]
    return [tuple(p) if isinstance(p, list) else tuple(p.split(" ")) for p in pairs[:merges]]


def main():
    a = arguments(__doc__, merges=15870)         # 512 + 15,870 + 2 = 16,384
    rows = [line.rstrip("\n").split("\t") for line in open(f"{a.work}/corpus.tsv")]
    lines = [s for g, s in rows for _ in range({"caption": 3, "scene": 0, "span": 0}.get(g, 1))]
    pairs = learn(lines, a.merges)
    assert len(pairs) == a.merges
    symbols = byte_symbols()
    tokens = symbols + [s + "</w>" for s in symbols] + [x + y for x, y in pairs] + [START, END]
    vocab = {t: i for i, t in enumerate(tokens)}
    assert len(vocab) == 512 + a.merges + 2

    json.dump(vocab, open(f"{a.work}/vocab.json", "w"), ensure_ascii=False)
    with open(f"{a.work}/merges.txt", "w") as f:
        f.write("#version: 0.2\n" + "".join(f"{x} {y}\n" for x, y in pairs))
    t = shell(models.BPE(vocab, pairs, end_of_word_suffix="</w>", unk_token=END))
    t.add_special_tokens([AddedToken(START, normalized=True), AddedToken(END, normalized=False)])
    t.post_processor = processors.RobertaProcessing(
        (END, vocab[END]), (START, vocab[START]), trim_offsets=False, add_prefix_space=False)
    t.save(f"{a.work}/tokenizer.json")
    json.dump({"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 77, "bos_token": START,
               "eos_token": END, "pad_token": END, "unk_token": END, "clean_up_tokenization_spaces": False},
              open(f"{a.work}/tokenizer_config.json", "w"), indent=2)
    n = [len(e.ids) for e in t.encode_batch([s for g, s in rows if g == "caption"][:5000])]
    print(len(vocab), "tokens; a caption is", sum(n) / len(n), "tokens long")


if __name__ == "__main__":
    main()

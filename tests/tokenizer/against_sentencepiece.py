#!/usr/bin/env python3
"""Compares SigLIP's tokenizer with sentencepiece and Hugging Face's on many random texts. Run by hand; needs sentencepiece,
open_clip, ftfy, transformers.

    against_sentencepiece.py TOKENIZE [COUNT] [SEED]

TOKENIZE is the program that tokenize.c makes. Several small models are trained here, with different rules of normalising and
with and without byte fallback, user-defined pieces and extra white space; the texts are those of against_open_clip.py. The
reference cleans as open_clip does (ftfy's repair of wrongly decoded text switched off) or as Hugging Face does, and encodes by
sentencepiece. Texts with characters that Python's Unicode does not know are left out, as there.
"""
import json
import os
import random
import subprocess
import sys
import tempfile
import unicodedata

import ftfy
import sentencepiece
from open_clip import tokenizer as reference

import against_open_clip
import make_pieces

AS_IT_IS, LOWER, CANONICAL, PLAIN = 1, 2, 3, 4
CONTEXT = 64
MODELS = {
    "nmt_nfkc": {"normalization_rule_name": "nmt_nfkc"},
    "identity": {"normalization_rule_name": "identity"},
    "nfkc_cf, bytes": {"normalization_rule_name": "nfkc_cf", "byte_fallback": True, "vocab_size": 900},
    "user pieces": {"normalization_rule_name": "nmt_nfkc", "user_defined_symbols": ["dog", "▁the▁", "é", "phot"]},
    "white space": {"normalization_rule_name": "nmt_nfkc", "remove_extra_whitespaces": False, "add_dummy_prefix": False},
}


def plain(text):
    """Hugging Face's SiglipTokenizer, without sentencepiece."""
    import re, string
    text = "".join(c.lower() for c in text.replace("▁", " "))
    text = text.translate(str.maketrans("", "", string.punctuation))
    return re.sub(r"\s+", " ", text).strip()


def clean(rules, text):
    whole = ftfy.fix_text
    ftfy.fix_text = lambda t: whole(t, fix_encoding=False)
    try:
        return {AS_IT_IS: reference._clean_whitespace, LOWER: reference._clean_lower, CANONICAL: reference._clean_canonicalize,
                PLAIN: plain}[rules](text)
    finally:
        ftfy.fix_text = whole


def ours(program, folder, rules, samples):
    done = subprocess.run([program, "--pieces", str(rules), folder, str(CONTEXT)], input=b"".join(t.encode() + b"\0" for t in samples),
                          capture_output=True, check=True)
    return [[int(i) for i in line.split()] for line in done.stdout.decode().splitlines()]


def padded(ids, end):
    return (ids[:CONTEXT - 1] + [end] * CONTEXT)[:CONTEXT]


def compare(what, samples, got, want):
    bad = [i for i in range(len(samples)) if got[i] != want[i]]
    for i in bad[:5]:
        print("differs:", json.dumps(samples[i]), "\n  reference", want[i], "\n  ours     ", got[i])
    print(f"{what}: {len(samples)} texts, {len(bad)} differ", flush=True)
    return len(bad)


def tokenizer_json(model, folder):
    """What transformers makes of the file, as repositories hold it."""
    from transformers import T5Tokenizer
    T5Tokenizer(vocab_file=model, extra_ids=0).save_pretrained(folder)
    return os.path.join(folder, "tokenizer.json")


def main():
    program = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 20000
    samples = list(against_open_clip.texts(count, int(sys.argv[3]) if len(sys.argv) > 3 else 1))
    samples = [t for t in samples if not any(unicodedata.category(c) == "Cn" for c in clean(CANONICAL, t))]
    bad = 0
    for name, options in MODELS.items():
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "spiece.model")
            make_pieces.train(path, **options)
            sp = sentencepiece.SentencePieceProcessor(model_file=path)
            end = sp.piece_to_id("</s>")
            for rules in (AS_IT_IS, LOWER, CANONICAL, PLAIN):
                want = [padded(sp.encode(clean(rules, t)), end) for t in samples]
                bad += compare(f"{name}, rules {rules}", samples, ours(program, folder, rules, samples), want)
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())

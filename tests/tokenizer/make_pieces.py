#!/usr/bin/env python3
"""Makes pieces/: a small sentencepiece model of our own (spiece.model), the same as a tokenizer.json, and texts with the ids
that sentencepiece gives for them after open_clip's and after Hugging Face's cleaning. Run by hand in this folder; needs
sentencepiece, open_clip, ftfy. Trained from the sentences of make_cases.py; the rules of normalising are a handful of our own,
so that the file stays small. sentencepiece's training is deterministic: it makes the same again.
"""
import base64
import json
import os
import shutil
import tempfile

import sentencepiece
from sentencepiece import sentencepiece_model_pb2

import make_cases

RULES = {"\u00e9": "e", "e\u0301": "e", "\u00df": "ss", "\u00a0": " ", "\u3000": " ", "\u200b": "", "\ufb01": "fi", "\u2026": "...", "\u1e9e": "SS",
         "\u00bd": " 1/2 ", "\uff21": "A", "\u30ab\u3099": "\u30ac"}
FOLDER = "pieces"


def train(path, **options):
    """SigLIP's ids: <pad> 0, </s> 1, <unk> 2."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = os.path.join(folder, "corpus.txt")
        open(corpus, "w").write("\n".join(s.strip() for s in make_cases.SENTENCES.replace("\n", " ").split(". ")))
        options = {"vocab_size": 420, "hard_vocab_limit": False, "character_coverage": 1.0, "pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1,
                   "model_type": "unigram", "minloglevel": 2, "num_threads": 1, **options}
        sentencepiece.SentencePieceTrainer.train(input=corpus, model_prefix=os.path.join(folder, "m"), **options)
        shutil.copy(os.path.join(folder, "m.model"), path)


def write_rules(path):
    codes = lambda s: " ".join("%X" % ord(c) for c in s)
    open(path, "w").write("".join(f"{codes(a)}\t{codes(b)}\n" for a, b in RULES.items()))


def write_tokenizer_json(model, path):
    m = sentencepiece_model_pb2.ModelProto()
    m.ParseFromString(open(model, "rb").read())
    special = [i for i, p in enumerate(m.pieces) if p.type in (2, 3)]
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": i, "content": m.pieces[i].piece, "special": True} for i in special],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(m.normalizer_spec.precompiled_charsmap).decode()},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"}]},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True},
        "model": {"type": "Unigram", "unk_id": m.trainer_spec.unk_id, "vocab": [[p.piece, p.score] for p in m.pieces], "byte_fallback": False}}
    json.dump(tokenizer, open(path, "w"), ensure_ascii=False, separators=(",", ":"))


def main():
    import against_sentencepiece as against
    os.makedirs(FOLDER, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        write_rules(f"{folder}/rules.tsv")
        train(f"{FOLDER}/spiece.model", normalization_rule_tsv=f"{folder}/rules.tsv")
    os.makedirs("pieces_json", exist_ok=True)
    write_tokenizer_json(f"{FOLDER}/spiece.model", "pieces_json/tokenizer.json")
    sp = sentencepiece.SentencePieceProcessor(model_file=f"{FOLDER}/spiece.model")
    cases = []
    for text in sum(make_cases.CASES, []) + make_cases.SENTENCES.split(". "):
        case = {"text": text}
        for name, rules in (("as_it_is", against.AS_IT_IS), ("lower", against.LOWER), ("canonical", against.CANONICAL), ("plain", against.PLAIN)):
            case[name] = sp.encode(against.clean(rules, text))
        cases.append(case)
    lines = ",\n".join(json.dumps(c, ensure_ascii=False) for c in cases)
    open(f"{FOLDER}/pieces.json", "w").write(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()

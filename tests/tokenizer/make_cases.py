#!/usr/bin/env python3
"""Makes plain/, shuffled/ and cases.json: two small vocabularies of our own, and texts with the ids that open_clip's
SimpleTokenizer gives for them. Run by hand in this folder; needs open_clip, ftfy and regex. Seeded: it makes the same again.

plain      byte pairs learnt from the sentences below, in CLIP's form, as vocab.json and merges.txt and as tokenizer.json
shuffled   the same merges in an order that no training gives, where a pair can come before its own parts
"""
import collections
import gzip
import json
import os
import random
import tempfile
import unicodedata

import ftfy
from open_clip import tokenizer as reference

import against_open_clip

MERGES = 500
SENTENCES = """
a photo of a dog running on the beach. a photo of a cat sleeping on the sofa. two children playing football in the park.
a woman in a red coat is standing at the station. an old man is reading the newspaper on a bench. people are eating dinner.
the mountain is covered with snow. a small boat on the blue lake at sunset. a bird is sitting on a tree trunk. a black and
white photo of the city at night. it's raining and they're waiting for the bus. we've seen the ocean. don't feed the birds.
a birthday cake with seven candles. the baby doesn't want to sleep. a close up of a yellow flower with a bee. a green field
under a cloudy sky. the bride and the groom are dancing. a brown horse is jumping over a fence. a plate of pasta with
tomatoes and basil. somebody is riding a bicycle down the street. a screenshot of a receipt from 2019. a waterfall in the
forest. our grandmother's kitchen. the children's shoes. a painting of a castle above the river. a group of friends hiking.
a photograph of the northern lights. a café in the old town. the street in rain. the bridge over the water in the evening.
"""
# One class a line; each is a list of texts.
CASES = [
    ["", " ", "   \t\n ", "a", "a photo of a dog", "A PHOTO OF A DOG", "  a   dog\t\trunning\r\n", "dog", "d"],
    ["don't", "DON'T", "don’t", "it‘s", "it‛s", "itʼs", "children's", "dog''s", "'s", "''s", "'sun", "they'RE we'VE I'M he'LL she'D can'T",
     "rock 'n' roll", "!'s", "'ſ", "dog'ſ", "'ſet", "“a dog”", "„a dog‟", "«a dog»"],
    ["&amp;", "&lt;b&gt;", "&amp;lt;b&amp;gt;", "&amp;amp;amp;amp;lt;", "<b>&amp;</b>", "<b>&amp;amp;</b>", "a < b &amp;eacute; c",
     "a\n<\n&eacute;", "&eacute;\n<\n&EACUTE;", "&eacute", "&EACUTE;", "&EACUTE", "&NTILDE;", "&nTILDE;", "BUNDESSTRA&SZLIG;E", "&amp", "&ampx",
     "&ampx;", "&notit;", "&notin;", "&notin", "&copy2023", "&hearts;", "&fjlig;", "&bne;", "&nbsp;dog&nbsp;", "&ThickSpace;x", "&hellip;",
     "&CounterClockwiseContourIntegral;", "&CounterClockwiseContourIntegral", "&nosuchname;", "&;", "&", "&&amp;&", "&#39;", "&#x27;", "&#X27;",
     "&#39", "&#0;", "&#1;", "&#13;", "&#11;", "&#127;", "&#128;", "&#129;", "&#146;", "&#159;", "&#xD800;", "&#xFDD0;", "&#xFFFE;", "&#x110000;",
     "&#99999999999999999999;", "&#;", "&#x;", "&#59;", "&#x3b;", "&#x1F600;", "&#12a;", "&l&#116;;", "&#38;#39;", "&#65286;amp;", "&ａｍｐ；",
     "&amp\u0001;", "&ﬂ;"],
    ["ﬁne oﬃce ﬂower aﬄict ﬅone ﬆone eﬀect", "ĳs Ĳs", "ŉ", "ǆ ǅ Ǆ ǉ ǈ Ǉ ǌ ǋ Ǌ ǳ ǲ Ǳ", "æ œ ß ﬓ ﬡ"],
    ["ｆｕｌｌ　ｗｉｄｔｈ！", "ＤＯＧ＇ｓ", "ﾊﾝｶｸ", "ﾊﾟﾋﾟ", "ﾡﾢﾣ ￠￡￣￥￦", "～ ｟ ｠ ｡ ｢", "\uff06amp\uff1b"],
    ["a\u0001b\u0008c", "a\u000bb", "a\u000cb", "a\u001cb\u001fc", "a\u007fb", "a\u0080b\u0092s c\u0093d\u0094", "a\u0081\u008d\u009db",
     "a\u0085b", "a\u200bb\u200cc\u200dd\u200ee", "a\u2028b\u2029c", "a\u206ab\u206fc", "\ufeffdog", "a\ufff9b\ufffac\ufffb", "a\ufffcb",
     "a\ufffdb", "a\u00adb", "a\rb\r\nc\n\rd", "\u001b[31mred\u001b[0m dog", "\u001b[1;31;40mred", "\u001b[", "\u001b[31;", "\u001b[٣m x",
     "\u001bdog", "\u001b\u0001[0m"],
    ["cafe\u0301", "café", "A\u030a", "\u212b", "\u212a", "\u2126", "a\u0323\u0307", "a\u0307\u0323", "q\u0307\u0323", "\u1e69 s\u0323\u0307 s\u0307\u0323",
     "\uac00 \u1100\u1161 \u1100\u1161\u11a8", "\u0958 \u0915\u093c", "\u1d15e", "\u2adc", "\u037e", "\u0340\u0341\u0343\u0344", "\u0345", "\u03b1\u0345", "x\u0345y",
     "!\u0345!", "\u0f73\u0f75\u0f81", "\ufb1d \ufb2c", "\u3099\u304b\u3099", "\U0001f468\u0301\u0302"],
    ["ΣΊΣΥΦΟΣ", "ὈΔΥΣΣΕΎΣ", "Σ", "ΑΣ", "ΑΣ ΒΣ", "ΑΣ.", "ΑΣ.Β", "ΑΣ'", "ΑΣ'Β", "ΑΣ\u0301", "1Σ", "ΣΣ", "ΑΣΣ", "Α\u0301Σ\u0301Β", "ⓐΣ", "ªΣ", "ʰΣ", "AʰΣ",
     "İstanbul", "IĞDIR ılık", "STRASSE STRAẞE", "ǅ", "Ⴀ Ა Ꭰ Ꮳ", "ⅧⓀ", "𐐀𐐨", "ŸÑÉ", "ſ"],
    ["²", "½ 1½", "Ⅷ ⅷ", "③ ⑩ ⒈", "10³", "١٢٣", "௧௨", "〇一二", "3.14 1,000,000", "2019", "a1b22c333", "x²+y²", "🄰🅰", "𝟘𝟙"],
    ["!", "!!", "?!...", "$5 €20 £3", "50%", "#tag @name", "e-mail_address", "C++ <b> </b>", "a/b\\c|d", "---—–", "(a) [b] {c}", "«»", "…", "• ★ ✓ ☃", "\"a\"",
     "``a''", "a.b.c", "~^`", "¡¿"],
    ["👍", "👍🏽", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "❤️", "a👍b", "👍👍👍", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "☺︎", "dog 🐶 on 🏖️"],
    ["日本語の写真", "北京", "写真　山", "한국어 사진", "Москва ночью", "Київ", "שלום עולם", "שָׁלוֹם", "مرحبا", "العَرَبِيَّة", "हिन्दी", "ไทย", "தமிழ்", "ქართული", "Հայերեն",
     "አማርኛ", "ᏣᎳᎩ", "𠀀𠀁", "ﷺ ﷽", "Tiếng Việt", "ÅÄÖ åäö", "łódź"],
    ["<start_of_text>", "<end_of_text>", "<START_OF_TEXT>", "a<end_of_text>b", "!<end_of_text>", "<end_of_text", "<ſtart_of_text>", "<|startoftext|>",
     "<|endoftext|>", "<start_of_text> dog <end_of_text>", "&lt;end_of_text&gt;", "dog</w>", "</w>"],
    ["photo " * 74, "photo " * 75, "photo " * 76, "dog " * 200, "a" * 75, "a" * 300, "ab" * 300, "photograph" * 60, "abcdefghijklmnopqrstuvwxyz" * 12,
     "!" * 200, "1" * 100, "'s" * 100, "é" * 150, "👍" * 80, "streetstreet" * 20, ("the" * 30 + " ") * 5],
    ["a\u00a0b", "a\u1680b", "a\u2003b", "a\u202fb", "a\u205fb", "a\u3000b", "a\u180eb", "a\u2060b", "a\u0009b"],
    ["beachbeachsunset", "the dogs' beaches", "mountainmountains", "ingthe", "standing", "photographphotograph", "waterfallwaterfalls", "xylophone",
     "A close-up of a bee's wing, f/2.8 (2019) — \"macro\""],
]


def learn(sentences, most):
    """The merges of byte-pair encoding: the most frequent pair first, ties by spelling."""
    spell = reference.bytes_to_unicode()
    words = collections.Counter(sentences.lower().split())
    words = {tuple(spell[b] for b in w.encode())[:-1] + (spell[w.encode()[-1]] + "</w>",): n for w, n in words.items()}
    merges = []
    while len(merges) < most:
        pairs = collections.Counter()
        for word, n in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += n
        best = max(pairs, key=lambda p: (pairs[p], p), default=None)
        if best is None:
            break
        merges.append(best)
        words = {join(word, best): n for word, n in words.items()}
    return merges


def join(word, pair):
    out, i = [], 0
    while i < len(word):
        step = 2 if word[i:i + 2] == pair else 1
        out.append("".join(word[i:i + step]))
        i += step
    return tuple(out)


def make_tokenizer(merges):
    with tempfile.NamedTemporaryFile(suffix=".gz") as f:
        f.write(gzip.compress("\n".join(["#version: 0.2"] + [" ".join(m) for m in merges]).encode()))
        f.flush()
        return reference.SimpleTokenizer(f.name)


def write(folder, merges, tokenizer, single):
    names = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    vocab = {names.get(token, token): i for token, i in tokenizer.encoder.items()}
    os.makedirs(folder, exist_ok=True)
    with open(folder + "/vocab.json", "w") as f:
        json.dump(vocab, f, ensure_ascii=not single)  # both spellings occur in the world
    with open(folder + "/merges.txt", "w") as f:
        f.write("\n".join(["#version: 0.2"] + [" ".join(m) for m in merges]) + "\n")
    if single:
        model = {"type": "BPE", "merges": [list(m) for m in merges], "end_of_word_suffix": "</w>", "vocab": vocab}
        os.makedirs("single", exist_ok=True)
        with open("single/tokenizer.json", "w") as f:
            json.dump({"version": "1.0", "added_tokens": [{"id": 0, "content": "\\\"}"}], "model": model, "decoder": None}, f, indent=1)


def ids(tokenizer, text):
    out = tokenizer(text)[0].tolist()
    while out[-1] == 0:
        out.pop()
    return out


def main():
    merges = learn(SENTENCES, MERGES)
    shuffled = merges[:]
    random.Random(7).shuffle(shuffled)
    plain_tokenizer, shuffled_tokenizer = make_tokenizer(merges), make_tokenizer(shuffled)
    write("plain", merges, plain_tokenizer, True)
    write("shuffled", shuffled, shuffled_tokenizer, False)
    texts = [t for group in CASES for t in group]
    texts += [t for t in against_open_clip.texts(260, 11)]
    repair = ftfy.fix_text
    rows = []
    for text in dict.fromkeys(texts):
        # Out of scope: what ftfy would decode anew, and characters that Python does not know.
        if repair(text) != repair(text, fix_encoding=False) or any(unicodedata.category(c) == "Cn" for c in plain_tokenizer.clean_fn(text)):
            print("left out:", json.dumps(text)[:100])
            continue
        rows.append(json.dumps({"text": text, "plain": ids(plain_tokenizer, text), "shuffled": ids(shuffled_tokenizer, text)}))
    with open("cases.json", "w") as f:
        f.write("[\n" + ",\n".join(rows) + "\n]\n")
    print(len(rows), "cases,", len(merges), "merges")


if __name__ == "__main__":
    main()

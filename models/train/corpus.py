"""Writes the sentences that the text tower learns language from: WORK/corpus.tsv, one "group TAB sentence" a line.

Captions of the development split are never among them. Groups: caption (Flickr8k train, COCO), span (pieces of
captions, which is how people type queries), imagenet / name (class names and WordNet nouns in templates), gloss
(WordNet's definitions), scene (sentences put together from attributes, objects, actions and places).
"""
import ast, json, random, re, site
from common import arguments, captions

THINGS = {5: "animal", 6: "artifact", 8: "body", 13: "food", 17: "object", 18: "person", 19: "phenomenon", 20: "plant",
          11: "event", 15: "location", 4: "act", 27: "substance"}     # WordNet's lexicographer files
PLAIN = ["a photo of a {}.", "a photo of the {}.", "a picture of a {}", "{}", "a {}", "the {}", "a close-up of a {}",
         "{}s", "two {}s", "a photo of a small {}.", "a photo of a large {}.", "a blurry photo of a {}."]
ATTRIBUTE = """red blue green yellow white black brown orange pink purple grey golden silver small big huge tiny old new young
wooden metal plastic glass stone leather shiny dirty clean wet snowy rusty broken colourful striped spotted fluffy round
empty full open sleeping running jumping swimming flying""".split()
PERSON = """man woman boy girl child baby dog cat person player couple group crowd bride groom chef cyclist skier surfer
swimmer climber runner musician worker fisherman tourist family toddler puppy bird horse""".split()
DOING = """standing sitting running jumping walking sleeping playing swimming smiling eating drinking climbing riding
holding throwing catching looking waiting dancing singing reading cooking skiing surfing skating fishing""".split()
PLACE = """on a beach|in the snow|in a field|on grass|in the water|on a street|in a city at night|in a park|in a forest|on a
mountain|by a river|at a lake|in a kitchen|on a table|in a bedroom|on a bed|on a couch|in an office|in a bathroom|in a
garden|on a road|at a window|on a boat|in the sky|at sunset|at sunrise|on a tree|on a branch|in a desert|under a bridge|in a
market|at a restaurant|on a plate|in a bowl|on a wooden floor|in a stadium|on a stage|in front of a house|against a blue
sky|in the rain|in fog|on a rock|by the sea|at a playground|on a trail|in a cage|on a white background""".replace("\n", " ").split("|")
SIGHT = """sunset|sunrise|night sky|milky way|aurora|rainbow|lightning|storm clouds|blue sky|sand dunes|desert|waterfall|brook|
river|lake|sea|ocean waves|beach|cliff|mountain|mountain path|snowy mountains|valley|canyon|glacier|forest|autumn leaves|
meadow|field of flowers|dandelion|tulips|sunflowers|rose|cherry blossom|leaf with water drops|dew on grass|moss|mushrooms|
grass|wheat field|vineyard|city skyline|skyscrapers|street at night|bridge|lighthouse|castle|church|temple|old town|harbour|
railway tracks|road|tunnel|stairs|brick wall|window|door|ceiling|abstract pattern|texture|bubbles|raindrops on glass|fireworks|
balloons|candle|fire|smoke|moon|planet earth|stars|paint brushes|pencils|books|guitar strings|piano keys|coffee cup|
fruit|vegetables|cake|bread|feather|butterfly|ladybug|bee on a flower|dragonfly|spider web|bird on a tree trunk|
kite in the sky|hot air balloon|dogs at a window|cat's eyes|horses|sheep|cows|fish|jellyfish|turtle""".replace("\n", "").split("|")
FRAME = ["a {}", "the {}", "{}", "a photo of a {}", "a beautiful {}", "a close-up of a {}", "a view of a {}",
         "a landscape with a {}", "a background with a {}", "a wallpaper of {}", "a black and white photo of a {}"]


def wordnet(part, path="/usr/share/wordnet"):
    """-> {offset: (lexicographer file, lemmas, hypernym offsets, gloss)} of one part of speech."""
    synsets = {}
    for line in open(f"{path}/data.{part}"):
        if line.startswith("  "):
            continue
        head, _, gloss = line.partition(" | ")
        f = head.split()
        n = int(f[3], 16)
        lemmas = [re.sub(r"\(.*\)", "", f[4 + 2 * i]).replace("_", " ") for i in range(n)]
        p = 4 + 2 * n
        above = [int(f[p + 2 + 4 * i]) for i in range(int(f[p])) if f[p + 1 + 4 * i] in ("@", "@i")]
        synsets[int(f[0])] = (int(f[1]), lemmas, above, gloss.strip())
    return synsets


def imagenet(data):
    """-> the 1,000 names as used in prompts, and the WordNet offset of each."""
    wnids = [open(f"{d}/timm/data/_info/imagenet_synsets.txt").read().split() for d in site.getsitepackages()][0]
    names = open(f"{data}/clip/prompts/imagenet_classes.txt").read().strip().split("\n")
    return names, [int(w[1:]) for w in wnids]


def hypernyms(nouns, offset):
    """Lemma lists above a synset, nearest first, up to what is still a picture ("animal", not "entity")."""
    stop = {1740, 1930, 2137, 2684, 3553, 4258, 4475, 21939, 24264, 23271, 20827, 19613, 20090, 27167}
    found, queue, seen = [], list(nouns[offset][2]), set()
    while queue:
        o = queue.pop(0)
        if o in stop or o in seen:
            continue
        seen.add(o); found.append(nouns[o][1]); queue += nouns[o][2]
    return found


def prompt_sets(data):
    """Class names and templates of every set in prompts.md -> [(classes, templates)]."""
    text = open(f"{data}/clip/prompts/prompts.md").read()
    lists = re.findall(r"(classes|templates) = (\[.*?\n\])", text, re.S)
    sets = []
    for kind, body in lists:
        body = [x if isinstance(x, str) else x[0] for x in ast.literal_eval(body)]
        if kind == "classes":
            sets.append([body, ["a photo of a {}."]])
        else:
            sets[-1][1] = body
    extra = json.load(open(f"{data}/clip/prompts/en_classnames.json"))
    sets += [[c, ["a photo of a {}.", "a {}"]] for k, c in extra.items() if k.startswith("caltech")]
    return [s for s in sets if len(s[0]) > 5]


def detector_names(data):
    """LVIS's names, synonyms and definitions."""
    cats = json.load(open(f"{data}/clip/vectors/lvis_v1_train_cat_info.json"))
    clean = lambda s: re.sub(r"\s*\(.*?\)", "", s.replace("_", " "))
    return sorted({clean(s) for c in cats for s in c["synonyms"]}), [c["def"] for c in cats]


def main():
    a = arguments(__doc__)
    rng, out = random.Random(a.seed), []
    add = lambda group, s: out.append((group, " ".join(s.split())))

    told = [c for cs in captions(a.data, "train")[1] for c in cs]
    told += open(f"{a.data}/captions/coco-val2017-captions.txt").read().strip().split("\n")
    for c in told:
        add("caption", c)
        w = c.rstrip(" .").split()
        for _ in range(2):
            n = rng.randint(2, 8)
            i = rng.randint(0, max(0, len(w) - n))
            add("span", " ".join(w[i:i + n]))

    nouns = wordnet("noun")
    names, offsets = imagenet(a.data)
    templates = open(f"{a.data}/clip/prompts/imagenet_templates.txt").read().strip().split("\n")
    for name, o in zip(names, offsets):
        for t in templates:
            add("imagenet", t.format(name))
        add("imagenet", name); add("imagenet", "a " + name)
        for lemma in nouns[o][1]:
            for t in rng.sample(templates, 6) + rng.sample(PLAIN, 4):
                add("imagenet", t.format(lemma))
        for lemmas in hypernyms(nouns, o)[:5]:
            add("name", rng.choice(PLAIN).format(rng.choice(lemmas)))
        add("gloss", f"a {name}, {nouns[o][3].split(';')[0]}")
    for classes, ts in prompt_sets(a.data):
        for c in classes:
            for t in rng.sample(ts, min(8, len(ts))) + ["a photo of a {}.", "{}"]:
                add("name", t.format(c))
    lvis, defs = detector_names(a.data)
    for c in lvis:
        for t in rng.sample(PLAIN, 6):
            add("name", t.format(c))
    for d in defs:
        add("gloss", d)
    for file, lemmas, _, gloss in nouns.values():
        latin = all(l[0].isupper() for l in lemmas)
        if file in THINGS and not latin:
            add("gloss", gloss.split("; \"")[0])
            for l in lemmas[:3]:
                add("name", rng.choice(PLAIN).format(l))
    for part in ("verb", "adj"):
        for _, _, _, gloss in wordnet(part).values():
            for example in re.findall(r'"([^"]{12,80})"', gloss):
                add("gloss", example)

    things = lvis + names
    for _ in range(90000):
        x, y, p, q = rng.choice(things), rng.choice(things), rng.choice(PERSON), rng.choice(PERSON)
        at, do, pl = rng.choice(ATTRIBUTE), rng.choice(DOING), rng.choice(PLACE)
        add("scene", rng.choice([
            f"a {at} {x}", f"a {at} {x} {pl}", f"a {x} {pl}", f"a {x} and a {y}", f"a {x} next to a {y} {pl}",
            f"a {p} {do} {pl}", f"a {p} with a {x}", f"a {p} holding a {x} {pl}", f"a {p} and a {q} {do} {pl}",
            f"{p}s {do} {pl}", f"a {at} {p} {pl}", f"a {p} in a {at} {x}", f"a {p} {do} near a {x}", f"many {x}s {pl}",
            rng.choice(FRAME).format(rng.choice(SIGHT)), f"{rng.choice(SIGHT)} and a {x}", f"{rng.choice(SIGHT)}, {at}"]))
    out = sorted(set(out))
    rng.shuffle(out)
    with open(f"{a.work}/corpus.tsv", "w") as f:
        f.writelines(f"{g}\t{s}\n" for g, s in out if s)
    print({g: sum(1 for x, _ in out if x == g) for g in sorted({x for x, _ in out})}, len(out))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes html_entities.c, the table of named character references, from Python's own html.entities.

    python3 html_entities.py > html_entities.c

Only needed when HTML gains a name, which it has promised not to. The names in capitals that the last kind adds are those
that ftfy invents (fix_text reads &NTILDE; as a capital letter); they are made here by the same rule.
"""
import html
import html.entities

SEMICOLON, LEGACY, CAPITALS = "s", "l", "c"


def entities():
    """name without its semicolon -> (kind, value)"""
    table = {}
    for name, value in html.entities.html5.items():
        bare = name.rstrip(";")
        table[bare] = (LEGACY if bare in html.entities.html5 else SEMICOLON, value)
    for name, value in html.entities.html5.items():
        upper = name.upper()
        if name.endswith(";") and name == name.lower() and html.unescape("&" + upper) == "&" + upper:
            table[upper[:-1]] = (CAPITALS, value.upper())
    return table


def quote(text):
    return "".join(c if (c.isalpha() or c in "=<>;,. ") and c.isascii() else "".join("\\%03o" % b for b in c.encode())
                   for c in text)


def main():
    rows = sorted((name.encode(), kind, value) for name, (kind, value) in entities().items())
    print("/* html_entities.c: made by html_entities.py; do not edit. */")
    print('#include "engine/model/html_entities.h"\n')
    print("#include <stdint.h>\n#include <string.h>\n")
    print("/* One row a name, in the order of strcmp: name NUL kind value NUL. One string and 16-bit places, so that the table\n"
          " * holds no pointer and costs nothing when the program starts. */")
    print("static const char rows[] =")
    places, offset, line = [], 0, ""
    for name, kind, value in rows:
        places.append(offset)
        offset += len(name) + 1 + 1 + len(value.encode()) + 1
        piece = "%s\\0%s%s\\0" % (name.decode(), kind, quote(value))
        if len(line) + len(piece) > 190:
            print('    "%s"' % line)
            line = ""
        line += piece
    print('    "%s";\n' % line)
    assert offset < 65536
    print("static const uint16_t places[] = {")
    for i in range(0, len(places), 30):
        print("    " + " ".join("%d," % p for p in places[i:i + 30]))
    print("};\n")
    print("""const char *clip_html_entity(const char *name, clip_entity_kind *kind) {
    size_t low = 0, high = sizeof places / sizeof *places;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *row = rows + places[middle];
        int order = strcmp(name, row);
        if (order == 0) {
            row += strlen(row) + 1;
            *kind = (clip_entity_kind)*row;
            return row + 1;
        }
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}""")


main()

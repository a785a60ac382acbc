#!/bin/sh
# rules.sh TREE: holds a source tree to the house rules; prints TAP.
#
#   arrows         who may include whom (below); other folders include a folder's public header only
#   libraries      sqlite3.h, FAISS, oneDNN, decoders and SIMD intrinsics each have one place
#   silence        libraries print nothing, exit never, read no environment
#   names          file names are unique in the tree
#   length         files stay under 800 lines
#
#     clipsearch.c ──► cli, indexer, query           cli ──► engine/clip.h, store/store.h
#     indexer ──► cli/cli.h, engine/clip.h, store/store.h ◄── query
#     engine: clip.c ──► model/, image/ ──► math/    model and image do not know each other
#     store:  store.c ──► db.c, vec.c                db and vec do not know each other
#
# A file's owner is its folder. An #include is looked up from the root, beside the file, and then by its last component alone.
tree=${1:?usage: rules.sh TREE}
cd "$tree" || exit 2
LC_ALL=C
export LC_ALL

work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT

sources() { find cli engine store indexer query clipsearch.c -name '*.[ch]' 2>/dev/null | sort; }
# Not the build folders.
everything() { find cli engine store indexer query tests scripts clipsearch.c -type f 2>/dev/null | sort; }

# Every file of the program with its comments and its strings' contents blanked, as "path:line:text".
awk '
    FNR == 1 { comment = 0 }
    !comment && !/[\/"'\'']/ { if (/[^ \t]/) print FILENAME ":" FNR ":" $0; next }
    {
        out = ""; s = $0; keep = s ~ /^[ \t]*#[ \t]*include/
        while (s != "") {
            if (comment) { i = index(s, "*/"); if (!i) break; s = substr(s, i + 2); comment = 0; continue }
            if (match(s, /^[^\/"'\'']+/)) { out = out substr(s, 1, RLENGTH); s = substr(s, RLENGTH + 1); continue }
            if (substr(s, 1, 2) == "/*") { comment = 1; s = substr(s, 3); continue }
            if (substr(s, 1, 2) == "//") break
            if (!keep && match(s, /^"([^"\\]|\\.)*"/)) { out = out "\"\""; s = substr(s, RLENGTH + 1); continue }
            if (match(s, /^'\''([^'\''\\]|\\.)+'\''/)) { out = out "0"; s = substr(s, RLENGTH + 1); continue }
            out = out substr(s, 1, 1); s = substr(s, 2)
        }
        if (out ~ /[^ \t]/) print FILENAME ":" FNR ":" out
    }' $(sources) >"$work/code"
grep -E '^[^:]+:[0-9]+:[ 	]*#[ 	]*include' "$work/code" >"$work/includes"

number=0
# verdict NAME FILE: passes when FILE is empty, otherwise shows it.
verdict() {
    number=$((number + 1))
    if [ -s "$2" ]; then
        echo "not ok $number - $1"
        sed 's/^/#   /' "$2"
    else
        echo "ok $number - $1"
    fi
}

# ---- arrows ----------------------------------------------------------------------------------------------------------

sources >"$work/sources"
awk -F: '
    function owner(path) {
        if (path == "clipsearch.c") return "front"
        if (path ~ /^engine\/(model|image|math)\//) { split(path, p, "/"); return "engine/" p[2] }
        split(path, p, "/"); return p[1]
    }
    function last(path) { sub(/.*\//, "", path); return path }
    BEGIN {
        split("clip.h store.h indexer.h query.h cli.h", list, " "); for (i in list) public[list[i]] = 1
        # What a folder may know of the others. Its own files it always may.
        n = split("front>cli front>indexer front>query front>engine front>store " \
                  "cli>engine cli>store indexer>cli indexer>engine indexer>store query>cli query>engine query>store " \
                  "engine>engine/model engine>engine/image engine>engine/math " \
                  "engine/model>engine/math engine/image>engine/math " \
                  "engine/model>engine engine/image>engine engine/math>engine", list, " ")
        for (i = 1; i <= n; i++) arrow[list[i]] = 1
    }
    FNR == NR { where[last($1)] = $1; there[$1] = 1; next }
    {
        text = substr($0, length($1) + length($2) + 3)
        if (!match(text, /"[^"]+"/)) next
        named = substr(text, RSTART + 1, RLENGTH - 2)
        beside = $1; sub(/[^\/]*$/, named, beside)
        target = (named in there) ? named : (beside in there) ? beside : where[last(named)]
        if (target == "") next # a header made by the build
        from = owner($1); to = owner(target)
        if (from != to && !((from ">" to) in arrow)) print $1 ":" $2 ": " from " must not know " target
        else if (from != to && from !~ /^engine/ && !(last(target) in public)) print $1 ":" $2 ": " target " is not public"
        a = last($1); b = last(target)
        if ((a ~ /^db\.[ch]$/ && b == "vec.h") || (a ~ /^vec\.[ch]$/ && b == "db.h")) print $1 ":" $2 ": db and vec must not know each other"
    }' "$work/sources" "$work/includes" >"$work/bad"
verdict "folders include only what the house's arrows allow" "$work/bad"

# Only a known folder is looked after by the arrows above.
find . -maxdepth 1 -type d | sed 's|^\./||' |
    grep -v -x -E '\.|\.git|\.ci|\.github|build.*|cli|engine|store|indexer|query|models|scripts|tests|docs|man|subprojects' |
    while read -r d; do find "$d" -name '*.[ch]'; done >"$work/bad"
verdict "every folder with sources has its arrows here" "$work/bad"

# ---- libraries -------------------------------------------------------------------------------------------------------

# only_in WHAT INCLUDE-PATTERN PLACE-PATTERN
only_in() {
    grep -E "include[ 	]*[<\"]($2)" "$work/includes" | grep -v -E "^($3)" >"$work/bad"
    verdict "$1" "$work/bad"
}
only_in "sqlite3.h only in store/db.c" 'sqlite3' 'store/db\.c:'
only_in "FAISS headers only in store/vec.c" 'faiss/' 'store/vec\.c:'
only_in "oneDNN headers only in engine/math" '(oneapi/)?dnnl' 'engine/math/'
only_in "SIMD intrinsics only in engine/math and the store's half floats" '[a-z]*intrin\.h|arm_neon\.h|arm_sve\.h' \
    'engine/math/|store/f16\.c:'
only_in "decoders' headers only in engine/image; thumbnail.c writes JPEG" \
    'jpeglib|jerror|turbojpeg|png\.h|libexif|webp/|libheif|tiff|gif_lib' 'engine/image/|query/thumbnail\.c:'
only_in "Chafa only in query/preview.c" 'chafa' 'query/preview\.c:'

# ---- silence ---------------------------------------------------------------------------------------------------------

# The folders' command files are the program, not the library.
grep -E '^(engine|store|indexer|query)/' "$work/code" | grep -E ':.*\<(secure_)?getenv[ ]*\(' >"$work/bad"
verdict "no environment variable is read outside cli" "$work/bad"

grep -E '^(engine|store|indexer)/' "$work/code" | grep -v -E '^indexer/[a-z_]*command[a-z_]*\.c:' |
    grep -E '\<(printf|vprintf|fprintf|puts|putchar|perror|exit|_exit|abort|quick_exit)[ ]*\(|\<(stdout|stderr)\>' >"$work/bad"
verdict "libraries print nothing and never exit" "$work/bad"

# ---- names and length ------------------------------------------------------------------------------------------------

everything | grep -E '\.(c|h|sh|bats|bash|py)$' | awk -F/ '{ n[$NF]++; all[$NF] = all[$NF] " " $0 }
    END { for (f in n) if (n[f] > 1) print f ":" all[f] }' >"$work/bad"
verdict "file names are unique in the tree" "$work/bad"

awk 'FNR == 800 { print FILENAME ": 800 lines or more" }' $(everything | grep -E '\.(c|h|sh|bats|bash|py|build)$') >"$work/bad"
verdict "files stay under 800 lines" "$work/bad"

echo "1..$number"

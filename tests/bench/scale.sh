#!/bin/sh
# scale.sh: how time and memory of a search grow with the library.
#
#   [DROP=1] sh tests/bench/scale.sh BUILD FOLDER [N...] >scale.tsv        N: 1000 10000 100000 1000000
#
# Makes in FOLDER, where they are not there yet, libraries of N photos with vectors from the generator in made_vectors.h and the
# photos' files (bench_store), and measures whole processes of BUILD/clipsearch (bench_cold, medians of 25) with the bundled
# model. A million takes 7 GB and several minutes. Columns, separated by tabs:
#   photos, library MB, cache MB
#   text never asked before: ms, processor ms, maximum resident MB; the same with the system's page cache dropped before each: ms
#   (with DROP=1, as root; else -)
#   text asked before: ms, MB
#   `index` over the unchanged files: ms, MB
set -eu
build=$1 folder=$2
shift 2
[ $# -gt 0 ] || set -- 1000 10000 100000 1000000
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cold="$build/tests/bench/bench_cold" program="$build/clipsearch"
mb() { du -sm "$1" 2>/dev/null | cut -f1; }

for n; do
    db="$folder/$n.db"
    if [ ! -e "$db" ]; then
        mkdir -p "$folder/$n"
        "$build/tests/bench/bench_store" "$db" make "$n" "$root/models/default" "$here/made_vectors.tsv" "$folder/$n" >&2
    fi
    "$program" index --no-config --quiet --db "$db" >&2 # an older library is brought up to date
    fresh=$("$cold" "$program" search --no-config --db "$db" "a dog on the beach %")
    dropped=-
    [ -z "${DROP-}" ] ||
        dropped=$("$cold" -n 9 -d "$program" search --no-config --db "$db" "a dog on the beach %" | cut -f1)
    known=$("$cold" "$program" search --no-config --db "$db" "a dog on the beach")
    index=$("$cold" -n 5 "$program" index --no-config --db "$db")
    cache=$(mb "$db.cache")
    printf '%s\t%s\t%s\t' "$n" "$(mb "$db")" "${cache:-0}"
    printf '%s\t' "$(echo "$fresh" | cut -f1,3,4)" "$dropped" "$(echo "$known" | cut -f1,4)"
    echo "$index" | cut -f1,4
done

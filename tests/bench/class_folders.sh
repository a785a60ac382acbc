#!/bin/sh
# class_folders.sh CAPTIONS PHOTOS CONCEPTS OUT: class folders out of photos with captions, for bench_cut --folders.
#
# A photo goes into the folder OUT/CONCEPT when all its captions name that concept of CONCEPTS (bench_cut.tsv): of several, the
# one that fewest photos have. Folders of fewer than four photos are left out.
[ $# = 4 ] || { sed -n '2s/^# *//p' "$0"; exit 2; }
captions=$1 photos=$2 concepts=$3 out=$4
rm -rf "$out" && mkdir -p "$out" || exit 2
awk -F '\t' '
function names(text, c,    i) { for (i = 1; i <= n_words[c]; i++) if (index(text, " " word[c, i] " ")) return 1; return 0 }
FNR == NR { if (/^#/ || NF < 2) next
    concept[++n] = $1; n_words[n] = split($2, w, " "); for (i in w) word[n, i] = w[i]; next }
{ text = tolower($2); gsub(/[^a-z]+/, " ", text); text = " " text " "
  if (!($1 in count)) photo[++m] = $1
  count[$1]++
  for (c = 1; c <= n; c++) if (names(text, c)) named[$1, c]++ }
END {
    for (p = 1; p <= m; p++) for (c = 1; c <= n; c++) if (named[photo[p], c] == count[photo[p]]) total[c]++
    for (p = 1; p <= m; p++) {
        for (c = 1; c <= n; c++)
            if (named[photo[p], c] == count[photo[p]] && (!class[p] || total[c] < total[class[p]])) class[p] = c
        size[class[p]]++
    }
    for (p = 1; p <= m; p++) if (class[p] && size[class[p]] >= 4) print photo[p] "\t" concept[class[p]]
}' "$concepts" "$captions" | while IFS="$(printf '\t')" read -r name class; do
    mkdir -p "$out/$class" && cp "$photos/$name" "$out/$class/" || exit 2
done

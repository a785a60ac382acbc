#!/bin/sh
# scale_plot.sh: what scale.sh measured, as a picture or as a table.
#
#   sh tests/bench/scale_plot.sh scale.tsv >scale.svg
#   sh tests/bench/scale_plot.sh -t scale.tsv             for SCALE.md
#
# Both axes are logarithmic: photos from 1,000 to 1,000,000; milliseconds and MB from 1 to 100,000.
set -eu
if [ "$1" = -t ]; then
    awk -F '\t' 'BEGIN {
        print "| photos | library, MB | cache, MB | new text, ms | processor ms | memory, MB | page cache dropped, ms | known text, ms | memory, MB | `index`, unchanged, s | memory, MB |"
        print "|---|---|---|---|---|---|---|---|---|---|---|"
    }
    { printf "| %d | %d | %d | %.0f | %.0f | %d | %s | %.0f | %d | %.2f | %d |\n", $1, $2, $3, $4, $5, $6, $7 == "-" ? "-" : int($7 + 0.5), $8, $9, $10 / 1000, $11 }' "$2"
    exit
fi
awk -F '\t' '
function x(n) { return 60 + (log(n) / log(10) - 3) * 180 }
function y(v) { return 340 - log(v > 1 ? v : 1) / log(10) * 60 }
function free(at,   i) { # the next height from there on with room for a label
    for (i = 1; i <= labels; i++) if (at - label[i] < 14 && label[i] - at < 14) return free(label[i] + 14)
    return label[++labels] = at
}
function line(column, colour, name, dash,   i, path) {
    for (i = 1; i <= rows; i++)
        if (value[i, column] != "-") path = path sprintf("%s%.1f,%.1f", path ? " L" : "M", x(value[i, 1]), y(value[i, column]))
    printf "<path d=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"%s/>\n", path, colour, dash ? " stroke-dasharray=\"5 4\"" : ""
    printf "<text x=\"%d\" y=\"%.1f\" fill=\"%s\">%s</text>\n", x(value[rows, 1]) + 8, free(y(value[rows, column]) + 4), colour, name
}
/^[0-9]/ { rows++; for (i = 1; i <= NF; i++) value[rows, i] = $i }
END {
    print "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 800 380\" font-family=\"sans-serif\" font-size=\"13\">"
    print "<rect width=\"800\" height=\"380\" fill=\"white\"/>"
    for (e = 0; e <= 5; e++)
        printf "<path d=\"M60,%d H600\" stroke=\"#ddd\"/><text x=\"54\" y=\"%d\" text-anchor=\"end\">%d</text>\n", 340 - 60 * e, 344 - 60 * e, 10 ^ e
    for (e = 3; e <= 6; e++)
        printf "<path d=\"M%d,40 V340\" stroke=\"#ddd\"/><text x=\"%d\" y=\"358\" text-anchor=\"middle\">10^%d</text>\n", x(10 ^ e), x(10 ^ e), e
    print "<text x=\"330\" y=\"375\" text-anchor=\"middle\">photos</text><text x=\"60\" y=\"25\">milliseconds (lines) and MB (dashes)</text>"
    line(6, "#c60", "search, MB", 1); line(11, "#555", "index, MB", 1)
    line(4, "#c00", "new text, ms"); line(8, "#06c", "known text, ms"); line(10, "#080", "index, unchanged, ms")
    print "</svg>"
}' "$1"

#!/bin/sh
# rules_bite.sh: plants each offence in a small tree and sees that rules.sh objects; prints TAP. A rule that lets its offence pass
# would guard nothing.
rules=${1:?usage: rules_bite.sh RULES.SH}
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
number=0

# Makes an innocent tree in $tree.
innocent() {
    tree="$work/a tree"
    rm -rf "$tree"
    mkdir -p "$tree/engine/model" "$tree/engine/image" "$tree/engine/math" "$tree/store" "$tree/indexer" "$tree/query" "$tree/cli"
    for h in engine/clip engine/model/weights engine/image/decode engine/math/matmul store/store store/db store/vec \
        indexer/indexer indexer/plan query/query cli/cli; do
        echo '/* printf(), exit() and getenv() in a comment offend nobody */' >"$tree/$h.h"
    done
    printf '#include "cli/cli.h"\n#include "query/query.h"\nint main(void) { return 0; }\n' >"$tree/clipsearch.c"
    printf '#include <sqlite3.h>\n#include "store/db.h"\n' >"$tree/store/db.c"
    printf '#include <faiss/c_api/Index_c.h>\n#include "store/vec.h"\n' >"$tree/store/vec.c"
    printf '#include "store/db.h"\n#include "store/vec.h"\n' >"$tree/store/store.c"
    printf '#include "engine/model/weights.h"\n#include "engine/image/decode.h"\n' >"$tree/engine/clip.c"
    printf '#include "indexer/plan.h"\n#include "store/store.h"\nconst char *t = "exit(1)"; int f(char *b) { return snprintf(b, 1, ""); }\n' \
        >"$tree/indexer/plan.c"
    printf '#include <stdio.h>\nvoid g(void) { fprintf(stderr, ""); }\n' >"$tree/indexer/index_command.c"
}

report() { # NAME GOOD?
    number=$((number + 1))
    if [ "$2" = yes ]; then echo "ok $number - $1"; else echo "not ok $number - $1"; fi
}

innocent
sh "$rules" "$tree" >"$work/said"
grep -q '^not ok' "$work/said" && good=no || good=yes
report "an innocent tree passes" $good
[ $good = yes ] || sed 's/^/# /' "$work/said"

# offence RULE FILE TEXT: exactly the rule whose name holds RULE must object.
offence() {
    innocent
    mkdir -p "$(dirname "$tree/$2")"
    printf '%b\n' "$3" >>"$tree/$2"
    sh "$rules" "$tree" >"$work/said"
    if [ "$(grep -c '^not ok' "$work/said")" = 1 ] && grep -q "^not ok.*$1" "$work/said"; then good=yes; else good=no; fi
    report "caught: $2: $(printf %s "$3" | head -n 1 | head -c 40)" $good
    [ $good = yes ] || sed 's/^/# /' "$work/said"
}
offence arrows engine/model/weights.c '#include "store/store.h"'
offence arrows store/store.c '#include "engine/clip.h"'
offence arrows indexer/plan.c '#include "query/query.h"'
offence arrows query/query.c '#include "indexer/indexer.h"'
offence arrows query/query.c '#include "store/db.h"'
offence arrows query/query.c '#include "../engine/model/weights.h"'
offence arrows query/query.c '#include "weights.h"'
offence arrows engine/model/weights.c '  #  include "engine/image/decode.h"'
offence arrows engine/image/decode.c '#include "engine/model/weights.h"'
offence arrows engine/math/matmul.c '#include "engine/model/weights.h"'
offence arrows store/db.c '#include "store/vec.h"'
offence arrows store/vec.c '#include "store/db.h"'
offence arrows cli/options.c '#include "query/query.h"'
offence 'every folder' server/web.c 'int w;'
offence sqlite3 store/store.c '#include <sqlite3.h>'
offence sqlite3 query/query.c '#include "sqlite3.h"'
offence FAISS store/db.c '#include <faiss/c_api/Index_c.h>'
offence oneDNN engine/model/weights.c '#include <oneapi/dnnl/dnnl.h>'
offence SIMD engine/image/decode.c '#include <immintrin.h>'
offence decoders query/query.c '#include <jpeglib.h>'
offence Chafa query/show.c '#include <chafa.h>'
offence environment indexer/plan.c 'char *h(void) { return getenv ("HOME"); }'
offence print engine/clip.c 'void p(void) { /* why */ printf("x"); }'
offence print store/store.c 'void p(void) { exit(1); }'
offence print indexer/plan.c 'void p(void) { fputs("", stderr); }'
offence unique engine/image/matmul.h 'int x;'
offence '800 lines' engine/math/long.c "$(yes 'int a;' | head -n 800)"
echo "1..$number"

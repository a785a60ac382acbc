#!/bin/sh
# fuzz.sh: runs the fuzz targets under libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer (needs clang).
#
#   sh scripts/fuzz.sh [SECONDS [TARGET...]]     default: 600 seconds for each target, all targets
#
# Starts from the seeds in tests/fuzz/corpus/TARGET; what it finds on the way stays in build-fuzz/corpus/TARGET, so that a
# later run goes on from there. An input that breaks the target is kept in build-fuzz/findings and makes this fail: mend the
# code, then add the input to the seeds, which every ordinary test run replays.
here=$(cd "$(dirname "$0")" && pwd) || exit 2
. "$here/common.sh"
case ${1-} in -*) sed -n '4s/^# *//p' "$0"; exit 2 ;; esac
seconds=${1:-600}
[ $# -eq 0 ] || shift

build=$top/build-fuzz
log=$build/fuzz.log
mkdir -p "$build/findings" && : >"$log" || fail "cannot write to $build"
need_packages $packages_build $packages_test clang libclang-rt-dev
faiss=$(sh "$here/faiss.sh") || fail "FAISS is missing (see above)"
CC=clang
export CC
configure_build "$build/meson" -Dfuzz=true -Dtests=true -Dfaiss_root="$faiss"
compile_build "$build/meson"

if [ $# -eq 0 ]; then
    for f in "$build"/meson/tests/fuzz/fuzz_*; do
        case $f in *_replay | *.p | *'*') ;; *) set -- "$@" "${f##*/fuzz_}" ;; esac
    done
fi
[ $# -gt 0 ] || fail "there are no fuzz targets"

broken=0
for t in "$@"; do
    [ -x "$build/meson/tests/fuzz/fuzz_$t" ] || fail "there is no fuzz target $t"
    mkdir -p "$build/corpus/$t"
    if "$build/meson/tests/fuzz/fuzz_$t" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=65536 \
        -artifact_prefix="$build/findings/$t-" -print_final_stats=1 \
        "$build/corpus/$t" "$top/tests/fuzz/corpus/$t" >"$build/$t.log" 2>&1; then
        echo "$t: clean after $(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$t.log") inputs in $seconds s"
    else
        broken=$((broken + 1))
        echo "$t: BROKEN; the input is in $build/findings, the report in $build/$t.log:"
        grep -m 3 -E 'ERROR|SUMMARY|runtime error' "$build/$t.log" | sed 's/^/    /'
    fi
done
[ $broken = 0 ]

#!/bin/sh
# check.sh: installs what the tests need and runs all of them.
#
#   sh scripts/check.sh
#
# Three builds in build-check/: as released, under AddressSanitizer and UndefinedBehaviorSanitizer, and, for the tests of
# our own threads (suite "threads"), under ThreadSanitizer. Only failures are shown; build-check/*/meson-logs has it all.
# The last line counts the single cases of all runs: "N passed, N failed". Exit status 0 when nothing failed.
here=$(cd "$(dirname "$0")" && pwd) || exit 2
. "$here/common.sh"
[ $# -eq 0 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2; }

build=$top/build-check
log=$build/check.log
passed=0 failed=0 skipped=0 finished=no

# However this script ends, the count is its last line.
finish() {
    [ $finished = yes ] || failed=$((failed + 1))
    [ $skipped = 0 ] || echo "$skipped skipped"
    echo "$passed passed, $failed failed"
    [ $failed = 0 ] || exit 1
    exit 0
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

mkdir -p "$build/home" && : >"$log" || fail "cannot write to $build (was it made by another user?)"
need_packages $packages_build $packages_test
faiss=$(sh "$here/faiss.sh") || fail "FAISS is missing (see above)"

# tally FILE: reads a testlog.json; prints "passed failed skipped" on the first line, then what is to be shown of the failures.
# A program that speaks TAP (cmocka, bats) counts case by case, and cases that it planned and never reached have failed; any other
# program is one case.
tally() {
    awk '
    function unescape(s) {
        gsub(/\\n/, "\n", s); gsub(/\\t/, "\t", s); gsub(/\\r/, "", s); gsub(/\\"/, "\"", s); gsub(/\\u001b\[[0-9;]*m/, "", s)
        gsub(/\\\\/, "\\", s)
        return s
    }
    function field(key,   at, rest) { # of the line that is being read; keys end with a quote
        at = index($0, key)
        if (!at) return ""
        rest = substr($0, at + length(key))
        return match(rest, /([^"\\]|\\.)*/) ? substr(rest, 1, RLENGTH) : ""
    }
    {
        name = field("{\"name\": \""); result = field("\", \"result\": \"")
        if (result == "") result = field("\"result\": \"")
        out = unescape(field("\"stdout\": \"")); err = unescape(field("\"stderr\": \""))
        n = split(out, lines, "\n"); ok = bad = skip = 0; m = 0; plan = -1; shown = ""
        for (i = 1; i <= n; i++) {
            line = lines[i]
            if (line ~ /^(not )?ok .*# *[Ss][Kk][Ii][Pp]/) skip++
            else if (line ~ /^ok( |$)/) ok++
            else {
                if (line ~ /^not ok( |$)/) bad++
                if (line ~ /^1\.\.[0-9]+/) { plan = substr(line, 4) + 0; if (plan == 0) skip++ }
                else if (line !~ /^ *$/ && m++ < 60) shown = shown "    " line "\n"
            }
        }
        if (ok + bad + skip == 0) {
            if (result == "SKIP") skip = 1
            else if (result == "OK" || result == "EXPECTEDFAIL") ok = 1
            else bad = 1
        } else {
            if (plan > ok + bad + skip) bad = plan - ok - skip
            if (bad == 0 && result != "OK" && result != "SKIP") bad = 1
        }
        passed += ok; failed += bad; skipped += skip
        if (bad) {
            m = split(err, errs, "\n")
            for (i = (m > 40 ? m - 39 : 1); i <= m; i++) if (errs[i] !~ /^ *$|status code 1\)$/) shown = shown "    " errs[i] "\n"
            text = text "  FAILED " name " (" tolower(result) ", " bad " of " (ok + bad) ")\n" shown
        }
    }
    END { print passed + 0, failed + 0, skipped + 0; printf "%s", text }' "$1"
}

# run_meson_test FOLDER OPTION-OR-TEST...
run_meson_test() {
    folder=$1
    shift
    env -u CLIPSEARCH_DB -u CLIPSEARCH_MODEL HOME="$build/home" XDG_DATA_HOME="$build/home/data" \
        XDG_CACHE_HOME="$build/home/cache" CMOCKA_MESSAGE_OUTPUT=TAP \
        meson test -C "$build/$folder" --no-rebuild "$@" >"$log" 2>&1
}

# run_tests FOLDER MESON-OPTION...
run_tests() {
    folder=$1
    shift
    began=$(date +%s)
    rm -f "$build/$folder/meson-logs/testlog.json"
    run_meson_test "$folder" "$@"
    status=$?
    [ -s "$build/$folder/meson-logs/testlog.json" ] || { tail -n 20 "$log"; fail "no test of the $folder build ran; see $log"; }
    results=$build/$folder/results.json
    cp "$build/$folder/meson-logs/testlog.json" "$results" || fail "cannot write $results"
    tally "$results" >"$build/tally" || fail "the results in $results could not be read"
    read -r p f s <"$build/tally"
    # meson's verdict and the count must agree.
    [ $status = 0 ] || [ "$f" -gt 0 ] || { tail -n 20 "$log"; f=1; }
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    echo "$folder: $p passed, $f failed$([ "$s" = 0 ] || echo ", $s skipped") ($(($(date +%s) - began)) s)"
    sed 1d "$build/tally"
}

set -- -Dtests=true -Dfaiss_root="$faiss"

configure_build "$build/release" "$@" -Dbuildtype=release
compile_build "$build/release"
run_tests release

# -O1, because the optimizer may delete the very access that a sanitizer would have reported.
configure_build "$build/sanitized" "$@" -Dbuildtype=custom -Ddebug=true -Doptimization=1 \
    -Db_sanitize=address,undefined -Db_lundef=false
compile_build "$build/sanitized"
run_tests sanitized --timeout-multiplier 4

# ThreadSanitizer does not know an OpenMP runtime that was not built with it and would report its own team's hand-over.
configure_build "$build/threads" "$@" -Dbuildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false
if meson introspect --tests "$build/threads" | grep -q ":threads\""; then
    compile_build "$build/threads"
    OMP_NUM_THREADS=1 run_tests threads --suite threads --timeout-multiplier 4
fi
finished=yes

# index_disk_full.bats: a disk that fills up ends the run with a clear message and loses nothing.
load helpers

story_setup() { export CLIPSEARCH_MODEL="$TINY_MODEL"; }

# A file system of 1 MB needs root, or a user namespace in which we are.
@test "a full disk is told, and what was committed is safe" {
    unshare -m true 2>/dev/null || unshare -rm true 2>/dev/null || skip "no small file system can be mounted here"
    for ((n = 0; n < 300; n++)); do photo "$n.jpg" "$n" 64 48; done
    mkdir small
    cat >story.sh <<'STORY'
set -u
mount -t tmpfs -o size=600k none small || exit 77
"$CLIPSEARCH" --db small/library.db index -q "$1" 2>first.err
echo "first $?"
"$CLIPSEARCH" --db small/library.db check >check.out 2>&1
echo "check $?"
mount -o remount,size=50m small
"$CLIPSEARCH" --db small/library.db index --json "$1" 2>second.err | tail -n 1
"$CLIPSEARCH" --db small/library.db check >/dev/null 2>&1
echo "check $?"
STORY
    if unshare -m true 2>/dev/null; then run unshare -m bash story.sh "$photos"; else run unshare -rm bash story.sh "$photos"; fi
    [ "$status" -ne 77 ] || skip "no small file system can be mounted here"
    stderr=$(cat first.err check.out second.err)
    [ "${lines[0]}" = "first 2" ] || fail_with "expected the first run to fail"
    grep -q -i "space" first.err || fail_with "expected a word about space"
    [ "${lines[1]}" = "check 0" ] || fail_with "expected a whole library"
    [[ "${lines[2]}" == *'"failed":0'* ]] || fail_with "expected the second run to complete"
    new=$(grep -o '"new":[0-9]*' <<<"${lines[2]}" | cut -d: -f2)
    [ "$new" -gt 0 ] && [ "$new" -lt 300 ] || fail_with "expected the second run to go on, not to begin again"
    [ "${lines[3]}" = "check 0" ] || fail_with "expected a whole library"
}

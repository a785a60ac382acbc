#!/usr/bin/env bats
# --files-from: names from a list, one a line or, with -0, any bytes.
load helpers

story_setup() {
    export CLIPSEARCH_MODEL="$TINY_MODEL"
    for n in 1 2 3; do photo "$n.jpg" "$n"; done
    odd=$'odd\n\xffname'
    photo "$odd.jpg" 4
    echo "no photo" >"$photos/notes.txt"
}

@test "only the photos on the list are read, of the folder that is named" {
    try_pipe "printf '%s\n' photos/1.jpg '' ./photos/../photos/2.jpg photos/1.jpg photos photos/notes.txt | clipsearch index photos --files-from -"
    expect_status 0
    expect_in_output "2 new in"
    expect_not_in_output "missing"
    try index
    expect_in_output "2 new, 2 unchanged"
}

@test "names of any bytes come with -0" {
    indexed
    "$MAKE_PHOTO" "$photos/$odd.jpg" 5
    touch -d "1 hour ago" "$photos/1.jpg"
    try_pipe "find photos -name '*name*' -print0 | clipsearch index --files-from - -0 --json"
    expect_status 0
    expect_in_output '"changed":1'
    expect_in_output '"encoded":1'
    printf 'photos/3.jpg\n' >list
    try index --files-from list
    expect_output_begins "1 unchanged"
}

expect_output_begins() { [[ "$output" == "$1"* ]] || fail_with "expected stdout to begin: $1"; }

@test "a photo on the list that is gone is marked, one that returned comes back" {
    indexed
    mv "$photos/2.jpg" kept
    rm "$photos/1.jpg"
    try_pipe 'echo photos/2.jpg | clipsearch index --files-from -'
    expect_output_begins "1 missing"
    try prune --json </dev/null
    [ "${#lines[@]}" -eq 1 ] || fail_with "nothing is known of 1.jpg yet"
    mv kept "$photos/2.jpg"
    try_pipe 'echo photos/2.jpg | clipsearch index --files-from -'
    expect_output_begins "1 returned"
    try_pipe 'echo photos/never.jpg | clipsearch index --files-from -'
    expect_status 0
    expect_in_stderr "photos/never.jpg: no such file"
}

@test "what lies outside is refused before anything is read" {
    "$MAKE_PHOTO" other.jpg 9
    indexed
    try_pipe "printf 'photos/1.jpg\nother.jpg\n' | clipsearch index --files-from -"
    expect_status 2
    expect_in_stderr "other.jpg lies in no folder of this run"
    try index --files-from nowhere
    expect_status 2
    expect_in_stderr "cannot read the list of names in nowhere"
    try index -0
    expect_status 2
    expect_in_stderr "--files-from"
    try_pipe "printf 'a\0b' | clipsearch index --files-from -"
    expect_status 2
    expect_in_stderr "read it with -0"
}

@test "a dry run over a list changes nothing" {
    indexed
    "$MAKE_PHOTO" "$photos/1.jpg" 7
    try_pipe 'echo photos/1.jpg | clipsearch index --files-from - --dry-run'
    expect_output_begins "Would be: 1 changed"
    try_pipe 'echo photos/1.jpg | clipsearch index --files-from -'
    expect_output_begins "1 changed"
}

@test "embed, classify and forget take lists too" {
    indexed
    try_pipe "find photos -name '*.jpg' -print0 | clipsearch classify --labels a,b -k 1 --files-from - -0 --json"
    expect_status 0
    [ "${#lines[@]}" -eq 4 ] || fail_with "expected four"
    try_pipe "printf 'photos/2.jpg\nphotos/1.jpg\n' | clipsearch embed --text x --files-from - | jq -r '.text // .path'"
    expect_output $'x\nphotos/2.jpg\nphotos/1.jpg'
    try_pipe "clipsearch search -0 -k 0 x | clipsearch forget --files-from - -0"
    expect_status 0
    try search x
    expect_status 1
}

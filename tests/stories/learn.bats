#!/usr/bin/env bats
# Concepts: learned from a few examples, kept in the library, a term of a question like any other. Photos made with the same seed look
# the same whatever their size, so that what is learned from some finds the others.
load helpers

story_setup() {
    local i
    for i in 1 2 3 4 5 6; do photo "likes/$i.jpg" 50 $((200 + 8 * i)) 200; done
    for i in 1 2 3 4 5 6 7 8 9 10 11 12; do photo "others/$i.jpg" "$i"; done
    indexed
}

found() { clipsearch search "$@" --paths | sed "s|$photos/||"; }

@test "five examples are enough to find the sixth" {
    try learn "my thing" --no-words --yes "$photos"/likes/[1-5].jpg
    expect_status 0
    expect_output ""
    expect_in_stderr "learned from 5"
    [ "$(found --concept "my thing" -k 6 | grep -c likes)" -eq 6 ] || fail_with "the sixth is not among the first six"
    try search --concept "MY THING" --cut --json
    expect_status 0
    jq -se 'all(.relevance >= 0.25)' <<<"$output" >/dev/null || fail_with "relevance"
    local kept="${#lines[@]}"
    try search "concept:my thing" --min-relevance 0 --json
    [ "${#lines[@]}" -eq 18 ] && [ "$kept" -lt 18 ] || fail_with "the cut cut nothing"
}

@test "a concept is a term: weighed, added, subtracted, with --all, with filters" {
    clipsearch learn -q liked --yes "$photos"/likes/[1-5].jpg
    local plain; plain=$(found boat -k 0)
    [ "$(found boat --add 0.5:concept:liked -k 0)" != "$plain" ] || fail_with "adding it changed nothing"
    [ "$(found boat --subtract concept:liked -k 12 | grep -c likes)" -eq 0 ] || fail_with "taking it away left them"
    [ "$(found --concept liked --in "$photos/others" -k 0 | wc -l)" -eq 12 ] || fail_with "filters"
    try search boat --concept liked --all --min-relevance 0 --json
    expect_status 0
    jq -se 'length == 18 and all(.relevance != null)' <<<"$output" >/dev/null || fail_with "relevance of both"
    try search boat --concept liked --cut
    expect_status 2
    expect_in_stderr "--all"
}

@test "what was learned is listed, learned again, forgotten" {
    clipsearch learn -q a --yes "$photos"/likes/[1-3].jpg --no "$photos/others"
    clipsearch learn -q b --yes "$photos"/likes/[1-5].jpg
    try learn --list
    expect_output a$'\t'"$(basename "$TINY_MODEL")"$'\t'3$'\t'12$'\n'b$'\t'"$(basename "$TINY_MODEL")"$'\t'5$'\t'0
    clipsearch learn -q a --yes "$photos"/likes/[1-2].jpg
    try learn --list --json
    [ "$(jq -sr '.[0].yes, .[0].words, length' <<<"$output" | tr '\n' ' ')" = "2 a 2 " ] || fail_with "not replaced"
    try learn --forget A
    expect_status 0
    try learn --forget a
    expect_status 1
    try search --concept a
    expect_status 2
    expect_in_stderr "clipsearch learn a --yes"
    clipsearch learn --forget b
    try learn --list
    expect_status 1
    expect_output ""
}

@test "examples may be files outside the library, folders, and lists" {
    mkdir away
    for i in 1 2 3 4 5; do "$MAKE_PHOTO" "away/$i.png" 50 $((200 + 16 * i)) 220 --png; done
    echo text >away/notes.txt
    try learn liked --no-words --yes away --json
    expect_status 0
    [ "$(jq -r '.yes, .unlabelled, .words' <<<"$output" | tr '\n' ' ')" = "5 18 null " ] || fail_with "counts"
    [ "$(found --concept liked -k 6 | grep -c likes)" -eq 6 ] || fail_with "not found"
    try_pipe "ls '$photos'/likes/[1-4].jpg | clipsearch learn liked --yes-from - --json"
    expect_status 0
    [ "$(jq -r '.yes, .unlabelled, .words' <<<"$output" | tr '\n' ' ')" = "4 14 liked " ] || fail_with "counts of the list"
    try learn liked --yes "$photos/likes/1.jpg" "$photos/likes/1.jpg" ./away/1.png ./away/1.png --json
    [ "$(jq -r .yes <<<"$output")" -eq 2 ] || fail_with "a photo that was named twice counts once"
}

@test "a concept belongs to its model, and another model says what to do" {
    "$MAKE_MODEL" second 2
    clipsearch learn -q liked --yes "$photos"/likes/[1-5].jpg
    clipsearch index --quiet --model second "$photos"
    try search --concept liked --model second
    expect_status 2
    expect_in_stderr "clipsearch learn liked --model second"
    clipsearch learn -q liked --yes "$photos"/likes/[1-5].jpg --model second
    try search --concept liked --model second -k 1
    expect_status 0
    try search --concept liked --model second --model "$TINY_MODEL" -k 1
    expect_status 0
}

@test "what cannot be learned is said, and nothing is kept" {
    echo text >notes.txt
    local arguments
    for arguments in "" "x" "x y --yes $photos/likes/1.jpg" "x --no $photos/likes/1.jpg" "x --yes notes.txt" "x --yes absent.jpg" \
        "x --yes $photos/likes/1.jpg --no $photos/likes/1.jpg" "x --yes-from absent.txt" "--list --forget x" "x --yes $photos" \
        "x --yes $photos/likes --words w --no-words"; do
        # shellcheck disable=SC2086
        try learn $arguments
        expect_status 2
        expect_output ""
        [ -n "$stderr" ] || fail_with "silence for: $arguments"
    done
    try learn --list
    expect_status 1
    try learn x --yes "$photos/likes/1.jpg" --db nosuch.db
    expect_status 2
    [ ! -e nosuch.db ] || fail_with "made a library"
    try search concept:
    expect_status 2
}

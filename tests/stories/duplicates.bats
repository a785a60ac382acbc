#!/usr/bin/env bats
# Copies are found and shown, the best first; what only resembles is left alone; nothing is touched.
load helpers

names() { awk -F/ '{print $NF}' <<<"$output" | tr '\n' ' '; }

story_setup() {
    photo one.jpg 1 640 480
    photo one-small.png 1 320 240 --png
    photo two.jpg 2 400 300
    photo three.jpg 3 400 300
    cp "$photos/one.jpg" "$photos/one-again.jpg"
    touch -d "2020-01-01 UTC" "$photos/one.jpg"
    touch -d "2021-01-01 UTC" "$photos/one-again.jpg"
}

@test "copies make a group: the best first, the same bytes, the same picture" {
    indexed
    try duplicates
    expect_status 0
    [ "${#lines[@]}" -eq 3 ] || fail_with "expected three lines"
    [[ "${lines[0]}" == best$'\t'640x480$'\t'*"/one.jpg" ]] || fail_with "the best"
    [[ "${lines[1]}" == exact$'\t'*"/one-again.jpg" ]] || fail_with "the same bytes"
    [[ "${lines[2]}" == near$'\t'320x240$'\t'*"/one-small.png" ]] || fail_with "the same picture"
}

@test "without copies nothing is printed and the status is 1" {
    rm "$photos"/one-*
    indexed
    try duplicates --threshold 0.5
    expect_status 1
    expect_output ""
    expect_in_stderr "no duplicates found"
}

@test "--json prints one group a line, with the fields of a search" {
    indexed
    try_pipe "clipsearch duplicates --json | jq -c '[.photos[].copy]'"
    expect_output '["best","exact","near"]'
    try_pipe "clipsearch duplicates --json | jq -c '.photos[0] | keys_unsorted'"
    expect_output '["copy","score","distance","path","width","height","format","taken","camera","latitude","longitude","size","modified","reason"]'
}

@test "--copies names all but the best, ready for another program" {
    indexed
    try_pipe "clipsearch duplicates --copies -0 | xargs -0 -n1 basename | sort | tr '\n' ' '"
    expect_output "one-again.jpg one-small.png "
    try_pipe "clipsearch duplicates -0 | tr '\0' '\n' | wc -l"
    expect_output 4
}

@test "--in looks into a folder alone" {
    photo sub/four.jpg 1 640 480
    photo sub/five.jpg 2 400 300
    indexed
    try duplicates --in "$photos/sub"
    expect_status 1
    [[ "$stderr" != *"no photo"* ]] || fail_with "photos are there, and no copies"
    try duplicates --in "$photos/sbu"
    expect_status 1
    expect_in_stderr "did you mean $photos/sub?"
    try duplicates --in "$photos/sub" --in "$photos/two.jpg" --paths
    expect_status 0
    [ "$(names)" = "five.jpg two.jpg " ] || [ "$(names)" = "two.jpg five.jpg " ] || fail_with "the two"
}

@test "a photo whose file is gone still has its exact copies, and the others are spoken of" {
    indexed
    rm "$photos/one-small.png"
    try duplicates
    expect_status 0
    [ "${#lines[@]}" -eq 2 ] || fail_with "expected two lines"
    expect_in_stderr "could not be looked at"
}

@test "nothing is changed by looking" {
    indexed
    local before
    before=$(cd "$photos" && find . -type f -printf '%p %s %T@\n' | sort)
    try duplicates
    [ "$before" = "$(cd "$photos" && find . -type f -printf '%p %s %T@\n' | sort)" ] || fail_with "the photos changed"
}

@test "a threshold that is none is refused" {
    indexed
    try duplicates --threshold 2
    expect_status 2
    expect_in_stderr "from 0.5 to 1"
}

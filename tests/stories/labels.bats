#!/usr/bin/env bats
# Labels: which fits a photo (classify), and which photos get which as a tag (tag, search --tag).
load helpers

story_setup() {
    photo a.jpg 1
    photo sub/b.jpg 2
    photo c.png 3 --png
    echo text >"$photos/notes.txt"
    indexed
}

@test "classify gives each photo's labels with probabilities, the best first" {
    try classify "$photos/a.jpg" --labels cat,dog,bird --model "$TINY_MODEL"
    expect_status 0
    [ "${#lines[@]}" -eq 3 ] || fail_with "expected three lines"
    awk -F'\t' -v p="$photos/a.jpg" '$3 != p || $1 > last && NR > 1 { exit 1 } { last = $1; sum += $1 }
        END { exit !(sum > 0.9997 && sum < 1.0003) }' <<<"$output" || fail_with "probabilities"
    local best="${lines[0]}"
    try classify "$photos/a.jpg" --labels bird,dog,cat -k 1
    expect_output "$best"
}

@test "classify goes through folders, and leaves out what is no photo" {
    try_pipe "clipsearch classify '$photos/' --labels cat,dog -k 1 --json | jq -r '.path, (.labels | length)'"
    expect_status 0
    expect_output "$photos/a.jpg"$'\n'1$'\n'"$photos/c.png"$'\n'1$'\n'"$photos/sub/b.jpg"$'\n'1
    try classify "$photos/notes.txt" "$photos/a.jpg" --labels cat,dog -k 1
    expect_status 2
    [ "${#lines[@]}" -eq 1 ] || fail_with "the other photo was not classified"
    expect_in_stderr "notes.txt"
    mkdir empty
    try classify empty --labels cat,dog
    expect_status 1
}

@test "an indexed photo is classified from its stored vector, and like the file itself" {
    try classify "$photos/a.jpg" --labels cat,dog,bird --json
    local stored; stored=$(jq -c '[.labels[] | .label]' <<<"$output")
    cp "$photos/a.jpg" other.jpg
    try classify other.jpg --labels cat,dog,bird --json
    [ "$(jq -c '[.labels[] | .label]' <<<"$output")" = "$stored" ] || fail_with "the copy is classified otherwise"
    rm "$photos/a.jpg"
    try classify "$photos/a.jpg" --labels cat,dog,bird --json
    expect_status 0
    [ "$(jq -c '[.labels[] | .label]' <<<"$output")" = "$stored" ] || fail_with "the stored vector was not used"
}

@test "classify works without a library" {
    try classify "$photos/a.jpg" --labels cat,dog --db nosuch.db --model "$TINY_MODEL" --templates none
    expect_status 0
    [ ! -e nosuch.db ] || fail_with "made a library"
}

@test "labels come from a file or from words, and wrong ones are explained" {
    printf 'cat\ndog\n' >animals.txt
    try classify "$photos/a.jpg" --labels animals.txt
    local file="$output"
    try classify "$photos/a.jpg" --labels cat,dog
    expect_output "$file"
    try classify "$photos/a.jpg"
    expect_status 2
    expect_in_stderr "--labels"
    try classify "$photos/a.jpg" --labels ./nosuch
    expect_status 2
    expect_in_stderr "nosuch"
    try classify "$photos/a.jpg" --labels cat
    expect_status 0
    expect_in_stderr "a label alone"
    mkdir locked
    chmod 0 locked
    [ ! -r locked ] || return 0 # root reads everything
    try classify locked "$photos/a.jpg" --labels cat,dog -k 1
    expect_status 2
    [ "${#lines[@]}" -eq 1 ] || fail_with "the photo behind it was not classified"
}

@test "tag gives a photo what search --cut would find it by" {
    try tag --labels boat,tree --threshold 0.001 --json
    local boats; boats=$(jq -r 'select(.tag == "boat").photos' <<<"$output")
    clipsearch search boat --min-relevance 0.001 --paths | sort >relevant || true
    [ "$boats" -eq "$(wc -l <relevant)" ] || fail_with "tag and search disagree: $boats"
    clipsearch search anything --tag BOAT --paths -k 0 | sort >tagged || true
    cmp relevant tagged || fail_with "other photos"
}

@test "tags are kept, found, listed, renewed and taken away" {
    try tag --labels boat,tree --threshold 0
    expect_status 0
    expect_output 3$'\t'boat$'\n'3$'\t'tree
    try tag --list
    expect_output 3$'\t'boat$'\n'3$'\t'tree
    try search x --tag boat --tag tree --paths
    [ "${#lines[@]}" -eq 3 ] || fail_with "expected three photos"
    try tag --labels boat --threshold 1
    expect_status 1
    expect_output 0$'\t'boat
    try tag --list --json
    expect_output '{"tag":"tree","photos":3}'
    try search x --tag boat
    expect_status 1
    try tag --clear boat
    expect_status 1
    try tag --clear
    expect_status 0
    try tag --list
    expect_status 1
}

@test "--dry-run tells and keeps nothing" {
    try tag --labels boat --threshold 0 --dry-run
    expect_output 3$'\t'boat
    try tag --list
    expect_status 1
}

@test "a photo that moves keeps its tags, and one that is forgotten loses them" {
    clipsearch tag --quiet --labels boat --threshold 0 >/dev/null
    mv "$photos/a.jpg" "$photos/sub/z.jpg"
    indexed
    try search x --tag boat --paths
    expect_in_output "$photos/sub/z.jpg"
    clipsearch forget --quiet "$photos/sub"
    try tag --list
    expect_output 1$'\t'boat
}

@test "tag refuses what contradicts itself" {
    try tag
    expect_status 2
    try tag --list --clear
    expect_status 2
    try tag --labels a --threshold 2
    expect_status 2
    try tag boat
    expect_status 2
}

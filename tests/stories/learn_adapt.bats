#!/usr/bin/env bats
# learn --adapt: what a person's captions teach. To the tiny model words mean nothing: captions that name one of ten looks can be learned,
# captions that are different for each photo cannot.
load helpers

story_setup() {
    local i k
    for k in 0 1 2 3 4 5 6 7 8 9; do
        for i in 1 2 3 4 5 6; do photo "$k-$i.jpg" "$((k + 30))" $((100 + 8 * i)) 100; done
    done
    indexed
    local words=(boat tree dog cat snow house road river night cake)
    for k in 0 1 2 3 4 5 6 7 8 9; do
        for i in 1 2 3 4 5 6; do printf '%s-%s.jpg\t%s\n' "$k" "$i" "${words[k]}"; done
    done >captions.tsv
}

@test "captions are learned, searches use them, and --no-adapt does not" {
    try search boat -k 0
    local before="$output"
    try learn --adapt captions.tsv "$photos" --json
    expect_status 0
    jq -e '.kept and .photos == 60 and .captions == 60 and .low > 0 and .after[2] > .before[2]' <<<"$output" >/dev/null || fail_with "figures"
    try search boat -k 0 --no-adapt
    expect_output "$before"
    try search boat -k 0
    [ "$output" != "$before" ] || fail_with "nothing was changed"
    try status
    expect_in_output "by 60 captions of 60 photos"
    try learn --unadapt
    expect_status 0
    try search boat -k 0
    expect_output "$before"
    try learn --unadapt
    expect_status 1
}

@test "captions that teach nothing are told, and nothing is kept" {
    local file
    for file in "$photos"/*.jpg; do printf '%s\t%s\n' "$file" "$(basename "$file" | md5sum | tr -d ' -' | sed 's/./& /g')"; done >noise.tsv
    try learn --adapt noise.tsv
    expect_status 1
    expect_output ""
    expect_in_stderr "nothing was kept"
    try status
    expect_not_in_output "Adapted"
}

@test "what cannot be learned from is said" {
    head -n 20 captions.tsv >few.tsv
    printf 'no tab\n' >bad.tsv
    local arguments
    for arguments in "--adapt few.tsv $photos" "--adapt bad.tsv" "--adapt absent.tsv" "--adapt captions.tsv a b" "--adapt captions.tsv --unadapt" \
        "--adapt captions.tsv elsewhere"; do
        # shellcheck disable=SC2086
        try learn $arguments
        expect_status 2
        expect_output ""
        [ -n "$stderr" ] || fail_with "silence for: $arguments"
    done
}

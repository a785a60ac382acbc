#!/usr/bin/env bats
# Linear probes, and the file of kept vectors by which a killed run goes on. Pictures made with one seed look the same at every size, so
# that classes can be told apart whatever the tiny model's vectors mean.
load helpers

evaluate() { try eval "$@" --model "$TINY_MODEL"; }

# value FILTER: out of the JSON on stdout.
value() { jq -r "$1" <<<"$output"; }

# class NAME SEED N [EXTRA]: N pictures of one look, in different sizes.
class() {
    local i
    for ((i = 0; i < $3; i++)); do photo "$1/$i.jpg" "$2" $((160 + 8 * i + ${4:-0})) $((160 + 4 * i)); done
}

@test "classes that look different are learned, and every number of examples is told" {
    class red_fox 3 14; class barn 4 14; class crane 5 14
    evaluate probe "$photos" --json
    expect_status 0
    [ "$(value .task)" = probe ]
    [ "$(value '.learned_from, .chosen_on, .photos' | tr '\n' ' ')" = "30 6 6 " ] || fail_with "dealt out otherwise"
    [ "$(value .probe.top1.value)" = 1 ] || [ "$(value .probe.top1.value)" = 1.0 ] || fail_with "not learned"
    [ "$(value '.few_shot | map(.shots) | @csv')" = "1,2,4,8" ] || fail_with "the curve"
    [ "$(value '.few_shot | map(.top1 >= 0.5) | all')" = true ] || fail_with "the curve's values"
    [ "$(value '[.classes[].tested] | add')" = 6 ]
    local first="$output"
    evaluate probe "$photos" --json
    expect_output "$first"
    evaluate probe "$photos"
    expect_status 0
    [[ "${lines[0]}" == *top-1*mean\ per\ class* ]]
    [[ "${lines[1]}" == zero-shot* ]]
    [[ "${lines[2]}" == " 1 a class "*"5 draws" ]]
    [[ "${lines[6]}" == "all photos "*"100.0 %"* ]] || fail_with "the last row"
    expect_in_stderr "30 photos to learn from"
}

@test "--test: photos of a folder of their own" {
    class a 3 6; class b 4 6
    mkdir test
    mkdir test/a test/b
    "$MAKE_PHOTO" test/a/x.jpg 3 300 300; "$MAKE_PHOTO" test/b/y.jpg 4 300 300
    evaluate probe "$photos" --test test --json
    expect_status 0
    [ "$(value '.learned_from, .chosen_on, .photos' | tr '\n' ' ')" = "10 2 2 " ] || fail_with "dealt out otherwise"
    [ "$(value '.probe.top1.value == 1')" = true ]
    mkdir test/c
    "$MAKE_PHOTO" test/c/z.jpg 9 300 300
    evaluate probe "$photos" --test test
    expect_status 2
    expect_in_stderr "class c"
}

@test "kept vectors: the second run reads no photo, a changed one is read again" {
    class a 3 6; class b 4 6
    echo nothing >"$photos/a/notes.txt"
    evaluate zeroshot "$photos" --json
    local plain="$output"
    evaluate zeroshot "$photos" --json --cache kept
    expect_output "$plain"
    mv "$photos" moved && mkdir "$photos" && mv moved/* "$photos" # other directories, the same files
    evaluate zeroshot "$photos" --json --cache kept
    expect_output "$plain"
    expect_in_stderr "13 of 13 photos are kept in kept"
    "$MAKE_PHOTO" "$photos/a/0.jpg" 8 100 100
    evaluate zeroshot "$photos" --cache kept
    expect_in_stderr "12 of 13"
    evaluate probe "$photos" --cache kept --json
    expect_status 0
    expect_in_stderr "13 of 13"
}

@test "kept vectors: a run that is killed goes on" {
    class a 3 60; class b 4 60
    evaluate zeroshot "$photos" --json
    local plain="$output" kills=0 i before run
    : >kept
    for i in 1 2 3 4; do
        before=$(stat -c %s kept)
        "$CLIPSEARCH" eval zeroshot "$photos" --model "$TINY_MODEL" --threads 1 --cache kept >/dev/null 2>&1 &
        run=$! # the program itself: a shell's function would leave it behind
        while kill -0 $run 2>/dev/null && [ "$(stat -c %s kept)" -eq "$before" ]; do sleep 0.002; done
        if kill -9 $run 2>/dev/null; then kills=$((kills + 1)); fi
        wait $run 2>/dev/null || true
    done
    printf 'half a record' >>kept
    evaluate zeroshot "$photos" --json --cache kept
    expect_status 0
    expect_output "$plain"
    [ $kills -gt 0 ] || fail_with "nothing was killed"
    evaluate zeroshot "$photos" --json --cache kept
    expect_output "$plain"
    expect_in_stderr "120 of 120"
}

@test "kept vectors: foreign and damaged files are refused or passed over, never overwritten" {
    class a 3 4; class b 4 4
    echo "precious words, longer than a header of kept vectors would be, by far" >diary
    cp diary copy
    evaluate zeroshot "$photos" --cache diary
    expect_status 2
    expect_in_stderr "no file of kept vectors"
    cmp diary copy || fail_with "overwritten"
    printf x >short
    evaluate zeroshot "$photos" --cache short
    expect_status 2
    evaluate zeroshot "$photos" --json --cache kept
    local plain="$output"
    "$MAKE_MODEL" second 2
    try eval zeroshot "$photos" --model second --cache kept
    expect_status 2
    expect_in_stderr "another model"
    printf '\377\377\377' | dd of=kept bs=1 seek=150 conv=notrunc 2>/dev/null
    evaluate zeroshot "$photos" --json --cache kept
    expect_output "$plain"
    expect_in_stderr "7 of 8"
    evaluate zeroshot "$photos" --cache "$photos"
    expect_status 2
    evaluate zeroshot "$photos" --cache absent/kept
    expect_status 2
}

@test "what cannot be measured is said" {
    class a 3 4; class b 4 2
    local arguments
    for arguments in "probe" "probe $photos" "probe $photos/absent" "zeroshot $photos --test $photos" "probe $photos $photos"; do
        # shellcheck disable=SC2086
        evaluate $arguments
        expect_status 2
        expect_output ""
        [ -n "$stderr" ] || fail_with "silence for: $arguments"
    done
}

# index_models.bats: which model a run uses, and what becomes of the old one.
load helpers

story_setup() {
    "$MAKE_MODEL" first 1
    "$MAKE_MODEL" second 2
    for n in 1 2 3; do photo "$n.jpg" $n; done
}

summary() { tail -n 1 <<<"$output"; }

@test "later runs use the model of the first" {
    try index --model first "$photos"
    expect_status 0
    photo 4.jpg 4
    try index --json
    expect_status 0
    [[ "$(summary)" == *'"new":1,'*'"unchanged":3,'* ]] || fail_with "expected one new photo"
}

@test "a second model lives beside the first, and searches stay with the first" {
    try index --model first "$photos"
    try search --json "anything"
    before="$output"
    try index --json --model second
    expect_status 0
    [[ "$(summary)" == *'"reembedded":3,'* ]] || fail_with "expected every photo to be embedded"
    expect_in_stderr "clipsearch model use second"
    try search --json "anything"
    expect_output "$before"
    try index --json
    [[ "$(summary)" == *'"unchanged":3,'* ]] || fail_with "expected the first model to be complete"
}

@test "a model that is gone is not replaced in silence" {
    try index --model first "$photos"
    mv first elsewhere
    try index
    expect_status 2
    expect_in_stderr "--model DIR"
    try index --json --model elsewhere
    expect_status 0
    [[ "$(summary)" == *'"unchanged":3,'* ]] || fail_with "expected the model to be recognised"
    try index
    expect_status 0
}

@test "another model in the place of the library's is noticed" {
    try index --model first "$photos"
    mv first away
    mv second first
    try index
    expect_status 2
    expect_in_stderr "another model now"
}

@test "a model that replaces a lost one takes over when it knows every photo" {
    try index --model first "$photos"
    rm -r first
    try index --json --model second
    expect_status 0
    expect_in_stderr "from now on"
    try search "anything"
    expect_status 0
    [ "${#lines[@]}" -eq 3 ] || fail_with "expected three photos"
}

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

@test "a model that has not seen every photo says how much it covers" {
    mkdir "$photos/more"
    for n in 4 5; do photo "more/$n.jpg" $n; done
    try index --model first "$photos"
    try index --model second "$photos/more"
    expect_status 0
    try search --model second "anything"
    expect_status 0
    expect_in_stderr "the model second covers 2 of 5 photos so far; clipsearch index --model second goes on"
    [ "${#lines[@]}" -eq 2 ] || fail_with "expected two photos"
    try search "anything"
    [ -z "$stderr" ] || fail_with "expected nothing about the first model"
    try index --json --model second "$photos"
    [[ "$(summary)" == *'"reembedded":3,'* ]] || fail_with "expected the rest alone"
    try search --model second "anything"
    [ -z "$stderr" ] || fail_with "expected it to be complete"
    try search --model first --model second "anything"
    [ "${#lines[@]}" -eq 5 ] || fail_with "expected five photos"
}

@test "an interrupted re-embedding goes on where it stopped, and the first model answers meanwhile" {
    "$MAKE_PHOTO" big.jpg 1 2400 1600
    for ((n = 0; n < 100; n++)); do
        cp big.jpg "$photos/big$n.jpg"
        echo "$n" >>"$photos/big$n.jpg"
    done
    try index --model first "$photos"
    try search --json -k 200 "anything"
    before="$output"
    env --default-signal=INT "$CLIPSEARCH" index --json --model second >first.out 2>first.err &
    pid=$!
    for ((i = 0; i < 400; i++)); do [ -s first.out ] && break; sleep 0.05; done
    kill -INT $pid
    status=0
    wait $pid || status=$?
    expect_status 130
    done=$(grep -c '"event":"reembedded"' first.out)
    [ "$done" -gt 0 ] && [ "$done" -lt 103 ] || fail_with "expected a part, not $done"
    try search --json -k 200 "anything"
    expect_output "$before"
    try search --model second -k 200 "anything"
    expect_in_stderr "covers $done of 103 photos"
    try index --json --model second
    expect_status 0
    [[ "$(summary)" == *"\"reembedded\":$((103 - done)),"* ]] || fail_with "expected the rest after $done"
}

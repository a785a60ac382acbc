# index_many.bats: several processes, interruptions, and a tree of ten thousand.
load helpers

story_setup() { export CLIPSEARCH_MODEL="$TINY_MODEL"; }

summary() { tail -n 1 <<<"$output"; }
sow() { for ((n = $1; n < $1 + $2; n++)); do photo "$n.jpg" "$n" 96 72; done; }
# sow_slowly N: photos that take a while, each with a content of its own.
sow_slowly() {
    "$MAKE_PHOTO" big.jpg 1 2400 1600
    for ((n = 0; n < $1; n++)); do
        cp big.jpg "$photos/big$n.jpg"
        echo "$n" >>"$photos/big$n.jpg"
    done
}

# grow FILE BYTES: waits until a background process has printed that much.
grow() { for ((i = 0; i < 200; i++)); do [ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -lt "$2" ] || return 0; sleep 0.05; done; return 1; }

@test "a second index waits for the first, says so, and finds nothing to do" {
    sow_slowly 60
    clipsearch index --json "$photos" >first.out 2>first.err &
    grow first.out 1
    try index --json "$photos"
    wait $!
    expect_status 0
    [[ "$(summary)" == *'"new":0'*'"unchanged":60'* ]] || fail_with "expected nothing to do"
    expect_in_stderr "another clipsearch"
    [[ "$(tail -n 1 first.out)" == *'"new":60'* ]]
}

@test "a search during indexing works" {
    sow 0 8
    try index "$photos"
    sow_slowly 60
    clipsearch index --json "$photos" >first.out 2>first.err &
    grow first.out 1
    for i in 1 2 3; do
        try search "anything" --paths -k 100
        expect_status 0
        [ "${#lines[@]}" -ge 8 ] || fail_with "expected what was indexed before"
        [[ "$stderr" != *locked* ]] || fail_with "a lock was met"
    done
    wait $!
}

@test "Ctrl-C finishes the batch, says how to go on, and the next run goes on" {
    sow_slowly 150
    env --default-signal=INT "$CLIPSEARCH" index --json "$photos" >first.out 2>first.err &
    pid=$!
    grow first.out 1
    kill -INT $pid
    status=0
    wait $pid || status=$?
    expect_status 130
    grep -q "the same command goes on" first.err
    done=$(grep -c '"event":"new"' first.out)
    [ "$done" -gt 0 ] && [ "$done" -lt 150 ]
    try check
    expect_status 0
    try index --json
    expect_status 0
    [[ "$(summary)" == *"\"new\":$((150 - done)),"*"\"unchanged\":$done,"* ]] || fail_with "expected to go on after $done"
}

# The promise is a second; the machine that runs the tests may be busy.
@test "ten thousand unchanged photos take a moment and none is opened" {
    photo one.jpg 1 64 48
    mkdir "$photos/0"
    for n in {0..99}; do ln "$photos/one.jpg" "$photos/0/$n.jpg"; done
    for d in {1..99}; do cp -al "$photos/0" "$photos/$d"; done
    try index --json "$photos"
    [[ "$(summary)" == *'"new":10001,'* ]] || fail_with "expected 10,001"
    chmod 0 "$photos/one.jpg"
    try index --json
    [[ "$(summary)" == *'"unchanged":10001,'*'"encoded":0,'* ]] || fail_with "expected nothing to do"
    seconds=$(grep -o '"seconds":[0-9.]*' <<<"$(summary)" | cut -d: -f2)
    awk -v s="$seconds" 'BEGIN { exit !(s < 3) }' || fail_with "took $seconds s"
}

# index_kill.bats: killed at any instant, the library is whole and the next run completes it.
load helpers

story_setup() { export CLIPSEARCH_MODEL="$TINY_MODEL"; }

# Rounds on one library until twenty were killed: new photos, a rename and a change each time, then kill -9 at a random
# instant of the time that such a run takes on this machine. In the end the library holds what one undisturbed run over the
# same tree holds. In one precision: what `auto` settles on depends on how many photos a run finds.
@test "kill -9 twenty times loses nothing" {
    RANDOM=7
    for ((n = 0; n < 12; n++)); do photo "0/$n.jpg" $n 96 72; done
    began=$(date +%s%3N)
    clipsearch --db timed.db index --precision f32 -q "$photos"
    span=$(($(date +%s%3N) - began + 1))
    killed=0
    for ((round = 0; killed < 20 && round < 60; round++)); do
        for ((n = 0; n < 12; n++)); do photo "$round/$n.jpg" $((round * 100 + n)) 96 72; done
        photo "0/0.jpg" $((5000 + round)) 96 72
        [ ! -e "$photos/0/1.jpg" ] || mv "$photos/0/1.jpg" "$photos/renamed.jpg"
        [ ! -e "$photos/renamed.jpg" ] || mv "$photos/renamed.jpg" "$photos/$round/renamed.jpg"
        clipsearch index --precision f32 -q "$photos" 2>index.err &
        pid=$!
        instant=$((RANDOM % span))
        sleep "$((instant / 1000)).$(printf %03d $((instant % 1000)))"
        kill -9 $pid 2>/dev/null && killed=$((killed + 1))
        wait $pid 2>/dev/null || true
        if [ -e "$XDG_DATA_HOME/clipsearch/library.db" ]; then
            try check
            [[ "$status" -eq 0 || "$stderr" == *"nothing is indexed"* || "$stderr" == *"no photo library yet"* ]] || fail_with "round $round: the library is not whole"
        fi
    done
    [ "$killed" -eq 20 ] || fail_with "only $killed of $round were killed in time"
    try index --precision f32 "$photos"
    expect_status 0
    try check
    expect_status 0
    clipsearch --db undisturbed.db index --precision f32 -q "$photos"
    run "$COMPARE_LIBRARIES" "$XDG_DATA_HOME/clipsearch/library.db" undisturbed.db 0.99999
    [ "$status" -eq 0 ] || fail_with "the libraries differ"
    [[ "$output" == *"$((round * 12)) photos"* ]] || fail_with "expected $((round * 12)) photos"
}

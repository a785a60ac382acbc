# index_precision.bats: which arithmetic a library's photos are computed in, and how it is told.
load helpers

story_setup() {
    export CLIPSEARCH_MODEL="$TINY_MODEL"
    for ((n = 0; n < 100; n++)); do photo "$n.jpg" "$n" 96 72; done
}

summary() { tail -n 1 <<<"$output"; }
model() { clipsearch status --json | jq -r ".models[0] | $1"; }

@test "8-bit integers are tried once on the first photos, and what came out is kept and told" {
    try index --json "$photos"
    expect_status 0
    said="$stderr" trial=$(summary | jq -c .trial)
    if [ "$trial" = null ]; then
        grep -qw avx2 /proc/cpuinfo && ! grep -qw avx512f /proc/cpuinfo && fail_with "expected a trial on this CPU"
        skip "8-bit integers are not fast on this CPU"
    fi
    [ "$(jq -r '.tried, .photos' <<<"$trial" | xargs)" = "int8 16" ] || fail_with "expected int8 on 16 photos: $trial"
    [ "$(model ".trial.mean * 1e6 | round")" = "$(jq ".mean * 1e6 | round" <<<"$trial")" ] || fail_with "expected the same figures in status: $trial"
    [ "$(jq '.kept == (.mean >= 0.9998 and .least >= 0.999)' <<<"$trial")" = true ] || fail_with "expected the line to hold: $trial"
    kept=$(jq -r 'if .kept then .tried else .against end' <<<"$trial")
    [ "$(model .precision)" = "$kept" ] || fail_with "expected $kept"
    [[ "$said" == *"photos are computed in $kept from now on: tried on 16, int8 "* ]] || fail_with "expected to be told: $said"
    try status
    expect_in_output "int8 was tried on 16 photos and"

    for ((n = 100; n < 210; n++)); do photo "$n.jpg" "$n" 96 72; done
    try index --json
    [ "$(summary | jq -c '.new, .trial' | xargs)" = "110 null" ] || fail_with "expected no second trial"
    [ "$(model .precision)" = "$kept" ] || fail_with "expected still $kept"
}

@test "what is asked for is computed, without a trial, and later runs stay with it" {
    try index --json --precision f32 "$photos"
    [ "$(summary | jq .trial)" = null ] && [ "$(model .precision)" = f32 ] || fail_with "expected f32"
    for ((n = 100; n < 210; n++)); do photo "$n.jpg" "$n" 96 72; done
    try index --json
    [ "$(summary | jq .new)" = 110 ] || fail_with "expected new photos"
    [ "$(model .precision)" = f32 ] && [ "$(model .trial)" = null ] || fail_with "expected still f32"
    photo 300.jpg 300
    try index --quiet --precision int16
    expect_output ""
    [ -z "$stderr" ] || fail_with "expected silence"
}

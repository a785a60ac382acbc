# siglip.bats: a model that tells probabilities by itself.
load helpers

story_setup() {
    "$MAKE_MODEL" siglip 1 siglip
    for n in 1 2 3; do photo "$n.jpg" $n; done
    clipsearch index --quiet --model siglip "$photos"
}

# expected SCORE: sigmoid(scale * score + bias) of the made model.
expected() { awk -v s="$1" 'BEGIN { print 1 / (1 + exp(-(exp(2.5) * s - 1))) }'; }

near() { awk -v a="$1" -v b="$2" 'BEGIN { d = a - b; exit !(d < 1e-4 && d > -1e-4) }' || fail_with "$1 is not $2"; }

@test "relevance is the model's own probability" {
    try_pipe "clipsearch search a boat --json | jq -r '\"\(.score) \(.relevance)\"'"
    expect_status 0
    [ "${#lines[@]}" -eq 3 ] || fail_with "expected three photos"
    while read -r score relevance; do near "$relevance" "$(expected "$score")"; done <<<"$output"
    try_pipe "clipsearch search a boat --json | jq -r '\"\(.score) \(.relevance)\"'" # its vector is remembered now
    while read -r score relevance; do near "$relevance" "$(expected "$score")"; done <<<"$output"
}

@test "--min-relevance and tag go by it" {
    clipsearch search boat --json | jq -r .relevance >all
    bar=$(sort -g all | sed -n 2p)
    bar=$(awk -v b="$bar" 'BEGIN { printf "%.6f", b - 1e-5 }')
    try search boat --min-relevance "$bar"
    expect_status 0
    [ "${#lines[@]}" -eq "$(awk -v b="$bar" '$1 >= b' all | wc -l)" ] || fail_with "--min-relevance and relevance disagree"
    try tag --labels boat --threshold "$bar"
    expect_output "$(awk -v b="$bar" '$1 >= b' all | wc -l)"$'\t'boat
    try search boat --min-relevance 1
    expect_status 1
}

@test "classify gives each label a probability of its own" {
    try_pipe "clipsearch classify '$photos/1.jpg' --labels boat --templates none --json | jq .labels[0].probability"
    expect_status 0
    alone="$output"
    try_pipe "clipsearch classify '$photos/1.jpg' --labels boat,tree --templates none --json | jq '.labels[] | select(.label == \"boat\").probability'"
    expect_output "$alone"
    score=$(clipsearch search boat --json | jq -r 'select(.path | endswith("1.jpg")).score')
    near "$alone" "$(expected "$score")"
}

@test "model info tells scale and bias" {
    try model info siglip --json
    expect_status 0
    [ "$(jq -r '"\(.logit_bias)"' <<<"$output")" = "-1.0" ] || [ "$(jq -r .logit_bias <<<"$output")" = "-1" ] || fail_with "bias"
}

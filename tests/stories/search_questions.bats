#!/usr/bin/env bats
# Questions that are more than words: all terms at once, sentences, relevance, order, questions that are kept.
load helpers

story_setup() {
    photo a.jpg 1 --taken "2021:07:14 18:30:00"
    photo b.jpg 2 --taken "2023:08:01 09:00:00"
    photo c.jpg 3 --taken "2022:01:02 03:04:05"
    photo d.jpg 4
    touch -d "2020-02-03 UTC" "$photos/d.jpg"
    indexed
}

names() { awk -F/ '{print $NF}' <<<"$output" | tr '\n' ' '; }
table() { jq -r '(.path | split("/") | last) + " " + (.score * 10000 | round | tostring)' | sort; }

@test "words that are also a file's name stay words, and that is said" {
    cd "$photos"
    try search a.jpg
    expect_status 0
    expect_in_stderr "clipsearch search ./a.jpg"
    local words="$output"
    try search text:a.jpg
    expect_output "$words"
    [ -z "$stderr" ] || fail_with "it was said that these are words"
    try search ./a.jpg
    [ -z "$stderr" ] || fail_with "it is the image"
    try search a.jpg -q
    [ -z "$stderr" ] || fail_with "quiet"
}

@test "--all scores a photo by the least of its terms" {
    clipsearch search boat --json | table >boat
    clipsearch search tree --json | table >tree
    join boat tree | awk '{print $1, ($2 < $3 ? $2 : $3)}' >least
    clipsearch search boat --add tree --all --json | table >all
    [ "$(wc -l <all)" -eq 4 ] || fail_with "expected four photos"
    # The stored cosines are rounded once more on the way.
    join least all | awk '{d = $2 - $3; if (d < -1 || d > 1) exit 1}' || fail_with "not the least: $(join least all)"
    try search boat --add tree --all -k 2
    [ "${#lines[@]}" -eq 2 ] || fail_with "expected two lines"
    [ "$(clipsearch search boat --add tree --all -k 1 --paths)" = "${lines[0]#*$'\t'}" ] || fail_with "the best changed with -k"
}

@test "--all takes images too, and refuses what it cannot mean" {
    try search boat --add "$photos/a.jpg" --all --paths
    expect_status 0
    [ "${#lines[@]}" -eq 4 ] || fail_with "expected four lines"
    try search boat --add 0.5:tree --all
    expect_status 2
    expect_in_stderr "every term must match"
    try search boat --subtract tree --all
    expect_status 2
}

@test "--templates asks in many sentences, once" {
    cp -r "$TINY_MODEL" brief
    export CLIPSEARCH_DB="$PWD/brief.db"
    clipsearch index --quiet --model ./brief "$photos"
    try search boat --templates imagenet80
    expect_status 0
    local ensemble="$output"
    try search boat
    [ "$output" != "$ensemble" ] || fail_with "the sentences changed nothing"
    rm -r brief
    try search boat --templates imagenet80
    expect_status 0
    expect_output "$ensemble"
    try search boat --templates simple7
    expect_status 2
}

@test "--templates none is the word alone; a file's sentences are read, and need a gap" {
    try search boat
    local plain="$output"
    try search boat --templates none
    expect_output "$plain"
    printf 'a {} at sea\nmy {}\n' >sentences
    try search boat --templates sentences
    expect_status 0
    [ "$output" != "$plain" ] || fail_with "the sentences changed nothing"
    printf 'no gap\n' >sentences
    try search boat --templates sentences
    expect_status 2
    expect_in_stderr "line 1"
    try search boat --templates nosuch
    expect_status 2
    expect_in_stderr "nosuch"
}

@test "--sort orders what is shown and chooses nothing" {
    try search boat -k 4 --sort date
    expect_status 0
    [ "$(names)" = "b.jpg c.jpg a.jpg d.jpg " ] || fail_with "order: $(names)"
    try search boat --sort path
    [ "$(names)" = "a.jpg b.jpg c.jpg d.jpg " ] || fail_with "order: $(names)"
    try search boat -k 2
    local best; best="$(names | tr ' ' '\n' | sort)"
    try search boat -k 2 --sort path
    [ "$(names | tr ' ' '\n' | sort)" = "$best" ] || fail_with "other photos were chosen"
    try similar "$photos/a.jpg" --sort date
    [ "$(names)" = "b.jpg c.jpg d.jpg " ] || fail_with "order: $(names)"
}

@test "--json tells the relevance of words, and null where it is not known" {
    try_pipe 'clipsearch search boat --json | jq -e "(.relevance >= 0) and (.relevance <= 1)"'
    expect_status 0
    try_pipe "clipsearch search boat --add '$photos/a.jpg' --json | jq -es 'all(has(\"relevance\") and .relevance == null)'"
    expect_status 0
    try_pipe "clipsearch similar '$photos/a.jpg' --json | jq -es 'all(.relevance == null)'"
    expect_status 0
}

@test "a question that was asked before needs no model for --json, and says that its relevance is not known" {
    cp -r "$TINY_MODEL" brief
    export CLIPSEARCH_DB="$PWD/brief.db"
    clipsearch index --quiet --model ./brief "$photos"
    clipsearch search boat >/dev/null
    mv brief away
    try_pipe 'clipsearch search boat --json | jq -es "length == 4 and all(.relevance == null)"'
    expect_status 0
    mv away brief
    clipsearch search boat --json >first
    mv brief away
    try search boat --json
    [ "$output" = "$(cat first)" ] || fail_with "other relevance from memory"
    jq -e '.relevance > 0' first >/dev/null || fail_with "no relevance"
}

@test "--cut keeps what is relevant and nothing else" {
    clipsearch search boat --json | jq -r .relevance | sort -rn >relevances
    local second; second=$(awk 'NR == 2 { print 0.99 * $1 }' relevances) # a little less, for they are printed rounded
    try search boat --min-relevance "$second" --json
    expect_status 0
    [ "${#lines[@]}" -eq "$(awk -v b="$second" '$1 >= b' relevances | wc -l)" ] || fail_with "wrong number: $(cat relevances)"
    try search boat --min-relevance 0
    [ "${#lines[@]}" -eq 4 ] || fail_with "expected four lines"
    try search boat --min-relevance 0 -k 3
    [ "${#lines[@]}" -eq 3 ] || fail_with "expected three lines"
    try search boat --min-relevance 1
    expect_status 1
    expect_output ""
    expect_in_stderr "nothing relevant"
    clipsearch search boat --json | jq -e 'select(.relevance >= 0.25)' >kept || true
    run clipsearch search boat --cut
    [ "$status" -eq "$([ -s kept ] && echo 0 || echo 1)" ] || fail_with "--cut and relevance disagree"
    try search boat --add "$photos/a.jpg" --cut
    expect_status 2
    expect_in_stderr "questions of words"
}

@test "a question is kept, asked again with more options, listed and let go" {
    try search quiet evening -k 3 --save calm
    expect_status 0
    local three="$output"
    try search @calm
    expect_output "$three"
    try search @calm --after 2022-06
    [ "$(names)" = "b.jpg " ] || fail_with "filter: $(names)"
    try search tree --save=bark --sort path
    try search --saved
    expect_output "bark"$'\t'"tree --sort path"$'\n'"calm"$'\t'"quiet evening -k 3"
    try_pipe 'clipsearch search --saved --json | jq -r "select(.name == \"calm\").arguments | join(\"|\")"'
    expect_output "quiet|evening|-k|3"
    try search --unsave calm
    expect_status 0
    try search @calm
    expect_status 2
    expect_in_stderr "no saved search"
    try search --unsave calm
    expect_status 2
    try search --unsave bark
    try search --saved
    expect_status 1
}

@test "text:@name is words" {
    try search text:@calm
    expect_status 0
    [ "${#lines[@]}" -eq 4 ] || fail_with "expected four lines"
}

@test "several models: the mean of their scores, of the photos that both know" {
    "$MAKE_MODEL" other 7
    clipsearch index --quiet --model ./other "$photos"
    photo e.jpg 5
    indexed # not with the other one
    clipsearch search boat --json --model "$TINY_MODEL" | table >one
    clipsearch search boat --json --model other | table >two
    [ "$(wc -l <one)" -eq 5 ] && [ "$(wc -l <two)" -eq 4 ] || fail_with "not the libraries that were meant"
    join one two | awk '{print $1, ($2 + $3) / 2}' >mean
    clipsearch search boat --json --model "$TINY_MODEL" --model other | table >both
    [ "$(wc -l <both)" -eq 4 ] || fail_with "expected four photos"
    join mean both | awk '{d = $2 - $3; if (d < -1.5 || d > 1.5) exit 1}' || fail_with "not the mean: $(join mean both)"
    try similar "$photos/a.jpg" --model "$TINY_MODEL" --model other --paths
    expect_status 0
    [ "${#lines[@]}" -eq 3 ] || fail_with "expected the three others"
    try search boat --add tree --all --model "$TINY_MODEL" --model other -k 2 --json
    expect_status 0
    [ "$(jq -s 'map(.relevance >= 0) | all' <<<"$output")" = true ] || fail_with "no relevance"
}

@test "one model twice, and several for a command that takes one, are refused" {
    try search boat --model "$TINY_MODEL" --model tiny
    expect_status 2
    expect_in_stderr "one model"
    try status --model "$TINY_MODEL" --model other
    expect_status 2
    expect_in_stderr "one --model"
}

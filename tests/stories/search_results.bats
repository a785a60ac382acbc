#!/usr/bin/env bats
# What a search prints: lines, paths, JSON, order, numbers, filters.
load helpers

story_setup() {
    photo beach/a.jpg 1 --taken "2023:07:14 18:30:00" --camera "Pentax K1" --gps 52.5200,13.4100
    photo beach/b.jpg 2 120 160 --taken "2023:08:01 09:00:00" --camera "Nikon D5"
    photo hill/c.jpg 3 200 200 --taken "2021:01:02 03:04:05" --gps -33.8600,151.2100
    photo hill/d.png 4 --png
    photo hill/e.jpg 5 400 300
    touch -d "2019-05-06 07:08:09 UTC" "$photos/hill/e.jpg"
    touch -d "2020-02-03 UTC" "$photos/hill/d.png"
    indexed
}

names() { awk -F/ '{print $NF}' <<<"$output" | tr '\n' ' '; }

@test "a line is score, tab, absolute path; the best first" {
    try search a quiet evening
    expect_status 0
    [ "${#lines[@]}" -eq 5 ] || fail_with "expected five lines"
    [ -z "$stderr" ] || fail_with "spoke on stderr"
    local line last=2
    for line in "${lines[@]}"; do
        [[ "$line" =~ ^-?[01]\.[0-9]{4}$'\t'/ ]] || fail_with "line: $line"
        [ -f "${line#*$'\t'}" ] || fail_with "no such file: $line"
        awk -v a="$last" -v b="${line%%$'\t'*}" 'BEGIN { exit !(a >= b) }' || fail_with "not in order"
        last=${line%%$'\t'*}
    done
}

@test "words are one text, with or without quotes" {
    try search a quiet evening
    local apart="$output"
    try search "a quiet evening"
    expect_output "$apart"
    try search -- a quiet evening
    expect_output "$apart"
    try search a -k 10 quiet --in / evening
    expect_output "$apart"
}

@test "the second time a text is asked, the model is not needed and the answer is the same" {
    # A copy that may vanish: other stories use the original at the same time.
    cp -r "$TINY_MODEL" brief
    clipsearch index --quiet --model ./brief "$photos"
    try search something new
    local first="$output"
    rm -r brief
    try search something new
    expect_status 0
    expect_output "$first"
}

@test "-k says how many, 0 is all" {
    try search x -k 2
    [ "${#lines[@]}" -eq 2 ] || fail_with "expected two lines"
    local two="$output"
    try search x -k 0
    [ "${#lines[@]}" -eq 5 ] || fail_with "expected five lines"
    [ "${lines[0]}"$'\n'"${lines[1]}" = "$two" ] || fail_with "the first two differ"
    try search x -k 1000000
    [ "${#lines[@]}" -eq 5 ] || fail_with "expected five lines"
    local wrong
    for wrong in "-k -1" "-k 99999999999" "--min-relevance -1" "--min-relevance 1.5" "--in="; do
        # shellcheck disable=SC2086 # an option and its value
        try search x $wrong
        expect_status 2
        [ -z "$output" ] || fail_with "$wrong was taken"
    done
}

@test "--min-score leaves out the rest, and nothing found is status 1" {
    try search x
    local best=${lines[0]%%$'\t'*}
    try search x --min-score 0.9999
    expect_status 1
    expect_output ""
    expect_in_stderr "nothing found"
    try search x --min-score 0.9999 -q
    [ -z "$stderr" ] || fail_with "quiet spoke"
    try search x --min-score "$(awk -v s="$best" 'BEGIN { print s - 0.0001 }')"
    expect_status 0
}

@test "--json has the promised fields on every line" {
    try_pipe "clipsearch search x --json | jq -c '[keys_unsorted[]]' | sort -u"
    expect_output '["score","relevance","path","width","height","format","taken","camera","latitude","longitude","size","modified","reason"]'
    try_pipe "clipsearch search x --json | jq -r 'select(.path | endswith(\"a.jpg\")) | [.width, .height, .format, .taken, .camera, .latitude, .longitude] | @csv'"
    expect_output '160,120,"jpeg","2023-07-14 18:30:00","Pentax K1",52.52,13.41'
    try_pipe "clipsearch search x --json | jq -r 'select(.path | endswith(\"e.jpg\")) | [.taken, .camera, .latitude, .modified] | tostring'"
    expect_output '[null,null,null,"2019-05-06 07:08:09"]'
    try_pipe "clipsearch search x --json | jq -r 'select(.path | endswith(\"d.png\")) | .format'"
    expect_output png
}

@test "scores are the same in text and in JSON" {
    # JSON has more digits; rounding them once more may differ by one in the last.
    try_pipe "paste <(clipsearch search x | cut -f1) <(clipsearch search x --json | jq .score) |
        awk 'NF != 2 || (\$1 - \$2) ^ 2 > 0.00006 ^ 2 { exit 1 } END { exit NR < 5 }'"
    expect_status 0
}

@test "--paths and -0 print paths alone" {
    try_pipe "diff <(clipsearch search x | cut -f2) <(clipsearch search x --paths)"
    expect_status 0
    try_pipe "diff <(clipsearch search x --paths) <(clipsearch search x -0 | tr '\0' '\n')"
    expect_status 0
    try_pipe "clipsearch search x -0 | tr -cd '\0' | wc -c"
    expect_output 5
}

@test "--in keeps to a folder, however it is written" {
    try search x --in "$photos/beach" --paths
    [ "${#lines[@]}" -eq 2 ] || fail_with "expected two"
    local both="$output"
    cd "$photos/hill"
    try search x --in ../beach/ --paths
    expect_output "$both"
    ln -s "$photos/beach" "$BATS_TEST_TMPDIR/link"
    try search x --in "$BATS_TEST_TMPDIR/link" --paths
    expect_output "$both"
    try search x --in "$photos/beach" --in "$photos/hill" --paths
    [ "${#lines[@]}" -eq 5 ] || fail_with "expected five"
}

@test "--in with a folder that was never indexed finds nothing and says why" {
    mkdir elsewhere
    try search x --in elsewhere
    expect_status 1
    expect_in_stderr "in no folder that was indexed is"
    mkdir "$photos/empty"
    try search x --in "$photos/empty"
    expect_status 1
    [[ "$stderr" != *"no folder that was indexed"* ]] || fail_with "wrong reason"
    expect_in_stderr "no photo that can be searched is in $photos/empty"
}

@test "a mistyped folder of --in is named, with the one that was meant" {
    try search x --in "$photos/baech"
    expect_status 1
    expect_in_stderr "is in $photos/baech; did you mean $photos/beach?"
    try search x --in "$photos/hlil/2023/June"
    expect_in_stderr "did you mean $photos/hill?"
    try search x --in "${photos%?}/beach"
    expect_in_stderr "did you mean $photos?"
    try search x --in "$photos/quite-another"
    [[ "$stderr" != *"did you mean"* ]] || fail_with "nothing is near"
    try search x --in "$photos/beach" --in "$photos/hlil" --paths
    expect_status 0
    [ "${#lines[@]}" -eq 2 ] || fail_with "expected two"
    expect_in_stderr "did you mean $photos/hill?"
}

@test "a condition that no photo satisfies is named" {
    try search x --camera nosuch --after 1990 --tag unheard
    expect_status 1
    expect_in_stderr "no photo satisfies --camera nosuch"
    expect_in_stderr "no photo satisfies --tag unheard; \`clipsearch tag --list\` shows the tags"
    [[ "$stderr" != *"--after"* ]] || fail_with "photos satisfy that"
    try search x --format gif --min-size 100000 --quiet
    expect_status 1
    [ -z "$stderr" ] || fail_with "quiet"
}

@test "dates: the camera's, else the file's; after is inclusive and before is not" {
    try search x --after 2023-07-14 --before 2023-07-15 --paths
    [ "$(names)" = "a.jpg " ] || fail_with "day"
    try search x --after 2023-07 --before 2023-08 --paths
    [ "$(names)" = "a.jpg " ] || fail_with "month"
    try search x --before 2020 --paths
    [ "$(names)" = "e.jpg " ] || fail_with "file's date"
    try search x --after 2023-08-01 --paths
    [ "$(names)" = "b.jpg " ] || fail_with "inclusive"
    try search x --before 2019-05-06
    expect_status 1
}

@test "camera, place, format, shape and size" {
    try search x --camera pentax --paths
    [ "$(names)" = "a.jpg " ] || fail_with "camera"
    try search x --near 52.5,13.4 --paths
    [ "$(names)" = "a.jpg " ] || fail_with "near"
    try search x --near 52.5,13.4,20000 --paths
    [ "${#lines[@]}" -eq 2 ] || fail_with "the other side of the world"
    try search x --near 48,2,5
    expect_status 1
    try search x --format png --paths
    [ "$(names)" = "d.png " ] || fail_with "format"
    try search x --format jpg --paths
    [ "${#lines[@]}" -eq 4 ] || fail_with "jpg is jpeg"
    try search x --orientation portrait --paths
    [ "$(names)" = "b.jpg " ] || fail_with "portrait"
    try search x --orientation square --paths
    [ "$(names)" = "c.jpg " ] || fail_with "square"
    try search x --min-size 400 --paths
    [ "$(names)" = "e.jpg " ] || fail_with "size"
}

@test "filters act inside the search: the only match comes back for -k 1, however bad it scores" {
    local worst
    worst=$(clipsearch search x --paths | tail -n 1)
    try search x -k 1 --in "$worst" --paths
    expect_output "$worst"
}

@test "similar: the same picture elsewhere is best, and the example itself is left out" {
    cp "$photos/beach/a.jpg" "$BATS_TEST_TMPDIR/example.jpg"
    try similar "$BATS_TEST_TMPDIR/example.jpg" --paths -k 1
    expect_output "$photos/beach/a.jpg"
    try similar "$photos/beach/a.jpg" --paths
    expect_not_in_output "a.jpg"
    [ "${#lines[@]}" -eq 4 ] || fail_with "expected the four others"
    ln -s "$photos/beach/a.jpg" link.jpg
    try similar link.jpg --paths
    expect_not_in_output "a.jpg"
    cp "$photos/beach/a.jpg" "$photos/copy.jpg"
    indexed
    try similar "$photos/beach/a.jpg" --paths -k 1
    expect_output "$photos/copy.jpg"
}

@test "similar works with a photo of the library whose file is gone, and reads one from a pipe" {
    cp "$photos/beach/a.jpg" kept.jpg
    rm "$photos/beach/a.jpg"
    try similar "$photos/beach/a.jpg" --paths -k 2
    expect_status 0
    try_pipe "clipsearch similar - --paths -k 1 <kept.jpg"
    expect_output "$photos/beach/a.jpg"
    try_pipe "cat kept.jpg | clipsearch similar - --paths -k 1"
    expect_output "$photos/beach/a.jpg"
    try_pipe "clipsearch similar <(cat kept.jpg) --paths -k 1"
    expect_output "$photos/beach/a.jpg"
}

@test "similar with what is no photo says so" {
    echo "not a photo" >note.jpg
    try similar note.jpg
    expect_status 2
    expect_in_stderr "note.jpg"
    try similar gone.jpg
    expect_status 2
    expect_in_stderr "No such file"
    try similar "$photos"
    expect_status 2
    expect_in_stderr "is a folder"
    try_pipe "clipsearch similar - </dev/null"
    expect_status 2
    expect_in_stderr "standard input"
}

@test "images and words add up; weights count; what cancels is refused" {
    cp "$photos/beach/a.jpg" a.jpg
    try search ./a.jpg --paths -k 1
    expect_output "$photos/beach/a.jpg"
    try search x --add 50:./a.jpg --paths -k 1
    expect_output "$photos/beach/a.jpg"
    try search x --subtract 50:./a.jpg --paths
    [ "$(tail -n 1 <<<"$output")" = "$photos/beach/a.jpg" ] || fail_with "subtracted is not last"
    try search x --subtract x
    expect_status 2
    expect_in_stderr "cancel"
    try search --add x -k 1
    expect_status 0
}

@test "a score is a cosine whatever the number of terms" {
    try search x --add y --add z --add 3:w -k 0
    awk '{ if ($1 > 1 || $1 < -1) exit 1 }' <<<"$output" || fail_with "out of range"
    try search "$photos/hill/c.jpg" -k 1
    [[ "$output" == [01].* ]] && awk '{ exit !($1 > 0.999) }' <<<"$output" || fail_with "not one"
}

@test "a photo that is missing is not shown, and comes back with its file" {
    mv "$photos/beach/a.jpg" away.jpg
    indexed
    try search x --paths
    [ "${#lines[@]}" -eq 4 ] || fail_with "expected four"
    expect_not_in_output "a.jpg"
    mv away.jpg "$photos/beach/a.jpg"
    indexed
    try search x --paths
    [ "${#lines[@]}" -eq 5 ] || fail_with "expected five"
}

@test "equal scores are ordered by path" {
    local i
    for i in 3 1 2; do cp "$photos/hill/c.jpg" "$photos/hill/copy$i.jpg"; done
    indexed
    try_pipe "clipsearch search x --paths | grep -e copy -e c.jpg"
    expect_output "$photos/hill/c.jpg
$photos/hill/copy1.jpg
$photos/hill/copy2.jpg
$photos/hill/copy3.jpg"
}

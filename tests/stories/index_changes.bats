# index_changes.bats: the library follows what happens to the photos.
load helpers

story_setup() { export CLIPSEARCH_MODEL="$TINY_MODEL"; for n in 1 2 3; do photo "$n.jpg" $n; done; photo "trip/4.jpg" 4; }

# counts '"new":4' ...: indexes and expects these fields in the summary; every fate that is not named must be 0.
counts() {
    try index --json "${folders[@]}"
    local summary fate
    summary=$(tail -n 1 <<<"$output")
    expect_status 0
    for fate in new changed moved returned missing failed reembedded; do
        [[ "$*" == *"\"$fate\""* ]] || set -- "$@" "\"$fate\":0"
    done
    for fate in "$@"; do [[ "$summary" == *"$fate"[,}]* ]] || fail_with "expected $fate"; done
}

first() { folders=("$photos"); counts '"new":4'; folders=(); }

@test "a first run says what it found" {
    try index "$photos"
    expect_status 0
    expect_in_output "4 new"
}

@test "an indexed photo is found by itself" {
    first
    try similar "$photos/2.jpg" --json
    expect_status 0
    expect_not_in_output "/2.jpg"
    [ "${#lines[@]}" -eq 3 ] || fail_with "expected the three others"
}

@test "an unchanged run decodes nothing" {
    first
    counts '"unchanged":4' '"encoded":0'
}

@test "a renamed photo is moved and not decoded" {
    first
    mv "$photos/1.jpg" "$photos/trip/first.jpg"
    counts '"unchanged":3' '"moved":1' '"encoded":0'
    try similar "$photos/trip/first.jpg" --paths
    expect_status 0
}

@test "a copy is new and not decoded" {
    first
    cp "$photos/1.jpg" "$photos/copy.jpg"
    counts '"unchanged":4' '"new":1' '"encoded":0'
}

@test "a changed photo is read again" {
    first
    photo 1.jpg 99
    counts '"unchanged":3' '"changed":1' '"encoded":1'
}

@test "a deleted photo is missing, is not found, and returns unread" {
    first
    mv "$photos/1.jpg" "$BATS_TEST_TMPDIR/aside"
    counts '"unchanged":3' '"missing":1'
    try similar "$photos/2.jpg" --paths
    expect_not_in_output "/1.jpg"
    mv "$BATS_TEST_TMPDIR/aside" "$photos/1.jpg"
    counts '"unchanged":3' '"returned":1' '"encoded":0'
    try similar "$photos/2.jpg" --paths
    expect_in_output "/1.jpg"
}

@test "a dry run changes nothing" {
    first
    photo 5.jpg 5
    rm "$photos/1.jpg"
    try index --dry-run
    expect_status 0
    expect_in_output "1 new"
    expect_in_output "1 missing"
    counts '"unchanged":3' '"new":1' '"missing":1'
}

@test "every file's fate is one JSON line" {
    first
    photo 5.jpg 5
    mv "$photos/2.jpg" "$photos/two.jpg"
    echo broken >"$photos/6.jpg"
    try index --json
    expect_in_output "{\"event\":\"new\",\"path\":\"$photos/5.jpg\"}"
    expect_in_output "{\"event\":\"moved\",\"path\":\"$photos/two.jpg\"}"
    expect_in_output "{\"event\":\"failed\",\"path\":\"$photos/6.jpg\",\"reason\":\""
    [ "${#lines[@]}" -eq 4 ] || fail_with "expected four lines"
}

@test "what is left out stays out" {
    photo .hidden.jpg 5; photo skip/5.jpg 5; photo media/6.jpg 6; touch "$photos/media/.nomedia"
    photo ignored/7.jpg 7; echo "ignored/" >"$photos/.ignore"; photo @eaDir/8.jpg 8
    folders=(--exclude skip/ --exclude '*4.jpg' "$photos")
    counts '"new":3'
    folders=(--hidden)
    counts '"new":3' '"unchanged":3' # .hidden.jpg, skip/5.jpg, trip/4.jpg
}

@test "odd names are photos too" {
    photo $'new\nline.jpg' 5; photo ' space .jpg' 6; photo $'\xff\xfe.jpg' 7; photo '-n.jpg' 8; photo "it's \"quoted\".jpg" 9
    folders=("$photos")
    counts '"new":9'
    expect_in_output '"path_base64"'
    folders=()
    counts '"unchanged":9'
    try similar "$photos/ space .jpg" -k 20 -0
    expect_status 0
}

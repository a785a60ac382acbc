# index_broken.bats: bad files stop nobody.
load helpers

story_setup() { export CLIPSEARCH_MODEL="$TINY_MODEL"; }

summary() { tail -n 1 <<<"$output"; }

@test "broken files are named with their reasons, remembered, and tried again when they change" {
    photo good.jpg 1
    echo "<html>" >"$photos/page.jpg"
    : >"$photos/empty.png"
    printf '\xff\xd8\xff\xe0garbage' >"$photos/garbage.jpg"
    try index "$photos"
    expect_status 0
    expect_in_output "1 new, 3 failed"
    expect_in_stderr "page.jpg: "
    expect_in_stderr "empty.png: the file is empty"
    expect_in_stderr "garbage.jpg: "
    try index --json
    [[ "$(summary)" == *'"failed":0'*'"still_failed":3'* ]] || fail_with "expected three that failed before"
    try status --failed
    expect_in_output "garbage.jpg"
    photo garbage.jpg 2
    try index --json
    [[ "$(summary)" == *'"changed":1'*'"still_failed":2'* ]] || fail_with "expected one that was mended"
}

@test "a truncated photo is indexed from what is there and flagged" {
    photo whole.jpg 1 640 480
    head -c $(($(stat -c %s "$photos/whole.jpg") * 6 / 10)) "$photos/whole.jpg" >"$photos/cut.jpg"
    try index --json "$photos"
    expect_status 0
    [[ "$(summary)" == *'"new":2'*'"truncated":1'* ]] || fail_with "expected one truncated photo"
    try similar "$photos/whole.jpg" --paths
    expect_in_output "cut.jpg"
}

@test "pipes, sockets and devices are left alone" {
    photo good.jpg 1
    mkfifo "$photos/pipe.jpg"
    ln -s /dev/zero "$photos/zero.jpg"
    try index --json --follow-symlinks "$photos"
    expect_status 0
    [[ "$(summary)" == *'"new":1'*'"failed":0'* ]] || fail_with "expected one photo"
}

@test "loops of symbolic links end" {
    photo a/good.jpg 1
    ln -s .. "$photos/a/up"
    ln -s self "$photos/self"
    try index --json --follow-symlinks "$photos"
    expect_status 0
    [[ "$(summary)" == *'"new":1'* ]] || fail_with "expected one photo"
}

#!/usr/bin/env bats
# Names that are not plain text: spaces, quotes, new lines, escape sequences, bytes that are not UTF-8.
load helpers

story_setup() {
    newline=$'new\nline.jpg'
    escape=$'red\e[31m.jpg'
    latin1=$'caf\xe9.jpg'
    photo "a b.jpg" 1
    photo "it's.jpg" 2
    photo "$newline" 3
    photo "$escape" 4
    photo "$latin1" 5
    photo "日本.jpg" 6
    photo "-rf.jpg" 7
    indexed
}

@test "a pipe gets the bytes of every name, and -0 parts them" {
    try_pipe "clipsearch search x -0 | tr '\0' '|' | tr '|' '\0' | xargs -0 -n1 test -f"
    expect_status 0
    try_pipe "clipsearch search x -0 | sort -z | xargs -0 -n1 basename -z | od -An -c | tr -d ' \n'"
    [[ "$output" == *'new\nline.jpg\0'* ]] || fail_with "new line"
    [[ "$output" == *'caf351.jpg\0'* ]] || fail_with "latin-1"
    [[ "$output" == *'red033[31m.jpg\0'* ]] || fail_with "escape"
}

@test "a terminal gets them quoted as ls does" {
    on_terminal search x
    expect_in_output "	'$photos/a b.jpg'"
    expect_in_output "	\"$photos/it's.jpg\""
    expect_in_output "	'$photos/new'\$'\\n''line.jpg'"
    expect_in_output "	'$photos/red'\$'\\033''[31m.jpg'"
    expect_in_output "	'$photos/caf'\$'\\351''.jpg'"
    expect_in_output "	$photos/日本.jpg"
    [ "${#lines[@]}" -eq 7 ] || fail_with "a line a photo"
}

@test "-0 is raw on a terminal too" {
    on_terminal search x -0
    expect_in_output "$photos/a b.jpg"
    expect_not_in_output "'$photos/a b.jpg'"
}

@test "JSON has path, or path_base64 where the name is not UTF-8" {
    try_pipe "clipsearch search x --json | jq -r 'select(.path_base64) | .path_base64' | base64 -d"
    [ "$output" = "$photos/$latin1" ] || fail_with "base64"
    try_pipe "clipsearch search x --json | jq -c 'select(.path) | .path' | wc -l"
    expect_output 6
    try_pipe "clipsearch search x --json | jq -r --arg p \"$photos/日本.jpg\" 'select(.path == \$p) | .format'"
    expect_output jpeg
    try_pipe "clipsearch search x --json | jq -c 'select(has(\"path\") == has(\"path_base64\"))'"
    expect_output ""
}

@test "odd names can be used as they are" {
    try similar "$photos/$latin1" -k 1 --paths
    expect_status 0
    cd "$photos"
    try similar -- -rf.jpg -k
    expect_status 2 # after -- everything is an operand
    try similar -k 1 --paths -- -rf.jpg
    expect_status 0
    try forget "$newline"
    expect_status 0
    try search x -0
    [[ "$output" != *"new"* ]] || fail_with "still there"
}

@test "an error names an odd file on one line" {
    printf 'x' >$'bad\nname.jpg'
    try similar $'bad\nname.jpg'
    expect_status 2
    expect_in_stderr "'bad'\$'\\n''name.jpg'"
}

@test "export survives odd names in every form" {
    try_pipe "clipsearch export | jq -c . | wc -l"
    expect_output 7
    try_pipe "clipsearch export --format csv | head -n 1 | cut -d, -f1-3"
    expect_output "path,path_base64,width"
    try_pipe "clipsearch export --format csv | grep -c '\"$photos/new\$'"
    expect_output 1
}

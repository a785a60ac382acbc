#!/usr/bin/env bats
# The file of settings: what stands there is as if typed, and what is typed wins.
load helpers

story_setup() {
    for i in 1 2 3 4; do photo "$i.jpg" "$i"; done
    indexed
    mkdir -p "$XDG_CONFIG_HOME/clipsearch"
    config="$XDG_CONFIG_HOME/clipsearch/config"
}

@test "a command's options are taken from its section, and typed ones win" {
    printf '# mine\n--threads 1\n\n[search]\n--top 2\n  --paths  \n[similar]\n-k 1\n' >"$config"
    try search x
    expect_status 0
    [ "${#lines[@]}" -eq 2 ] || fail_with "expected two"
    [ "${lines[0]:0:1}" = / ] || fail_with "expected paths"
    try search x -k 3
    [ "${#lines[@]}" -eq 3 ] || fail_with "expected three"
    try similar "$photos/1.jpg"
    [ "${#lines[@]}" -eq 1 ] || fail_with "expected one"
    try search x --no-config
    [ "${#lines[@]}" -eq 4 ] || fail_with "expected all"
    XDG_CONFIG_HOME=relative try search x
    [ "${#lines[@]}" -eq 4 ] || fail_with "a relative variable counts"
}

@test "what is wrong is told with file and line" {
    printf '[search]\n--tpo 2\n' >"$config"
    try search x
    expect_status 2
    expect_in_stderr "did you mean --top?"
    expect_in_stderr "$config, line 2"
    try status
    expect_status 0
    printf '\n[serach]\n' >"$config"
    try status
    expect_status 2
    expect_in_stderr "$config, line 2: there is no such command"
    printf 'top = 3\n' >"$config"
    try status
    expect_in_stderr "line 1: neither an option"
    printf '[search]\n--top many\n' >"$config"
    try search x
    expect_in_stderr "--top needs a whole number"
    printf '[search]\n--exec=rm\n' >"$config"
    try search x
    expect_status 2
    expect_in_stderr "cannot be a setting"
    head -c 100000 /dev/zero >"$config"
    try search x
    expect_status 2
    expect_in_stderr "no list of options"
    try search x --no-config
    expect_status 0
}

@test "a saved question does not take the settings with it" {
    printf '[search]\n--top 2\n' >"$config"
    try search x --save mine
    rm "$config"
    try search @mine
    [ "${#lines[@]}" -eq 4 ] || fail_with "expected all"
}

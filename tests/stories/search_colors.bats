#!/usr/bin/env bats
# Colours are for people: on a terminal, never in what another program reads, and never against NO_COLOR.
load helpers

story_setup() {
    photo "a b/1.jpg" 1
    indexed
    export TERM=xterm
    folder=$'\e[34m'
    off=$'\e[0m'
}

@test "on a terminal the score is dim and the folders are blue" {
    on_terminal search x
    [[ "$output" == $'\e[2m'*.????"$off"$'\t'"$folder'$photos/a b/${off}1.jpg'" ]] || fail_with "other colours"
    on_terminal search x --paths
    expect_output "$folder'$photos/a b/${off}1.jpg'"
}

@test "a pipe, NO_COLOR, a dumb terminal and --color never get none" {
    try search x
    expect_not_in_output $'\e'
    NO_COLOR=1 on_terminal search x
    expect_not_in_output $'\e'
    TERM=dumb on_terminal search x
    expect_not_in_output $'\e'
    on_terminal search x --color never
    expect_not_in_output $'\e'
    NO_COLOR= on_terminal search x
    expect_in_output $'\e'
}

@test "--color always colours a pipe too, but neither JSON nor -0" {
    NO_COLOR=1 try --color always search x --paths
    expect_output "$folder$photos/a b/${off}1.jpg"
    try search x --color=always --json
    expect_not_in_output $'\e'
    try_pipe 'clipsearch search x --color=always -0 | tr "\0" "\n"'
    expect_output "$photos/a b/1.jpg"
    mkdir -p "$XDG_CONFIG_HOME/clipsearch"
    echo "--color always" >"$XDG_CONFIG_HOME/clipsearch/config"
    try search x
    expect_in_output $'\e'
    try search x --color pink
    expect_status 2
    expect_in_stderr "auto|always|never"
}

# index_roots.bats: drives come and go.
load helpers

story_setup() { export CLIPSEARCH_MODEL="$TINY_MODEL"; }

drive() { mkdir -p "$1"; for n in 1 2 3 4; do "$MAKE_PHOTO" "$1/$n.jpg" $n; done; }

last() { summary=$(tail -n 1 <<<"$output"); [[ "$summary" == *"$1"* ]] || fail_with "expected $1"; }

@test "an unplugged drive marks nothing and is told" {
    drive media/stick
    try index media/stick
    mv media/stick media/away
    try index --json
    expect_status 0
    expect_in_stderr "unplugged"
    last '"missing":0'
    last '"roots_absent":1'
    try search "anything" --paths
    expect_status 0
    mv media/away media/stick
    try index --json
    last '"unchanged":4'
}

@test "an empty mount point is an unplugged drive" {
    drive media/stick
    try index media/stick
    mv media/stick media/away
    mkdir media/stick
    try index --json media/stick
    expect_status 0
    expect_in_stderr "not mounted"
    last '"missing":0'
}

@test "a drive that is mounted elsewhere is recognised" {
    drive media/stick
    try index media/stick
    mv media/stick media/other
    try index --json media/other
    expect_status 0
    expect_in_stderr "not read again"
    last '"unchanged":4'
    last '"encoded":0'
    try search "anything" --paths
    expect_in_output "media/other/1.jpg"
    expect_not_in_output "media/stick"
}

@test "overlapping folders hold a photo once" {
    drive a/b
    try index --json a/b a
    last '"new":4'
    try index --json a/b
    last '"unchanged":4'
    try search "anything" --paths -k 20
    [ "${#lines[@]}" -eq 4 ] || fail_with "expected four photos"
}

@test "a folder that does not exist is an error that names it" {
    try index "$BATS_TEST_TMPDIR/no such"
    expect_status 2
    expect_in_stderr "no such"
}

@test "nothing indexed yet and no folder named: what to type" {
    try index
    expect_status 2
    expect_in_stderr "clipsearch index ~/Pictures"
}

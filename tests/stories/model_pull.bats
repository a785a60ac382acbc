# model_pull.bats: a model from a hub, whatever the hub and the line do. The hub is hub_server, on the loopback.
load helpers

story_setup() {
    unset HF_TOKEN HF_HOME HF_HUB_CACHE http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
    export no_proxy=127.0.0.1,localhost
    hub="$BATS_TEST_TMPDIR/hub"
    mkdir -p "$hub/maker"
    cp -r "$TINY_MODEL" "$hub/maker/tiny"
    models="$XDG_DATA_HOME/clipsearch/models"
    weights=open_clip_model.safetensors
    size=$(stat -c %s "$hub/maker/tiny/$weights")
}

# serve [RULE...]: starts the hub.
serve() {
    [ -z "$hub_fifo" ] || { exec 7>&-; rm -f "$hub/port" "$hub_fifo"; wait "$hub_pid" 2>/dev/null || :; }
    printf '%s\n' "$@" >"$hub/rules"
    : >"$hub/log"
    hub_fifo="$hub/life"
    mkfifo "$hub_fifo"
    "$HUB_SERVER" "$hub" <"$hub_fifo" >/dev/null 2>&1 3>&- &
    hub_pid=$!
    exec 7>"$hub_fifo"
    for _ in $(seq 100); do [ -f "$hub/port" ] && break; sleep 0.05; done
    export HF_ENDPOINT="http://127.0.0.1:$(cat "$hub/port")"
}

teardown() { exec 7>&- || :; }

whole() {
    for f in "$TINY_MODEL"/*; do
        cmp "$f" "$models/maker/tiny/$(basename "$f")" || fail_with "expected the files of the hub"
    done
    [ ! -e "$models/maker/tiny.partial" ] || fail_with "expected no partial folder"
    [ "$(ls "$models/maker/tiny" | sort)" = "$(ls "$TINY_MODEL" | sort)" ] || fail_with "expected the model's files alone"
}

nothing_there() { [ ! -e "$models/maker/tiny" ] || fail_with "expected no model"; }

@test "a pulled model is whole and can be used by its name" {
    serve
    try model pull hf:maker/tiny
    expect_status 0
    expect_output ""
    whole
    photo 1.jpg 1
    try index --quiet --model maker/tiny "$photos"
    expect_status 0
    try_pipe "clipsearch model list --json | jq -r 'select(.here and .photos == 1) | .name'"
    expect_output "maker/tiny"
    : >"$hub/log"
    try model pull hf:maker/tiny
    expect_status 0
    expect_in_stderr "here already"
    [ ! -s "$hub/log" ] || fail_with "expected no request"
}

@test "SigLIP's words come as pieces, or as a tokenizer.json" {
    "$MAKE_MODEL" "$hub/maker/siglip" 1 siglip
    cp -r "$hub/maker/siglip" "$hub/maker/json"
    rm "$hub/maker/json/spiece.model"
    cp "$TESTS/tokenizer/pieces_json/tokenizer.json" "$hub/maker/json/"
    serve
    for name in siglip json; do
        try model pull "hf:maker/$name"
        expect_status 0
        [ "$(ls "$models/maker/$name" | sort)" = "$(ls "$hub/maker/$name" | sort)" ] || fail_with "expected the files of the hub"
        try embed --text "a boat" --model "maker/$name" --json
        expect_status 0
    done
}

@test "--force fetches it again and replaces it" {
    serve
    try model pull hf:maker/tiny
    "$MAKE_MODEL" "$hub/maker/other" 2
    cp "$hub/maker/other/"* "$hub/maker/tiny/"
    try model pull --force hf:maker/tiny
    expect_status 0
    cmp "$hub/maker/tiny/$weights" "$models/maker/tiny/$weights"
    [ "$(ls "$models/maker")" = tiny ] || fail_with "expected nothing beside it"
}

@test "a broken connection is gone on with, not begun again" {
    serve "$weights 2 break 20000"
    try model pull hf:maker/tiny
    expect_status 0
    whole
    grep -q "$weights bytes=20000-" "$hub/log" || fail_with "expected the rest alone: $(cat "$hub/log")"
    grep -q "$weights bytes=40000-" "$hub/log" || fail_with "expected the rest alone: $(cat "$hub/log")"
}

@test "the next run goes on where a broken one stopped, at the same commit" {
    serve "$weights 1 break 20000" "$weights 1 status 403"
    try model pull hf:maker/tiny
    expect_status 2
    nothing_there
    [ "$(stat -c %s "$models/maker/tiny.partial/$weights.part")" = 20000 ] || fail_with "expected the part"
    try_pipe "clipsearch model list --json | jq -r 'select(.here) | .name' | grep partial"
    expect_output ""
    : >"$hub/log"
    try model pull hf:maker/tiny
    expect_status 0
    whole
    [ "$(cut -d ' ' -f 1,2 "$hub/log" | head -n 1)" = "$weights bytes=20000-" ] || fail_with "expected the rest alone: $(cat "$hub/log")"
}

@test "a file that changed since the break is fetched from its beginning" {
    serve "$weights 1 break 20000" "$weights 1 status 403"
    try model pull hf:maker/tiny
    "$MAKE_MODEL" "$hub/maker/other" 2
    cp "$hub/maker/other/$weights" "$hub/maker/tiny/"
    try model pull hf:maker/tiny
    expect_status 0
    cmp "$hub/maker/tiny/$weights" "$models/maker/tiny/$weights"
}

@test "a server that knows no ranges sends it all again" {
    serve "$weights 1 break 20000" "$weights 9 norange 0"
    try model pull hf:maker/tiny
    expect_status 0
    whole
}

@test "a server that falls silent is left and asked again" {
    serve "$weights 1 stall 20000"
    try model pull --timeout 1 hf:maker/tiny
    expect_status 0
    whole
}

@test "a server that stays silent is given up, with what to do" {
    serve "$weights 99 stall 0"
    try model pull --timeout 1 hf:maker/tiny
    expect_status 2
    expect_in_stderr "$weights"
    expect_in_stderr "goes on"
    nothing_there
}

@test "lengths that lie are found out" {
    serve "$weights 1 long 1000"
    try model pull hf:maker/tiny
    expect_status 0
    whole
    serve "$weights 99 short 1000"
    try model pull --force hf:maker/tiny
    expect_status 2
    expect_in_stderr "not what the hub describes"
    whole_as_before=$(ls "$models/maker/tiny" | wc -l)
    [ "$whole_as_before" -gt 0 ] || fail_with "expected the old model to stay"
}

@test "a wrong byte is found out, in large files and small ones" {
    serve "$weights 99 flip 0"
    try model pull hf:maker/tiny
    expect_status 2
    expect_in_stderr "not what the hub describes"
    nothing_there
    [ ! -e "$models/maker/tiny.partial/$weights" ] || fail_with "expected the wrong file to be gone"
    serve "vocab.json 99 flip 0" "tokenizer.json 99 flip 0"
    try model pull --force hf:maker/tiny
    expect_status 2
    expect_in_stderr "not what the hub describes"
}

@test "a redirect is followed, and the token stays with the hub" {
    serve "$weights 1 redirect 0" "$weights 1 break 20000" "$weights 1 redirect 0"
    HF_TOKEN=hf_secret try model pull hf:maker/tiny
    expect_status 0
    whole
    grep -q "$weights bytes=20000- hf_secret 127" "$hub/log" || fail_with "expected the token: $(cat "$hub/log")"
    grep -q "$weights bytes=20000- - localhost" "$hub/log" || fail_with "expected the rest from the other host: $(cat "$hub/log")"
    ! grep "localhost" "$hub/log" | grep -q hf_secret || fail_with "the token went to another host"
}

@test "redirects without end are left" {
    serve "open_clip_config.json 99 loop 0"
    try model pull hf:maker/tiny
    expect_status 2
    expect_in_stderr "redirect"
}

@test "404, 401 and 403 say what they mean" {
    serve
    try model pull hf:maker/nothing
    expect_status 2
    expect_in_stderr "$HF_ENDPOINT/maker/nothing/resolve/main/config.json"
    expect_in_stderr "404"
    serve "open_clip_config.json 99 status 401"
    try model pull hf:maker/tiny
    expect_status 2
    expect_in_stderr "401"
    expect_in_stderr "set HF_TOKEN"
    HF_TOKEN=wrong try model pull hf:maker/tiny
    expect_status 2
    expect_in_stderr "HF_TOKEN is not accepted"
}

@test "429 is waited for as long as the server asks, twice" {
    serve "vocab.json 2 status 429"
    try model pull hf:maker/tiny
    expect_status 0
    whole
    serve "$weights 99 status 429"
    try model pull --force hf:maker/tiny
    expect_status 2
    expect_in_stderr "429"
    [ "$(grep -c "$weights" "$hub/log")" = 3 ] || fail_with "expected three requests: $(cat "$hub/log")"
}

@test "what cannot be opened as a model is not kept" {
    head -c 100 "$TINY_MODEL/$weights" >"$hub/maker/tiny/$weights"
    serve
    try model pull hf:maker/tiny
    expect_status 2
    expect_in_stderr "cannot be used and was not kept"
    [ -z "$(ls -A "$models/maker")" ] || fail_with "expected nothing: $(ls -A "$models/maker")"
}

@test "a hub that is not there is no riddle" {
    HF_ENDPOINT=http://127.0.0.1:9 try model pull ViT-B/32
    expect_status 2
    expect_in_stderr "http://127.0.0.1:9/timm/vit_base_patch32_clip_224.openai/resolve/main/open_clip_config.json"
    try model pull ViT-B-31
    expect_status 2
    expect_in_stderr "no known model"
    for bad in hf:../x hf:a/.. hf:a/b/c hf:a hf:a/b@../../x 'hf:a/b@' 'hf:a/b?c' hf:/a/b; do
        try model pull "$bad"
        expect_status 2
        expect_in_stderr "no known model"
    done
}

@test "a full disk is told, and what is there is gone on from" {
    serve
    bash -c "ulimit -f 30; trap '' XFSZ; exec \"\$CLIPSEARCH\" model pull hf:maker/tiny" 2>message && fail_with "expected it to fail"
    grep -q "goes on from it" message || fail_with "expected a reason: $(cat message)"
    nothing_there
    try model pull hf:maker/tiny
    expect_status 0
    whole
    grep -q "$weights bytes=" "$hub/log" || fail_with "expected the rest alone: $(cat "$hub/log")"
}

# cached [FILE...]: what Hugging Face's programs would have left.
cached() {
    folder="$XDG_CACHE_HOME/huggingface/hub/models--maker--tiny"
    snapshot="$folder/snapshots/0123456789012345678901234567890123456789"
    mkdir -p "$folder/refs" "$snapshot"
    printf 0123456789012345678901234567890123456789 >"$folder/refs/main"
    cp "$@" "$snapshot/"
}

@test "a model in Hugging Face's cache is used from there" {
    cached "$TINY_MODEL"/*
    HF_ENDPOINT=http://127.0.0.1:9 try model pull hf:maker/tiny
    expect_status 0
    expect_in_stderr "$snapshot"
    [ "$(readlink "$models/maker/tiny/$weights")" = "$snapshot/$weights" ] || fail_with "expected a link"
    try model info maker/tiny
    expect_status 0
}

@test "a cache without the weights does not stand in for the hub" {
    cached "$TINY_MODEL/open_clip_config.json"
    serve
    try model pull hf:maker/tiny
    expect_status 0
    whole
}

@test "two pulls of one model do not meet" {
    serve "$weights 1 stall 20000"
    "$CLIPSEARCH" model pull --quiet --timeout 3 hf:maker/tiny 2>first &
    for _ in $(seq 100); do grep -q "$weights" "$hub/log" && break; sleep 0.05; done
    try model pull hf:maker/tiny
    expect_status 2
    expect_in_stderr "another clipsearch is fetching"
    wait $!
    whole
}

# sharded: the tiny model's weights as two files and an index.
sharded() {
    "$MAKE_MODEL" "$hub/maker/tiny" 1 shards
    rm "$hub/maker/tiny/$weights"
    index="$weights.index.json"
}

@test "a model in several files comes with all of them" {
    sharded
    serve "part-2.safetensors 1 break 5000"
    try model pull hf:maker/tiny
    expect_status 0
    grep -q "part-2.safetensors bytes=5000-" "$hub/log" || fail_with "expected the rest alone: $(cat "$hub/log")"
    cmp "$hub/maker/tiny/part-1.safetensors" "$models/maker/tiny/part-1.safetensors"
    try model info maker/tiny
    expect_status 0
    for bad in '../x.safetensors' 'a/b.safetensors' '.x.safetensors' 'x.bin' 'a?b.safetensors'; do
        printf '{"weight_map":{"a":"%s"}}' "$bad" >"$hub/maker/tiny/$index"
        serve
        try model pull --force hf:maker/tiny
        expect_status 2
        expect_in_stderr "does not say which files"
    done
}

@test "a repository with PyTorch's file alone, or several of them, is fetched and turned into safetensors" {
    rm -r "$hub/maker/tiny"
    mkdir "$hub/maker/tiny"
    cp "$TESTS/engine/models/hf_import_bf16/"*config.json "$TINY_MODEL/vocab.json" "$TINY_MODEL/merges.txt" "$hub/maker/tiny"
    cp "$TESTS/engine/torch/hf_bf16.bin" "$hub/maker/tiny/pytorch_model.bin"
    serve "pytorch_model.bin 1 break 5000"
    try model pull hf:maker/tiny
    expect_status 0
    [ -f "$models/maker/tiny/model.safetensors" ] || fail_with "expected safetensors"
    [ ! -e "$models/maker/tiny/pytorch_model.bin" ] || fail_with "expected the file to be gone"
    try model info maker/tiny
    expect_status 0
    cp "$models/maker/tiny/model.safetensors" whole.safetensors
    rm "$hub/maker/tiny/pytorch_model.bin"
    cp "$TESTS/engine/torch/shards/"* "$hub/maker/tiny"
    serve "pytorch_model-00002-of-00002.bin 1 break 5000"
    try model pull --force hf:maker/tiny
    expect_status 0
    cmp whole.safetensors "$models/maker/tiny/model.safetensors"
    [ -z "$(find "$models" -name 'pytorch_model*')" ] || fail_with "expected all of its files to be gone: $(find "$models")"
    rm "$hub/maker/tiny/pytorch_model.bin.index.json"
    try model pull --force hf:maker/tiny
    expect_status 2
    expect_in_stderr "no weights"
}

@test "a proxy is asked instead, unless no_proxy names the hub" {
    serve
    proxy="$HF_ENDPOINT"
    export HF_ENDPOINT=http://hub.invalid http_proxy="$proxy" no_proxy=
    try model pull hf:maker/tiny
    expect_status 0
    whole
    grep -q "$weights - - hub.invalid" "$hub/log" || fail_with "expected the proxy to be asked: $(cat "$hub/log")"
    : >"$hub/log"
    no_proxy=hub.invalid try model pull --force hf:maker/tiny
    expect_status 2
    expect_in_stderr "hub.invalid"
    [ ! -s "$hub/log" ] || fail_with "expected no request to the proxy"
}

@test "on a terminal, progress has a rate and the time left" {
    serve "$weights 1 slow 200"
    on_terminal model pull hf:maker/tiny
    [ "$status" -eq 0 ] || fail_with "expected it to come"
    [[ "$output" =~ $weights\ \ [0-9.]+\ [kM]?B\ of\ [0-9.]+\ [kM]?B,\ [0-9.]+\ [kM]?B/s,\ [0-9]+\ s\ left ]] || fail_with "expected progress"
    whole
    serve "$weights 1 slow 200"
    try model pull --force hf:maker/tiny
    [[ "$stderr" != *"left"* ]] || fail_with "expected no progress in a pipe"
}

@test "the cache is where HF_HUB_CACHE or HF_HOME say" {
    cached "$TINY_MODEL"/*
    mkdir elsewhere
    mv "$XDG_CACHE_HOME/huggingface/hub" elsewhere/hub
    HF_ENDPOINT=http://127.0.0.1:9 HF_HOME="$PWD/elsewhere" try model pull hf:maker/tiny
    expect_status 0
    expect_in_stderr "elsewhere/hub"
    HF_ENDPOINT=http://127.0.0.1:9 HF_HUB_CACHE="$PWD/elsewhere/hub" try model pull hf:maker/tiny@0123456789012345678901234567890123456789
    expect_status 0
    expect_in_stderr "elsewhere/hub"
}

@test "model list names what can be pulled" {
    try model list
    expect_status 0
    expect_in_output "ViT-L-14-336/openai (ViT-L/14@336px)   336   768  428 M   43.3   76.6 %    66.9 %  MIT"
    try_pipe "clipsearch model list --json | jq -c 'select(.name == \"ViT-B-32/openai\") | [.alias, .here, .dim, .image_size, .params, .cost, .imagenet, .flickr30k, .licence]'"
    expect_output '["ViT-B/32",false,512,224,151000000,1,63.32,58.8,"MIT"]'
    [ "$(clipsearch model list --json | jq -r 'select(.alias) | .alias' | sort | tr '\n' ' ')" = \
        "RN101 RN50 RN50x16 RN50x4 RN50x64 ViT-B/16 ViT-B/32 ViT-L/14 ViT-L/14@336px " ] || fail_with "expected OpenAI's nine"
}

@test "a known model that is here answers to both of its names" {
    mkdir -p "$models/ViT-L-14-336"
    cp -r "$TINY_MODEL" "$models/ViT-L-14-336/openai"
    try model list
    expect_in_output "66.9 %  MIT, here"
    try_pipe "clipsearch model list --json | jq -c 'select(.alias == \"ViT-L/14@336px\") | [.name, .here, .imagenet]'"
    expect_output '["ViT-L-14-336/openai",true,76.56]'
    for name in ViT-L-14-336/openai ViT-L/14@336px; do
        try model info "$name"
        expect_status 0
        expect_in_output "$models/ViT-L-14-336/openai"
    done
    try model info ViT-L/15@336px
    expect_status 2
}

# model_import.bats: models as PyTorch wrote them. The files are those of tests/engine/make_torch_files.py.
load helpers

story_setup() {
    unset HF_HOME HF_HUB_CACHE
    torch="$TESTS/engine/torch"
    models="$XDG_DATA_HOME/clipsearch/models"
    words="$BATS_TEST_TMPDIR/words"
    mkdir -p "$words"
    cp "$TINY_MODEL/vocab.json" "$TINY_MODEL/merges.txt" "$words"
}

nothing_left() { [ -z "$(find "$models" -type f 2>/dev/null)" ] || fail_with "expected nothing: $(find "$models")"; }

@test "an imported archive is a model that indexes and searches" {
    try model import "$torch/script_quick_f16.pt" --tokenizer "$words"
    expect_status 0
    expect_output ""
    expect_in_stderr "clipsearch index --model script_quick_f16"
    [[ "$stderr" != *"preprocess_cfg"* ]] || fail_with "expected no doubt about OpenAI's own form"
    [ "$(ls "$models/script_quick_f16" | sort | tr '\n' ' ')" = "merges.txt open_clip_config.json open_clip_model.safetensors vocab.json " ] ||
        fail_with "expected the model's files alone: $(ls "$models/script_quick_f16")"
    photo 1.jpg 1
    photo 2.jpg 2
    try index --quiet --model script_quick_f16 "$photos"
    expect_status 0
    try search a dog
    expect_status 0
    [ "${#lines[@]}" -eq 2 ] || fail_with "expected two photos"
    try_pipe "clipsearch model list --json | jq -r 'select(.here and .photos == 2) | .name'"
    expect_output "script_quick_f16"
}

@test "the file is as good beside its configuration, with any name" {
    mkdir folder
    cp "$torch/hf_bf16.bin" folder/pytorch_model.bin
    cp "$TESTS/engine/models/hf_import_bf16/"*config.json "$words/"* folder
    try model import folder --name maker/one
    expect_status 0
    try model import folder/pytorch_model.bin
    expect_status 0
    expect_in_stderr "folder is here"
    cmp "$models/maker/one/model.safetensors" "$models/folder/model.safetensors"
    cmp folder/preprocessor_config.json "$models/folder/preprocessor_config.json"
    try_pipe "clipsearch model info maker/one --json | jq -c '[.form, .dim, .image_size]'"
    expect_output '["huggingface",16,16]'
    try model import "$torch/script_quick_f16.pt" --name default
    expect_status 2
    expect_in_stderr "no name for a model"
}

@test "a model in several files is one, by its index or by its folder" {
    mkdir folder
    cp "$torch/shards/"* "$TESTS/engine/models/hf_import_bf16/"*config.json "$words/"* folder
    try model import folder --name one
    expect_status 0
    [[ "$stderr" != *"preprocess_cfg"* ]] || fail_with "expected no word about what the configuration says"
    try model import folder/pytorch_model.bin.index.json
    expect_status 0
    expect_in_stderr "folder is here"
    cmp "$models/one/model.safetensors" "$models/folder/model.safetensors"
    [ "$(ls "$models/one" | tr '\n' ' ')" = "config.json merges.txt model.safetensors preprocessor_config.json vocab.json " ] ||
        fail_with "expected the model's files alone: $(ls "$models/one")"
    rm folder/pytorch_model-00002-of-00002.bin
    try model import folder --name two
    expect_status 2
    expect_in_stderr "pytorch_model-00002-of-00002.bin: No such file"
}

@test "what the file does not tell must be said" {
    try model import "$torch/checkpoint_quick_f16.pt" --tokenizer "$words"
    expect_status 2
    expect_in_stderr "--activation quickgelu or --activation gelu"
    nothing_left
    try model import "$torch/checkpoint_quick_f16.pt" --tokenizer "$words" --activation quickgelu
    expect_status 0
    expect_in_stderr "change preprocess_cfg in $models/checkpoint_quick_f16/open_clip_config.json"
    grep -q '"quick_gelu": true' "$models/checkpoint_quick_f16/open_clip_config.json"
    try model import "$torch/checkpoint_quick_f16.pt" --tokenizer "$words" --activation gelu --name other
    expect_status 0
    grep -q '"quick_gelu": false' "$models/other/open_clip_config.json"
}

@test "the vocabulary comes from a model that is here, or from Hugging Face's cache, else it says where to get one" {
    try model import "$torch/trace_gelu_f32.pt"
    expect_status 2
    expect_in_stderr "--tokenizer DIR"
    nothing_left
    snapshot="$XDG_CACHE_HOME/huggingface/hub/models--a--b/snapshots/0123456789012345678901234567890123456789"
    mkdir -p "$snapshot"
    cp "$words"/* "$snapshot"
    try model import -v "$torch/trace_gelu_f32.pt"
    expect_status 0
    expect_in_stderr "$snapshot"
    rm -r "$XDG_CACHE_HOME"
    try model import -v "$torch/trace_gelu_f32.pt" --name second
    expect_status 0
    expect_in_stderr "the vocabulary is that of $models/trace_gelu_f32"
    mkdir wrong
    echo '{"a":0}' >wrong/vocab.json
    echo "#version: 0.2" >wrong/merges.txt
    try model import "$torch/trace_gelu_f32.pt" --name third --tokenizer wrong
    expect_status 2
    expect_in_stderr "not this model's vocabulary"
}

@test "a model that is there is replaced only by force, and never by a broken file" {
    try model import "$torch/script_quick_f16.pt" --tokenizer "$words" --name m
    expect_status 0
    try model import "$torch/trace_gelu_f32.pt" --name m
    expect_status 2
    expect_in_stderr "--force"
    before=$(cat "$models/m/"* | cksum)
    head -c 100000 "$torch/trace_gelu_f32.pt" >broken.pt
    try model import broken.pt --name m --force
    expect_status 2
    expect_in_stderr "truncated"
    [ "$(cat "$models/m/"* | cksum)" = "$before" ] || fail_with "expected the old model"
    try model import "$torch/trace_gelu_f32.pt" --name m --force
    expect_status 0
    [ "$(ls "$models")" = m ] || fail_with "expected nothing beside it: $(ls "$models")"
    [ "$(cat "$models/m/"* | cksum)" != "$before" ] || fail_with "expected the new model"
}

@test "a file that would run something is refused, and what it asks for is named" {
    try model import "$torch/whole_module.pt"
    expect_status 2
    expect_in_stderr "asks for torch.nn.modules.linear.Linear"
    try model import "$torch/old_form.bin"
    expect_status 2
    expect_in_stderr "older than 1.6"
    try model import "$torch/not_clip.pt"
    expect_status 2
    expect_in_stderr "not a CLIP model"
    try model import "$torch"
    expect_status 2
    expect_in_stderr "name the file itself"
    try model import "$TINY_MODEL"
    expect_status 2
    expect_in_stderr "needs no import"
    try model import
    expect_status 2
    nothing_left
}

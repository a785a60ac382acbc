# common.sh: what the set-up scripts share; read by `. "$here/common.sh"`, with $here the folder of the scripts.
#
# The scripts are plain POSIX sh, because a bare Debian has dash and nothing else. They change the system in one way only:
# by installing Debian packages that are missing, which is skipped, and needs no rights, when none is missing.

set -u
exec </dev/null # nothing here asks a question, and a closed stdin would make the first file opened take its number
top=$(cd "$here/.." && pwd) || exit 2
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/clipsearch

say() { printf '%s\n' "$*" >&2; }
fail() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 2; }

# Packages by purpose. libopenblas-dev is named because FAISS's own dependencies settle for the reference BLAS, with which
# training an index crawls.
packages_build='gcc libc6-dev meson ninja-build pkg-config libdnnl-dev libsqlite3-dev libjpeg-dev libpng-dev libexif-dev
    libutf8proc-dev libjansson-dev libxxhash-dev libopenblas-dev g++ libwebp-dev libheif-dev libtiff-dev libgif-dev
    libchafa-dev libglib2.0-dev libcurl4-openssl-dev nettle-dev'
packages_faiss='cmake make dpkg-dev ca-certificates'
packages_test='libcmocka-dev bats sqlite3 jq'

# Prints those of the packages $* that are not installed.
missing_packages() {
    for p in "$@"; do
        case $(dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null) in
        ?i*) ;;
        *) printf '%s ' "$p" ;;
        esac
    done
}

# Runs a command as root: directly, or through sudo.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# need_packages PACKAGE...: installs what is missing. $log receives apt's talk.
need_packages() {
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || fail "this system has no apt-get; install the equivalents of: $missing"
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        fail "these Debian packages are missing, and there is no sudo to install them with. As root, type:
    apt-get install $missing"
    fi
    say "Installing Debian packages: $missing"
    # Word splitting of $missing is meant. The lists may be absent (a fresh container) or old: refresh them once. Another apt
    # (automatic updates) may be at work: wait for it.
    if ! as_root apt-get update -q >>"$log" 2>&1; then
        say "  the package lists could not be refreshed; trying with what is there"
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
        -o DPkg::Lock::Timeout=300 $missing >>"$log" 2>&1 </dev/null ||
        { tail -n 15 "$log" >&2; fail "apt-get could not install these packages; its whole output is in $log"; }
}

# The instruction set to build for: our own SIMD and FAISS have an AVX2 and a generic level.
isa_level() {
    case $(uname -m) in
    x86_64) ;;
    *) echo generic; return ;;
    esac
    flags=$(grep -m1 '^flags' /proc/cpuinfo)
    for f in avx2 fma f16c; do
        case " $flags " in *" $f "*) ;; *) echo generic; return ;; esac
    done
    echo avx2
}

# configure_build FOLDER OPTION...: sets up a meson build of this tree in FOLDER, again from nothing where an old one does not
# fit any more (a moved checkout, another FAISS).
configure_build() {
    folder=$1
    shift
    if [ -f "$folder/build.ninja" ] && meson setup --reconfigure "$folder" "$top" "$@" >"$log" 2>&1; then return; fi
    rm -rf "$folder"
    meson setup "$folder" "$top" "$@" >"$log" 2>&1 ||
        { tail -n 20 "$log" >&2; fail "the build in $folder could not be configured; see $log"; }
}

# compile_build FOLDER
compile_build() {
    ninja -C "$1" >"$log" 2>&1 || {
        grep -A 12 -E '^FAILED|error:|undefined reference' "$log" | head -n 60 >&2
        fail "the build in $1 does not compile; see $log"
    }
}
